"""`python -m brickwork.cli`, the same as `brickwork`."""

from brickwork.cli import main

main()
