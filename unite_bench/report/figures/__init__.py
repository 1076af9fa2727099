"""Figures for papers, one kind a file. Each function takes arrays and labels and gives a matplotlib figure, which
`style.save` writes. Values are shares of 1, drawn in percent; NaN is what was not measured. Needs the extra `plot`."""
