"""The verdicts study."""
