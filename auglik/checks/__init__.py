"""`auglik check`: the probes of whatever a setting can name."""
