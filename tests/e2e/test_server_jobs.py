"""Goal: the native API keeps its contract: durable jobs, strict input, honest refusals, idempotency, cancel.

Method: plain HTTP against a real server process; each row of the table of bad input is one request, and after all of
them the server still draws.
"""

import base64
import io
import json
import threading
import time

import httpx
import pytest
from PIL import Image

from support.server import ServerProcess

LONG = 1000
"""Steps of a job that is still running when the test looks at it."""


def test_a_job_from_submission_to_picture(server: ServerProcess) -> None:
    answer = server.post("/v1/jobs", {"workflow": "text-to-image", "inputs": {"prompt": "a red  Circle", "seed": 3}})
    assert answer.status_code == 201
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}" == job["urls"]["self"]
    assert job["status"] == "queued" and job["inputs"]["prompt"] == "a red circle" and job["inputs"]["size"] == "64x64"
    ended = server.ended(job["id"])
    assert ended["status"] == "succeeded" and ended["attempt"] == 1 and ended["error"] is None
    (output,) = ended["outputs"]
    assert output["name"] == "image" and output["type"] == "image"
    picture = server.get(output["url"])
    assert picture.headers["content-type"] == "image/png" and "immutable" in picture.headers["cache-control"]
    assert Image.open(io.BytesIO(picture.content)).size == (64, 64)


def test_equal_requests_give_equal_artifacts(server: ServerProcess) -> None:
    body = {"workflow": "text-to-image", "inputs": {"prompt": "a blue square"}, "deterministic": True}
    jobs = [server.post("/v1/jobs", body).json()["id"] for _ in range(2)]
    first, second = (server.ended(job)["outputs"] for job in jobs)
    assert first == second


def test_a_picture_as_input(server: ServerProcess) -> None:
    """As a data URL, then by the id under which the server kept it."""
    buffer = io.BytesIO()
    Image.new("RGB", (100, 40), "red").save(buffer, "png")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    inputs = {"image": url, "prompt": "a blue square"}
    first = server.post("/v1/jobs", {"workflow": "image-to-image", "inputs": inputs, "deterministic": True}).json()
    kept = first["inputs"]["image"]
    assert server.get(f"/v1/artifacts/{kept}").content == buffer.getvalue()
    again = {"workflow": "image-to-image", "inputs": inputs | {"image": kept}, "deterministic": True}
    second = server.post("/v1/jobs", again).json()
    assert server.ended(first["id"])["outputs"] == server.ended(second["id"])["outputs"]


def test_pages_of_the_list(server: ServerProcess) -> None:
    ids = [server.job(seed=seed) for seed in range(3)]
    for job_id in ids:
        server.ended(job_id)
    first = server.get("/v1/jobs?limit=2").json()
    assert [job["id"] for job in first["data"]] == [ids[2], ids[1]] and first["has_more"]
    second = server.get(f"/v1/jobs?limit=1&after={ids[1]}").json()
    assert [job["id"] for job in second["data"]] == [ids[0]]
    assert all(job["status"] == "failed" for job in server.get("/v1/jobs?status=failed").json()["data"])


