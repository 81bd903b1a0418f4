"""E1: the request rate that holds, against baselines and bounds. Claim and goals: scenarios/e1.yaml; flags: harness.py."""

from harness import main

main("e1")
