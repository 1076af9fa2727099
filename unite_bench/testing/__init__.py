"""Embedders whose answers are known beforehand, to test tasks and the harness with. No result of theirs is ever tabled."""
