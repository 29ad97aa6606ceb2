"""The estimators study."""
