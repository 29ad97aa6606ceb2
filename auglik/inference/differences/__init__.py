"""Differences between cells, with their uncertainty."""
