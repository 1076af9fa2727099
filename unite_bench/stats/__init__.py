"""Intervals. Takes arrays only."""
