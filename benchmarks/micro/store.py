"""Durable acknowledgements: jobs created per second by 64 threads, and how long one alone waits for its answer.

    python benchmarks/micro/store.py                # 5 repetitions, under a minute

Every answer is awaited and comes after the flush (WAL, synchronous=FULL). Printed, as medians of the repetitions with
their spread: creates per second with one create in flight per thread, and p50 and p99 of a create on an idle store;
beside them p50 of writing and flushing 4 KiB to a file there, which is what the disk allows. The state directory lies
where `--directory` says (the system's temporary directory); a result on a memory file system would mean nothing.
"""

import argparse
import os
import random
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter, time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from brickwork.store.jobs import Job, JobId
from brickwork.store.sqlite import SqliteJobStore
from report import emit, median, quantile

THREADS = 64
WARM_UP = 200
SINGLES = 1000


def job(rng: random.Random, epoch: int) -> Job:
    values = (("prompt", "a red circle above a blue square"), ("seed", rng.getrandbits(32)), ("steps", 20))
    return Job(JobId(f"job_{rng.getrandbits(128):032x}"), "text-to-image", values, time(), epoch)


def creates_per_s(store: SqliteJobStore, epoch: int, creates: int, rng: random.Random) -> float:
    shares = [[job(rng, epoch) for _ in range(creates // THREADS)] for _ in range(THREADS)]

    def create_all(share: list[Job]) -> None:
        for one in share:
            store.create(one).result()

    threads = [threading.Thread(target=create_all, args=(share,)) for share in shares]
    start_s = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(map(len, shares)) / (perf_counter() - start_s)


def single_ms(store: SqliteJobStore, epoch: int, rng: random.Random) -> list[float]:
    times_ms = []
    for _ in range(SINGLES):
        one = job(rng, epoch)
        start_s = perf_counter()
        store.create(one).result()
        times_ms.append((perf_counter() - start_s) * 1e3)
    return times_ms


def flush_ms(directory: Path) -> float:
    """p50 of appending and flushing 4 KiB."""
    times_ms = []
    with open(directory / "flush", "wb", buffering=0) as file:
        for _ in range(500):
            start_s = perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            times_ms.append((perf_counter() - start_s) * 1e3)
    return median(times_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--creates", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    rates: list[float] = []
    singles: list[list[float]] = []
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        flush = flush_ms(Path(directory))
        with SqliteJobStore(Path(directory)) as store:
            epoch = store.new_epoch(time()).result()
            for _ in range(WARM_UP):
                store.create(job(rng, epoch)).result()
            for _ in range(options.repetitions):
                singles.append(single_ms(store, epoch, rng))
                rates.append(creates_per_s(store, epoch, options.creates, rng))
    figures = {
        "threads": THREADS,
        "creates": options.creates,
        "repetitions": options.repetitions,
        "warm_up": WARM_UP,
        "creates_per_s": round(median(rates)),
        "creates_per_s_range": [round(min(rates)), round(max(rates))],
        "single_ms_p50": round(median([median(times) for times in singles]), 3),
        "single_ms_p50_range": [round(f(median(times) for times in singles), 3) for f in (min, max)],
        "single_ms_p99": round(median([quantile(times, 0.99) for times in singles]), 3),
        "flush_4k_ms_p50": round(flush, 3),
    }
    emit("store", options.seed, figures)


if __name__ == "__main__":
    main()
