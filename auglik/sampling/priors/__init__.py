"""Priors of a network's weights."""
