"""E1: the request rate that holds, against baselines and bounds. scenarios/e1.yaml has claim and goals, harness.py flags."""

from harness import main

main("e1")
