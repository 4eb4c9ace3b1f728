"""`python -m echelonx` is the command `echelonx`."""

from echelonx.cli import main

if __name__ == "__main__":
    main()
