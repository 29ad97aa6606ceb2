"""Files, devices, keys of randomness, and requests to stop."""
