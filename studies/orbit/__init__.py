"""The orbit study."""
