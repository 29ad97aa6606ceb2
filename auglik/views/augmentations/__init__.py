"""Augmentations other than policies, one file each."""
