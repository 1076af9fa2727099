"""Training of the reference model, smallest form: a vocabulary, the backbone stage, UNITE's two stages, the merge."""
