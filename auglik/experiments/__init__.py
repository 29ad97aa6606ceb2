"""Comparisons: cells, plans and how they are carried out."""
