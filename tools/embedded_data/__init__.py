"""Builds the embedded real data, one module a set."""
