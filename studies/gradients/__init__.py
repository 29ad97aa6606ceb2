"""The gradients study."""
