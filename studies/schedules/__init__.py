"""The schedules study."""
