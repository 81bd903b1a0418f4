"""E2: the burst that holds. See scenarios/e2.yaml for the claim and the goals, harness.py for the flags."""

from harness import main

main("e2")
