"""The invariance study."""
