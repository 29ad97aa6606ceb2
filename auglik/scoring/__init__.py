"""Scores of predictions, their intervals, and ensembles."""
