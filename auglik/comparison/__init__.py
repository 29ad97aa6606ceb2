"""Comparisons from Python, by the same plan and engine as the command line: `compare` runs one, `load` opens one."""
