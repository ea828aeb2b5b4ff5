"""`python -m controller` is the command line `wijkstroom`."""

from controller.cli import main

if __name__ == "__main__":
    main()
