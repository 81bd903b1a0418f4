"""Throughput of 64 requests against stock Diffusers: one process with 2 threads, and two processes with 1 thread each.

    python benchmarks/system/throughput.py          # 5 rounds, about four minutes

Every round runs all contenders once, in an order drawn by a seeded generator; processes are started, models loaded and
one picture made before the clock starts. Printed: requests per second of each (median of the rounds) and the ratio
of brickwork to the best stock contender, round by round.
"""

import argparse
import random
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from report import emit, median
from stock import PROMPTS, StockProcesses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import brickwork as bw
    from brickwork.starter.workflows import STARTER, WORKFLOWS

    workflow = WORKFLOWS["text-to-image"]()
    defaults = {item.name: item.default for item in workflow.inputs}
    steps, guidance = defaults["steps"], defaults["guidance"]
    rng = random.Random(options.seed)
    jobs = [(rng.choice(PROMPTS), seed) for seed in range(options.requests)]
    rates: dict[str, list[float]] = {}
    with bw.Cluster(executors=2, threads=1) as cluster:

        def brickwork(jobs: list[tuple[str, int]]) -> None:
            handles = [cluster.submit(workflow, prompt=prompt, seed=seed) for prompt, seed in jobs]
            for handle in handles:
                handle.result()

        brickwork(jobs[:4])
        contenders = {
            "brickwork, 2 executors x 1 thread": brickwork,
            "stock, 1 process x 2 threads": StockProcesses(1, 2, Path(STARTER), steps, guidance),
            "stock, 2 processes x 1 thread": StockProcesses(2, 1, Path(STARTER), steps, guidance),
        }
        for turn in range(options.rounds):
            for name in rng.sample(list(contenders), len(contenders)):
                start_s = perf_counter()
                contenders[name](jobs)
                rates.setdefault(name, []).append(options.requests / (perf_counter() - start_s))
            print(f"round {turn + 1}/{options.rounds}", file=sys.stderr, flush=True)
        for contender in contenders.values():
            if isinstance(contender, StockProcesses):
                contender.close()
    ours = rates["brickwork, 2 executors x 1 thread"]
    best = max((name for name in rates if name.startswith("stock")), key=lambda name: median(rates[name]))
    ratios = [a / b for a, b in zip(ours, rates[best], strict=True)]
    figures = {
        "requests": options.requests,
        "rounds": options.rounds,
        "steps": steps,
        "requests_per_s": {name: round(median(values), 2) for name, values in rates.items()},
        "best_stock": best,
        "ratio": round(median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
    }
    emit("throughput", options.seed, figures)


if __name__ == "__main__":
    main()
