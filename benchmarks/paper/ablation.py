"""What each feature of control contributes, on E1 to E3. Sweeps in scenarios/ablation.yaml."""

from harness import main

main("ablation")
