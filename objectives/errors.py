"""The one exception for input that cannot be used."""


class InputError(ValueError):
    """Input that cannot be used: one line with what was expected, what was given and the likely cause."""
