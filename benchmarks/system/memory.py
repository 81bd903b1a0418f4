"""Does a server's memory grow with the requests that it has served?

Small jobs (one step) one after another over HTTP, CONNECTIONS at a time, each as a client would do it: submitted under
a key, followed by its events to the end, its picture read. Every 1,000 jobs the resident memory of the server and of
its executors is printed; at the end the slope of each over the second half of the run, in bytes a request, by least
squares. The rings that a server keeps on purpose (timeline, story, feeds) are full by then.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx

from brickwork.cli.bench_order import PROMPTS
from brickwork.client.protocol import Submission
from brickwork.starter.workflows import STARTER
from report import emit
from servers import brickwork_server

CONNECTIONS = 32
TIMEOUT_S = 300.0
SAMPLE = 1000
"""Jobs between two looks at the memory."""

Sample = tuple[int, dict[str, int]]
"""Jobs served, and resident bytes by process."""


def status(pid: int, field: str) -> int:
    """A number of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


async def resident_bytes(http: httpx.AsyncClient) -> dict[str, int]:
    """Of the server and its executors, by name. The server is the parent of their forkserver."""
    executors = (await http.get("/v1/executors")).json()["data"]
    pids = {executor["id"]: executor["pid"] for executor in executors}
    server = status(status(next(iter(pids.values())), "PPid"), "PPid")
    return {name: status(pid, "VmRSS") * 1024 for name, pid in [("server", server), *pids.items()]}


async def serve_one(http: httpx.AsyncClient, seed: int) -> None:
    """raises    RuntimeError when the job did not succeed"""
    inputs = {"prompt": PROMPTS[seed % len(PROMPTS)], "seed": seed, "steps": 1}
    body, headers = Submission("text-to-image", inputs).request()
    answer = await http.post("/v1/jobs", content=body, headers=headers)
    answer.raise_for_status()
    job_id = answer.json()["id"]
    await http.get(f"/v1/jobs/{job_id}/events")
    job = (await http.get(f"/v1/jobs/{job_id}")).json()
    if job["status"] != "succeeded":
        raise RuntimeError(f"{job_id} has {job['status']}: {job['error']}")
    (await http.get(job["outputs"][0]["url"])).raise_for_status()


async def measure(url: str, requests: int, seed: int) -> list[Sample]:
    limits = httpx.Limits(max_connections=CONNECTIONS + 1, max_keepalive_connections=CONNECTIONS + 1)
    samples: list[Sample] = []
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=TIMEOUT_S) as http:
        for served in range(0, requests, SAMPLE):
            seeds = iter(range(seed + served, seed + min(requests, served + SAMPLE)))

            async def take_turns(seeds: Any = seeds) -> None:
                for each in seeds:
                    await serve_one(http, each)

            await asyncio.gather(*(take_turns() for _ in range(CONNECTIONS)))
            samples.append((min(requests, served + SAMPLE), await resident_bytes(http)))
            shown = "  ".join(f"{name} {size / 1e6:.1f}" for name, size in samples[-1][1].items())
            print(f"{samples[-1][0]:>8} jobs, resident MB: {shown}", flush=True)
    return samples


def slope(points: list[tuple[int, int]]) -> float:
    """Of the least squares line through (x, y)."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def figures(samples: list[Sample]) -> dict[str, Any]:
    late = samples[len(samples) // 2 :]
    names = late[-1][1]
    slopes = {name: slope([(jobs, sizes[name]) for jobs, sizes in late if name in sizes]) for name in names}
    return {
        "requests": samples[-1][0],
        "connections": CONNECTIONS,
        "resident_mb": {name: [round(sizes.get(name, 0) / 1e6, 1) for _, sizes in samples] for name in names},
        "slope_bytes_per_request": {name: round(value, 1) for name, value in slopes.items()},
        "slope_from_request": late[0][0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=STARTER)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with brickwork_server(options.model, executors=options.executors, threads=1) as (url,):
        samples = asyncio.run(measure(url, options.requests, options.seed))
    emit("memory", options.seed, figures(samples))


if __name__ == "__main__":
    main()
