"""Benchmarks against peers, each a script that prints one table: `python -m benchmarks.NAME`."""