def test_an_idempotency_key_names_one_job(server: ServerProcess) -> None:
    body = {"workflow": "text-to-image", "inputs": {"prompt": "a green circle"}}
    headers = {"Idempotency-Key": "one"}
    first, again = (server.post("/v1/jobs", body, **headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    other = server.post("/v1/jobs", body | {"deterministic": True}, **headers)
    assert other.status_code == 422 and other.json()["error"]["code"] == "idempotency_key_reuse"


def test_concurrent_repeats_make_one_job(server: ServerProcess) -> None:
    body = {"workflow": "text-to-image", "inputs": {"prompt": "a green square"}}
    ids: list[str] = []

    def submit() -> None:
        ids.append(server.post("/v1/jobs", body, **{"Idempotency-Key": "many"}).json()["id"])

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8 and len(set(ids)) == 1


def test_cancel_ends_a_running_job_and_frees_the_executor(server: ServerProcess) -> None:
    job_id = server.job(steps=LONG)
    with httpx.stream("GET", f"{server.url}/v1/jobs/{job_id}/events", timeout=60) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:") and '"denoise"' in line:
                break
    assert server.post(f"/v1/jobs/{job_id}/cancel", {}).json()["status"] == "canceling"
    ended = server.ended(job_id)
    assert ended["status"] == "canceled" and ended["outputs"] == [] and ended["error"]["code"] == "canceled"
    assert server.post(f"/v1/jobs/{job_id}/cancel", {}).json()["status"] == "canceled", "repeating changes nothing"
    assert server.ended(server.job())["status"] == "succeeded"


def test_a_deadline_that_cannot_be_met_is_refused_at_once(server: ServerProcess) -> None:
    server.ended(server.job())  # models are loaded
    body = {"workflow": "text-to-image", "inputs": {"prompt": "a red circle", "steps": 1000}, "deadline_s": 0.001}
    answer = server.post("/v1/jobs", body, **{"Idempotency-Key": "hasty"})
    assert answer.status_code == 429
    error = answer.json()["error"]
    assert error["code"] == "deadline_too_short" and error["type"] == "rate_limit_error"
    assert answer.headers["x-should-retry"] == "false" and "retry-after" not in answer.headers
    (rejected,) = server.get("/v1/jobs?status=rejected&limit=1").json()["data"]
    assert rejected["error"]["message"] == error["message"]
    later = server.post("/v1/jobs", body | {"deadline_s": 600}, **{"Idempotency-Key": "hasty"})
    assert later.status_code == 201, "a refused job gives its key back"
    server.post(f"/v1/jobs/{later.json()['id']}/cancel", {})


def test_an_overload_is_refused_with_a_time_that_holds(server: ServerProcess) -> None:
    """1. Work fills the executors. 2. A deadline that they cannot meet now, but alone could, is refused with a time.
    3. After the work has ended, the same request is taken."""
    running = [server.job(steps=LONG, seed=seed) for seed in range(6)]
    body = {"workflow": "text-to-image", "inputs": {"prompt": "a red circle", "steps": LONG}, "deadline_s": 6.0}
    refused = server.post("/v1/jobs", body)
    while refused.status_code == 201 and len(running) < 500:  # each takes seconds, and is sent in a hundredth of one
        running.append(refused.json()["id"])
        refused = server.post("/v1/jobs", body)
    assert refused.status_code == 429 and refused.json()["error"]["code"] == "overloaded", refused.text
    wait_s = int(refused.headers["retry-after"])
    assert wait_s >= 1 and wait_s - 1 < int(refused.headers["retry-after-ms"]) / 1000 <= wait_s
    for job_id in running:
        server.post(f"/v1/jobs/{job_id}/cancel", {})
    for job_id in running:
        server.ended(job_id)
    taken, end_s = server.post("/v1/jobs", body), time.monotonic() + 60
    while taken.status_code == 429 and time.monotonic() < end_s:  # a machine that is busy with other things is slow
        time.sleep(int(taken.headers["retry-after-ms"]) / 1000)
        taken = server.post("/v1/jobs", body)
    assert taken.status_code == 201, taken.text
    server.post(f"/v1/jobs/{taken.json()['id']}/cancel", {})
    server.ended(taken.json()["id"])


def _job(**inputs: object) -> bytes:
    return json.dumps({"workflow": "text-to-image", "inputs": inputs}).encode()


JSON = "application/json"
BAD_JOBS: list[tuple[str, bytes, str, int, str | None]] = [
    ("empty prompt", _job(prompt="  "), JSON, 400, "prompt"),
    ("unknown words", _job(prompt="a rde circle"), JSON, 400, "prompt"),
    ("a million characters", _job(prompt="red " * 250_000), JSON, 400, "prompt"),
    ("no prompt", _job(), JSON, 400, "prompt"),
    ("null", _job(prompt=None), JSON, 400, "prompt"),
    ("wrong type", _job(prompt=["red"]), JSON, 400, "prompt"),
    ("lone surrogate", b'{"workflow":"text-to-image","inputs":{"prompt":"red \\ud800"}}', JSON, 400, "prompt"),
    ("size", _job(prompt="red", size="63x64"), JSON, 400, "size"),
    ("size as a list", _job(prompt="red", size=[64, 64]), JSON, 400, "size"),
    ("no steps", _job(prompt="red", steps=0), JSON, 400, "steps"),
    ("many steps", _job(prompt="red", steps=10**9), JSON, 400, "steps"),
    ("steps as text", _job(prompt="red", steps="4"), JSON, 400, "steps"),
    ("steps as float", _job(prompt="red", steps=4.5), JSON, 400, "steps"),
    ("steps as bool", _job(prompt="red", steps=True), JSON, 400, "steps"),
    ("huge number", b'{"workflow":"text-to-image","inputs":{"prompt":"red","seed":1e999}}', JSON, 400, "seed"),
    ("huge integer", b'{"workflow":"text-to-image","inputs":{"seed":%s}}' % (b"9" * 9000), JSON, 400, None),
    ("not a number", b'{"workflow":"text-to-image","inputs":{"prompt":"red","guidance":NaN}}', JSON, 400, "guidance"),
    ("unknown input", _job(prompt="red", stepz=3), JSON, 400, "stepz"),
    ("unknown field", b'{"workflow":"text-to-image","inputs":{"prompt":"red"},"dead":1}', JSON, 400, "dead"),
    ("unknown workflow", b'{"workflow":"text-to-imag","inputs":{"prompt":"red"}}', JSON, 400, "workflow"),
    ("no workflow", b'{"inputs":{"prompt":"red"}}', JSON, 400, "workflow"),
    ("deadline", b'{"workflow":"text-to-image","inputs":{"prompt":"red"},"deadline_s":-1}', JSON, 400, "deadline_s"),
    ("a list", b"[]", JSON, 400, None),
    ("nothing", b"", JSON, 400, None),
    ("broken JSON", b'{"workflow"', JSON, 400, None),
    ("bad UTF-8", b'{"workflow":"text-to-image","inputs":{"prompt":"\xff\xfe"}}', JSON, 400, None),
    ("deep nesting", b"[" * 100_000, JSON, 400, None),
    ("10 MB", b'{"workflow":"' + b"x" * 10_000_000 + b'"}', JSON, 413, None),
    ("form", b"prompt=red", "application/x-www-form-urlencoded", 415, None),
    ("no content type", b'{"workflow":"text-to-image"}', "", 415, None),
    ("path as picture", b'{"workflow":"image-to-image","inputs":{"image":"/etc/passwd","prompt":"red"}}',
     JSON, 400, "image"),
    ("bad base64", b'{"workflow":"image-to-image","inputs":{"image":"data:image/png;base64,***","prompt":"red"}}',
     JSON, 400, "image"),
    ("no picture", b'{"workflow":"image-to-image","inputs":{"image":"data:image/png;base64,AAAA","prompt":"red"}}',
     JSON, 400, "image"),
    ("unknown artifact",
     b'{"workflow":"image-to-image","inputs":{"image":"sha256-%s.png","prompt":"red"}}' % (b"0" * 64),
     JSON, 400, "image"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "media_type", "status", "param"), [row[1:] for row in BAD_JOBS],
                         ids=[row[0] for row in BAD_JOBS])  # fmt: skip
def test_bad_input_is_refused_by_name(
    body: bytes, media_type: str, status: int, param: str | None, server: ServerProcess
) -> None:
    answer = httpx.post(server.url + "/v1/jobs", content=body, headers={"content-type": media_type}, timeout=60)
    assert answer.status_code == status, answer.text[:500]
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param and (param is None or param in error["message"])
    assert len(answer.content) < 2000 and answer.headers["x-request-id"].startswith("req_")


def test_a_body_without_length_is_bounded_too(server: ServerProcess) -> None:
    def endless() -> object:
        for _ in range(200):
            yield b" " * 100_000

    headers = {"content-type": JSON}
    answer = httpx.post(server.url + "/v1/jobs", content=endless(), headers=headers, timeout=60)  # type: ignore[arg-type]
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/v1/jobs/nope", "/v1/jobs/nope/events", "/v1/artifacts/nope", "/v1/models/nope",
                                  "/v1/artifacts/..%2f..%2fjobs.sqlite", "/nope", "/v1/jobs?after=nope"])  # fmt: skip
