"""Benchmarks against peers, each a script that prints one table: `python -m benchmarks.NAME`."""

from auglik.system.compiling import keep_apart

keep_apart()  # benchmarks compile too
