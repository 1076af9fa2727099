"""Exact ranks of the positives, ties included; and the first candidates, for reading."""
