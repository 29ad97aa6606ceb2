"""`python -m cli` is `auglik`."""

from cli.main import main

if __name__ == "__main__":
    main()
