"""E8: latency of one request on an idle system over the stock pipeline's, in interleaved pairs.

    python benchmarks/system/overhead.py            # 200 pairs, about two minutes

Both sides use one torch thread and the same settings; each pair runs the same prompt and seed, the order of the two
drawn by a seeded generator, and the pictures must agree within 1/255 on 99.9 % of pixels (the encodings of prompt and
negative prompt share a batch; tests/parity compares bit by bit). Printed: p50 of the difference with a 95 % bootstrap
interval, p99 of both sides, in ms and percent. brickwork runs `--executors` processes (1 by default: the stock side
has one process too; with 2, encoders may overlap).
"""

import argparse
import random
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from report import bootstrap, emit, median, quantile
from stock import PROMPTS, Stock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--executors", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import numpy as np

    import brickwork as bw
    from brickwork.starter.workflows import STARTER, WORKFLOWS

    workflow = WORKFLOWS["text-to-image"]()
    defaults = {item.name: item.default for item in workflow.inputs}
    steps, guidance = defaults["steps"], defaults["guidance"]
    rng = random.Random(options.seed)
    stock = Stock(Path(STARTER), threads=1)
    ours_ms: list[float] = []
    stock_ms: list[float] = []
    with bw.Cluster(executors=options.executors, threads=1) as cluster:

        def ours(prompt: str, seed: int) -> object:
            return cluster.run(workflow, prompt=prompt, seed=seed).image

        def theirs(prompt: str, seed: int) -> object:
            return stock.image(prompt, seed, steps, guidance)

        for seed in range(-10, options.pairs):  # the first ten warm both sides up
            prompt = rng.choice(PROMPTS)
            sides = [(ours, ours_ms), (theirs, stock_ms)]
            rng.shuffle(sides)
            pictures = []
            for side, times in sides:
                start_s = perf_counter()
                pictures.append(np.asarray(side(prompt, abs(seed))))
                if seed >= 0:
                    times.append((perf_counter() - start_s) * 1e3)
            if (np.abs(pictures[0].astype(int) - pictures[1]) <= 1).mean() < 0.999:
                sys.exit(f"pictures differ: {prompt!r}, seed {abs(seed)}")
            print(f"\r{max(0, seed + 1)}/{options.pairs}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    difference = [a - b for a, b in zip(ours_ms, stock_ms, strict=True)]
    low, high = bootstrap(difference, median, options.seed)
    figures = {
        "pairs": options.pairs,
        "executors": options.executors,
        "steps": steps,
        "stock_ms_p50": round(median(stock_ms), 2),
        "stock_ms_p99": round(quantile(stock_ms, 0.99), 2),
        "brickwork_ms_p50": round(median(ours_ms), 2),
        "brickwork_ms_p99": round(quantile(ours_ms, 0.99), 2),
        "overhead_ms_p50": round(median(difference), 2),
        "overhead_ms_p50_95": [round(low, 2), round(high, 2)],
        "overhead_ms_p99": round(quantile(difference, 0.99), 2),
        "overhead_percent_p50": round(100 * median(difference) / median(stock_ms), 1),
    }
    emit("overhead", options.seed, figures)


if __name__ == "__main__":
    main()
