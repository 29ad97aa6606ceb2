"""Augmentations that are no policies, one file each."""
