"""Runs the command `colorgan` as `python -m colorgan`."""

from colorgan.cli.app import main

if __name__ == "__main__":
    main()
