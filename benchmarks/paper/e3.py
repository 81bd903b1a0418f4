"""E3: the fewest devices that hold a load. Claim and goals are in scenarios/e3.yaml, flags in harness.py."""

from harness import main

main("e3")
