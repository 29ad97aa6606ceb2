"""Likelihoods: logits and decay of every view -> a table of log-likelihoods, one file each."""
