"""`python -m bench` measures sending, the claim that matters most."""

from bench.send import main

if __name__ == "__main__":
    main()
