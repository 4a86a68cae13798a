"""`python -m prefmem` is `prefmem`."""

from prefmem.cli import main

if __name__ == "__main__":
    main()
