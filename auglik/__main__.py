"""`python -m auglik` is the command `auglik`."""

from auglik.cli.main import main

main()
