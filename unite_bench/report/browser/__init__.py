"""The error browser: a folder of pages in which the queries of one result, or of two side by side, can be read."""
