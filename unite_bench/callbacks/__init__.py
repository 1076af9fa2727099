"""Scores while a model is trained: one module a trainer, each of which needs that trainer's library."""
