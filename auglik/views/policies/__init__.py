"""Policies that draw operations for each view: torchvision's distributions, batched."""
