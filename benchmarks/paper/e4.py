"""E4: a production day. See scenarios/e4.yaml for the claim and the goals, harness.py for the flags."""

from harness import main

main("e4")
