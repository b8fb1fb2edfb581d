"""`python -m colorgan` is `colorgan`."""

from colorgan.cli.app import main

if __name__ == "__main__":
    main()
