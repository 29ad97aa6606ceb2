"""Aggregators: fold the views of an image, one file each."""
