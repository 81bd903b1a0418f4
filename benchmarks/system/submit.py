"""Durable acknowledgements over HTTP: how long a submit waits for its 201, and how many a second a burst gets.

    python benchmarks/system/submit.py              # the starter model, some two minutes

A job is acknowledged once its row is flushed to the disk, so the state directory must lie on one (`--directory`; a
memory file system would mean nothing). Alone: one job after the other, each submitted when the one before has ended;
its latency is that of POST /v1/jobs. Burst: `--burst` jobs over 32 connections at once, while two executors work on
them; every job is then followed to its end. The client shares the machine's cores with the server.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx

from brickwork.cli.bench_order import PROMPTS
from brickwork.client.protocol import Submission
from brickwork.starter.workflows import STARTER
from report import emit, median, quantile
from servers import brickwork_server

CONNECTIONS = 32
TIMEOUT_S = 300.0


def job(seed: int) -> tuple[bytes, dict[str, str]]:
    return Submission("text-to-image", {"prompt": PROMPTS[seed % len(PROMPTS)], "seed": seed, "steps": 1}).request()


async def submit(http: httpx.AsyncClient, seed: int) -> str:
    body, headers = job(seed)
    answer = await http.post("/v1/jobs", content=body, headers=headers)
    answer.raise_for_status()
    return str(answer.json()["id"])


async def follow(http: httpx.AsyncClient, job_id: str) -> None:
    """Read the events to the end. raises RuntimeError when the job did not succeed"""
    await http.get(f"/v1/jobs/{job_id}/events")
    status = (await http.get(f"/v1/jobs/{job_id}")).json()["status"]
    if status != "succeeded":
        raise RuntimeError(f"{job_id}, which was acknowledged, has {status}")


async def alone_ms(http: httpx.AsyncClient, count: int) -> list[float]:
    times_ms = []
    for seed in range(count):
        start_s = perf_counter()
        job_id = await submit(http, seed)
        times_ms.append((perf_counter() - start_s) * 1e3)
        await follow(http, job_id)
    return times_ms


async def burst_per_s(http: httpx.AsyncClient, count: int) -> float:
    start_s = perf_counter()
    job_ids = await asyncio.gather(*(submit(http, seed) for seed in range(count)))
    per_s = count / (perf_counter() - start_s)
    await asyncio.gather(*(follow(http, job_id) for job_id in job_ids))
    return per_s


async def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=TIMEOUT_S) as http:
        await alone_ms(http, 20)  # warm-up
        alone = [await alone_ms(http, options.alone) for _ in range(options.repetitions)]
        bursts = [await burst_per_s(http, options.burst) for _ in range(options.repetitions)]
    return {
        "repetitions": options.repetitions,
        "alone": options.alone,
        "submit_ms_p50": round(median([median(times) for times in alone]), 2),
        "submit_ms_p50_range": [round(f(median(times) for times in alone), 2) for f in (min, max)],
        "submit_ms_p99": round(median([quantile(times, 0.99) for times in alone]), 2),
        "burst": options.burst,
        "connections": CONNECTIONS,
        "acknowledged_per_s": round(median(bursts), 1),
        "acknowledged_per_s_range": [round(f(bursts), 1) for f in (min, max)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=STARTER)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--alone", type=int, default=100)
    parser.add_argument("--burst", type=int, default=300)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    with brickwork_server(options.model, executors=2, threads=1, directory=options.directory) as (url,):
        figures = asyncio.run(measure(url, options))
    emit("submit", 0, figures)


if __name__ == "__main__":
    main()
