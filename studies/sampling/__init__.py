"""The sampling study."""
