"""Training by a recipe: UNITE's two stages over a manifest's pairs, MAMCL, and what both need."""
