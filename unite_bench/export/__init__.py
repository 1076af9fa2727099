"""Results in the formats of others: TREC runs and qrels, mteb's JSON, a section of a model card. Encodes nothing."""
