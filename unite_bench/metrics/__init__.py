"""Ranking measures as expectations under ties, and their aggregation. numpy and scipy only."""
