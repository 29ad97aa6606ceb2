"""The version of the package, for results and checkpoints."""

__version__ = "0.1.0"
