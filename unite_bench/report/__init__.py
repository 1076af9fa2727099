"""Tables for people and papers. Reads results only; encodes nothing."""
