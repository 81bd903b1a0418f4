"""Goal: a cancel over HTTP frees the executor at the next step, not at the end of the job.

Method: a server in the test's own process, whose timeline says what ran when on the only executor; a job of a thousand
steps, another one behind it. (That a stop which the executor has read takes effect after one step at most is
`tests/unit/executor/test_runner.py`; here it is the whole way from the client's request.)
"""

import asyncio
from pathlib import Path
from time import monotonic

import httpx

from brickwork.starter.workflows import WORKFLOWS
from support.service import served

LONG = 1000
GENEROUS_S = 5.0
"""For a stop to reach the executor on a loaded machine; a step of the tiny model takes some milliseconds."""


def test_cancel_frees_the_executor_at_the_next_step(tiny_sd3: Path, tmp_path: Path) -> None:
    asyncio.run(_scenario(tiny_sd3, tmp_path))


async def _scenario(model: Path, state_dir: Path) -> None:
    workflow = WORKFLOWS["text-to-image"](model)
    async with served(workflow, state_dir, executors=1) as (client, service, coordinator):
        first = await _submit(client, steps=LONG)
        await _denoises(service.events(first, None))
        second = await _submit(client, steps=2)
        assert (await client.post(f"/v1/jobs/{first}/cancel")).status_code == 200
        canceled_s = monotonic()
        assert (await _ended(client, first))["status"] == "canceled"
        assert (await _ended(client, second))["status"] == "succeeded"
        before = [span for span in coordinator.timeline.spans(first) if span.op == "sd3.predict"]
        after = [span for span in coordinator.timeline.spans(second) if span.op == "sd3.predict"]
    assert before and len(before) < LONG and [span.step for span in before] == list(range(len(before)))
    assert before[-1].start_s < canceled_s + GENEROUS_S
    assert max(span.end_s for span in before) <= min(span.start_s for span in after), "one after the other"
    assert {span.executor for span in before} == {span.executor for span in after}


async def _submit(client: httpx.AsyncClient, steps: int) -> str:
    inputs = {"prompt": "a red circle", "steps": steps}
    body = {"workflow": "text-to-image", "inputs": inputs, "deterministic": True}
    return str((await client.post("/v1/jobs", json=body)).json()["id"])


async def _denoises(events: object) -> None:
    """Return as soon as the job has taken steps."""
    async for event in await events:  # type: ignore[misc]
        if (
            event is not None
            and event.kind == "progress"
            and '"denoise"' in event.data
            and '"step":0' not in event.data
        ):
            return


async def _ended(client: httpx.AsyncClient, job_id: str) -> dict[str, object]:
    await client.get(f"/v1/jobs/{job_id}/events")
    job: dict[str, object] = (await client.get(f"/v1/jobs/{job_id}")).json()
    return job
