"""`python -m themis`: the command line."""

from themis.api.cli import main

if __name__ == "__main__":
    main()
