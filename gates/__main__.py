"""`python -m gates`: the command `penstock`, where its script is not on the path."""

from gates.cli import main

main()
