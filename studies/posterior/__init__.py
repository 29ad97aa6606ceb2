"""The posterior study."""
