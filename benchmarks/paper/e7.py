"""E7: faults. See scenarios/e7.yaml for the claim and the goals, harness.py for the flags."""

from harness import main

main("e7")
