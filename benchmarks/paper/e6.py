"""E6: mixed sizes at mixed degrees. See scenarios/e6.yaml for the claim and the goals, harness.py for the flags."""

from harness import main

main("e6")
