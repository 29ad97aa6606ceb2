"""The information study."""
