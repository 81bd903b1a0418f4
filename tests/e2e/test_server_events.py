"""Goal: whoever follows a job learns all of it, after interruptions too; whoever does not read disturbs nobody.

Method: raw event streams against a real server process.
"""

import base64
import io
import json
import socket
from collections.abc import Iterator

import httpx
from PIL import Image

from support.server import ServerProcess

LONG = 1000


def follow(server: ServerProcess, job_id: str, seen: str = "") -> Iterator[tuple[str, str, dict[str, object]]]:
    """(id, kind, data) of each event."""
    headers = {"last-event-id": seen} if seen else {}
    with httpx.stream("GET", f"{server.url}/v1/jobs/{job_id}/events", headers=headers, timeout=60) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in stream.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield fields["id"], fields["event"], json.loads(fields["data"])
                fields = {}


def test_a_stream_tells_the_whole_life(server: ServerProcess) -> None:
    job_id = server.job(steps=LONG)
    events = list(follow(server, job_id))
    kinds = [kind for _, kind, _ in events]
    assert kinds[0] == "snapshot" and kinds[-1] == "result"
    assert events[-1][2] == server.get(f"/v1/jobs/{job_id}").json()
    steps = [data["step"] for _, kind, data in events if kind == "progress" and data["task"] == "denoise"]
    assert len(steps) > 3 and steps == sorted(steps)
    previews = [data["b64_png"] for _, kind, data in events if kind == "preview"]
    assert previews and Image.open(io.BytesIO(base64.b64decode(str(previews[0])))).size == (64, 64)
    assert len(set(previews)) == len(previews), "each shows another step"


def test_a_reader_that_comes_back_misses_nothing(server: ServerProcess) -> None:
    """1. One reader follows without a break, another hangs up at every event. 2. Both have the same events."""
    job_id = server.job(steps=300)
    whole = follow(server, job_id)
    first = next(whole)
    broken = [next(follow(server, job_id))]
    while broken[-1][1] != "result":
        broken.append(next(follow(server, job_id, seen=broken[-1][0])))
    at = int(broken[0][0].partition(".")[2])
    expected = [event for event in whole if int(event[0].partition(".")[2]) > at]
    assert first[1] == broken[0][1] == "snapshot"
    assert broken[1:] == expected and len(expected) > 3


def test_a_late_reader_gets_the_end(server: ServerProcess) -> None:
    job_id = server.job()
    ended = server.ended(job_id)
    assert [(kind, data) for _, kind, data in follow(server, job_id)] == [("snapshot", ended)]
    assert next(follow(server, job_id, seen="999.5"))[1] == "snapshot", "an id of another life"
    assert next(follow(server, job_id, seen="nonsense"))[1] == "snapshot"


def test_readers_that_do_not_read_and_idle_connections(server: ServerProcess) -> None:
    """1. Ten clients ask for the events of a long job and never read; a thousand connect and never ask.
    2. Others are served, the job ends, and its end can be had. Their number is bounded by open files alone."""
    host, port = server.url.removeprefix("http://").split(":")
    job_id = server.job(steps=LONG)
    opened = [socket.create_connection((host, int(port))) for _ in range(1000)]
    for silent in opened[:10]:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        silent.sendall(f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
    try:
        assert server.ended(server.job())["status"] == "succeeded"
        assert server.ended(job_id)["status"] == "succeeded"
        assert server.get("/readyz").status_code == 200
    finally:
        for connection in opened:
            connection.close()
