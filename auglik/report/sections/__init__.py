"""The sections of a report, each a function of what was collected and inferred."""
