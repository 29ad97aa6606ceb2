"""The normalizer study."""
