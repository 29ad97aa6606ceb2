"""The objectives study."""
