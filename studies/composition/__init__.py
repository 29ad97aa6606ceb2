"""The composition study."""
