"""All experiments, E1 to E7 and the ablation, one after the other over all cores: under two hours on two of them.

scripts/compiled python benchmarks/paper/all.py --fresh && python benchmarks/paper/results.py
python benchmarks/paper/all.py --smoke             # minutes: one seed, few requests, the first rows
"""

from harness import main

main("e1", "e2", "e3", "e4", "e5", "e6", "e7", "ablation")
