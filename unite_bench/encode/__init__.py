"""Plan -> batches -> vectors -> store. The only room in which a model runs."""
