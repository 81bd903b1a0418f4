"""Goal: `bw.Client` and `bw.AsyncClient` do the same, and map every refusal to brickwork's own errors.

Method: both against a real server; a proxy that cuts connections shows that retries make no second job and that
event streams go on where they broke.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import brickwork as bw
from brickwork.client.protocol import Unreachable
from brickwork.starter.workflows import text_to_image_quick
from support.cutter import Cutter
from support.server import ServerProcess


@pytest.fixture
def client(server: ServerProcess) -> Iterator[bw.Client]:
    with bw.Client(server.url) as opened:
        yield opened


def test_run_gives_the_picture(client: bw.Client) -> None:
    result = client.run("text-to-image", prompt="a red circle", size=(64, 64), seed=2)
    assert result.image.size == (64, 64) and result.job["inputs"]["size"] == "64x64"
    assert list(result.outputs) == ["image"]


def test_a_workflow_object_names_itself(client: bw.Client, served_model: Path) -> None:
    assert client.run(text_to_image_quick(served_model), prompt="a red circle").job["workflow"] == "text-to-image-quick"


def test_pictures_as_objects_and_files(client: bw.Client, tmp_path: Path) -> None:
    picture = Image.new("RGB", (30, 20), "blue")
    picture.save(tmp_path / "in.png")
    options = {"prompt": "a red circle", "deterministic": True, "timeout_s": 60}
    first = client.run("image-to-image", image=picture, **options)
    second = client.run("image-to-image", image=tmp_path / "in.png", **options)
    assert np.array_equal(np.asarray(first.image), np.asarray(second.image))
    with pytest.raises(bw.InputError, match="missing"):
        client.run("image-to-image", image=tmp_path / "missing.png", **options)


def test_events_and_cancel(client: bw.Client) -> None:
    job = client.submit("text-to-image", prompt="a red circle", steps=1000)
    kinds = []
    for event in job.events():
        kinds.append(event.kind)
        if event.kind == "preview":
            assert event.picture.size == (64, 64)
            job.cancel()
    assert kinds[0] == "snapshot" and kinds[-1] == "result"
    with pytest.raises(bw.Cancelled):
        job.result()
    with pytest.raises(bw.Cancelled):
        client.job(job.id).result()


def test_refusals_are_brickworks_own(client: bw.Client) -> None:
    with pytest.raises(bw.InputError) as bad:
        client.submit("text-to-image", prompt="a red circle", steps=0)
    assert bad.value.field == "steps" and str(bad.value).count("steps") == 1
    with pytest.raises(bw.InputError) as unknown:
        client.submit("text-to-image", prompt="a red circle", stepz=3)
    assert unknown.value.field == "stepz"
    with pytest.raises(bw.Rejected) as late:
        client.submit("text-to-image", prompt="a red circle", steps=1000, deadline_s=0.001)
    assert late.value.retry_after_s is None
    with pytest.raises(bw.BrickworkError, match="no job"):
        client.job("nope")


def test_a_bound_on_waiting(client: bw.Client) -> None:
    job = client.submit("text-to-image", prompt="a red circle", steps=1000)
    with pytest.raises(TimeoutError, match=job.id):
        job.result(timeout_s=0.05)
    job.cancel()


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        bw.Client(f"http://127.0.0.1:{port}", retries=0) as client,
        pytest.raises(Unreachable, match="running there"),
    ):
        client.workflows()


def test_the_async_client(server: ServerProcess) -> None:
    async def go() -> None:
        async with bw.AsyncClient(server.url) as client:
            assert (await client.workflows())[0]["name"] == "text-to-image"
            runs = [client.run("text-to-image", prompt="a red circle", seed=seed) for seed in range(4)]
            results = await asyncio.gather(*runs)
            assert len({result.image.tobytes() for result in results}) == 4
            job = await client.submit("text-to-image", prompt="a red circle", steps=1000)
            with pytest.raises(TimeoutError):
                await job.result(0.05)
            await job.cancel()
            kinds = [event.kind async for event in (await client.job(job.id)).events()]
            assert kinds[-1] in ("result", "snapshot")
            with pytest.raises(bw.InputError, match="steps"):
                await client.submit("text-to-image", prompt="a red circle", steps=0)

    asyncio.run(go())


def test_cancelling_the_task_cancels_the_job(server: ServerProcess) -> None:
    async def go() -> str:
        async with bw.AsyncClient(server.url) as client:
            running = asyncio.ensure_future(client.run("text-to-image", prompt="a blue circle", steps=1000))
            await asyncio.wait([running], timeout=0.5)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        return str(server.get("/v1/jobs?limit=1").json()["data"][0]["id"])

    assert server.ended(asyncio.run(go()))["status"] == "canceled"


@pytest.mark.parametrize("is_async", [False, True])
def test_broken_connections_make_no_second_job_and_lose_no_event(is_async: bool, server: ServerProcess) -> None:
    """1. The proxy takes the submission and hangs up before the answer, twice; then it hangs up whenever an
    event stream has brought 24 kB, a preview or two. 2. There is one job, and its events are those of an unbroken
    stream."""
    prompt = f"a green {'circle' if is_async else 'square'} above a blue square"
    with Cutter(server.url, submissions=2, answer_bytes=24_000) as cutter:
        seen = asyncio.run(_seen_async(cutter.url, prompt)) if is_async else _seen(cutter.url, prompt)
    assert cutter.cuts >= 3
    jobs = server.get("/v1/jobs?limit=20").json()["data"]
    (job,) = [job for job in jobs if job["inputs"]["prompt"] == prompt]
    numbers = [int(event.id.partition(".")[2]) for event in seen]
    assert seen[0].kind == "snapshot" and seen[-1].kind == "result"
    assert numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 10
    assert seen[-1].data["id"] == job["id"]


def _seen(url: str, prompt: str) -> list:
    with bw.Client(url) as client:
        return list(client.submit("text-to-image", prompt=prompt, steps=1000).events())


async def _seen_async(url: str, prompt: str) -> list:
    async with bw.AsyncClient(url) as client:
        job = await client.submit("text-to-image", prompt=prompt, steps=1000)
        return [event async for event in job.events()]


def test_many_threads_share_a_client(client: bw.Client) -> None:
    pictures: dict[int, bytes] = {}

    def draw(seed: int) -> None:
        pictures[seed] = client.run("text-to-image-quick", prompt="a red circle", seed=seed).image.tobytes()

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pictures) == len(set(pictures.values())) == 8


def test_the_http_server_survives_all_of_it(server: ServerProcess) -> None:
    assert httpx.get(server.url + "/readyz").json() == {"status": "ready"}
