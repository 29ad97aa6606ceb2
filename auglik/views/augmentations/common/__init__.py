"""What several augmentations share."""