def test_what_is_not_there(path: str, server: ServerProcess) -> None:
    answer = server.get(path)
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"


def test_unknown_query_and_method(server: ServerProcess) -> None:
    assert server.get("/v1/jobs?limti=3").json()["error"]["param"] == "limti"
    answer = httpx.put(server.url + "/v1/jobs", json={})
    assert answer.status_code == 405 and answer.json()["error"]["code"] == "method_not_allowed"


def test_catalog_state_and_metrics(server: ServerProcess) -> None:
    job_id = server.job()
    server.ended(job_id)
    names = [workflow["name"] for workflow in server.get("/v1/workflows").json()["data"]]
    assert names == ["text-to-image", "text-to-image-quick", "image-to-image"]
    steps = server.get("/v1/workflows").json()["data"][0]["inputs"]["properties"]["steps"]
    assert (steps["type"], steps["minimum"], steps["maximum"], steps["default"]) == ("integer", 1, 1000, 4)
    executors = server.get("/v1/executors").json()["data"]
    assert len(executors) == 2 and any("vae" in model for executor in executors for model in executor["models"])
    assert server.get("/readyz").json() == {"status": "ready"} and server.get("/healthz").json() == {"status": "ok"}
    metrics = server.get("/metrics").text
    ended = 'brickwork_jobs_total{state="succeeded",workflow="text-to-image"} '
    assert float(metrics.partition(ended)[2].split()[0]) >= 1
    assert job_id not in metrics and "/v1/jobs/{job_id}" in metrics, "routes are labels, ids are not"
