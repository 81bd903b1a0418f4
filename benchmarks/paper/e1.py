"""E1: the request rate that holds, against baselines and bounds. Claim and goals in scenarios/e1.yaml."""

from harness import main

main("e1")
