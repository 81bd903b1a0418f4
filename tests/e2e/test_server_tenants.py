"""Goal: over HTTP, a key says whose a job is: quotas hold and say what would do, nobody sees another's jobs; tenants
who always have jobs waiting share the executor by their weights.

Method: a real server with four tenants; its executors are stopped (SIGSTOP) while quotas are filled, so that nothing
depends on how fast it is. Shares are counted in finished jobs, after a while in which the tenants' clocks part.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest

from support.server import ServerProcess

KEYS = {name: f"key-of-{name}" for name in ("a", "b", "heavy", "light")}
TERMS = {"a": "max_requests = 3", "b": "max_requests = 1", "heavy": "weight = 3", "light": "weight = 1"}

WAITING = 3
"""Jobs that a tenant always has in the system: more than run at a time, so that one always waits."""

PARTING, COUNTED = 40, 80
"""Finished jobs: those in which clocks part, until waits differ as shares do, and those that are counted."""


@pytest.fixture(scope="module")
def tenants(served_model, tmp_path_factory) -> Iterator[ServerProcess]:  # type: ignore[no-untyped-def]
    config = tmp_path_factory.mktemp("tenants") / "server.toml"
    for name, granted in TERMS.items():
        digest = sha256(KEYS[name].encode()).hexdigest()
        with config.open("a") as file:
            file.write(f'[[tenants]]\nname = "{name}"\nkey_sha256 = "{digest}"\n{granted}\n')
    state_dir = tmp_path_factory.mktemp("state")
    with ServerProcess(served_model, state_dir, "--executors", "1", "--config", str(config)) as server:
        yield server


def ask(server: ServerProcess, method: str, path: str, tenant: str, body: object = None, **more: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {KEYS[tenant]}", **more}
    return httpx.request(method, server.url + path, json=body, headers=headers, timeout=120)


def submit(server: ServerProcess, tenant: str, seed: int, **more: str) -> httpx.Response:
    body = {"workflow": "text-to-image", "inputs": {"prompt": "a red circle", "steps": 4, "seed": seed}}
    return ask(server, "POST", "/v1/jobs", tenant, body, **more)


def wait_for_all(server: ServerProcess, tenant: str) -> None:
    """Until every job of a tenant has ended: its events end then."""
    for job in ask(server, "GET", "/v1/jobs", tenant).json()["data"]:
        assert ask(server, "GET", f"/v1/jobs/{job['id']}/events", tenant).status_code == 200


def test_without_a_known_key_nothing_is_told(tenants: ServerProcess) -> None:
    for headers in ({}, {"authorization": "Bearer key-of-nobody"}):
        answer = httpx.get(f"{tenants.url}/v1/jobs", headers=headers, timeout=60)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer KEY" in answer.json()["error"]["message"]
    assert tenants.get("/readyz").status_code == 200
    assert "key-of-nobody" not in tenants.log.read_text()


def test_a_full_quota_is_refused_and_others_are_not(tenants: ServerProcess) -> None:
    executors = ask(tenants, "GET", "/v1/executors", "a").json()["data"]
    for each in executors:
        os.kill(each["pid"], signal.SIGSTOP)
    try:
        answers = [submit(tenants, "a", seed) for seed in range(4)]
        other = submit(tenants, "b", 0)
    finally:
        for each in executors:
            os.kill(each["pid"], signal.SIGCONT)
    assert [each.status_code for each in answers] == [201, 201, 201, 429] and other.status_code == 201
    error = answers[-1].json()["error"]
    assert "Tenant a has 3 requests in the system" in error["message"] and "wait for one to end" in error["message"]
    assert answers[-1].headers["retry-after"] == "1"


def test_nobody_sees_the_jobs_of_another(tenants: ServerProcess) -> None:
    for tenant in ("a", "b"):
        wait_for_all(tenants, tenant)
    mine = submit(tenants, "a", 9, **{"idempotency-key": "same"})
    theirs = submit(tenants, "b", 9, **{"idempotency-key": "same"})
    job, other = mine.json()["id"], theirs.json()["id"]
    assert job != other, "equal keys of two tenants are two jobs"
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel")):
        assert ask(tenants, method, f"/v1/jobs/{job}{path}", "b").status_code == 404
    assert ask(tenants, "GET", f"/v1/jobs/{job}", "a").json()["id"] == job
    listed = {each["id"] for each in ask(tenants, "GET", "/v1/jobs", "b").json()["data"]}
    assert other in listed and job not in listed


async def keep_one(server: ServerProcess, tenant: str, finished: list[str]) -> None:
    """One job after the other, each alone in its batch, until enough of all tenants are finished."""
    headers = {"authorization": f"Bearer {KEYS[tenant]}"}
    inputs = {"prompt": "a red circle", "steps": 30}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=120) as client:
        while len(finished) < PARTING + COUNTED:
            body = {"workflow": "text-to-image", "inputs": inputs, "deterministic": True}
            job = (await client.post("/v1/jobs", json=body)).raise_for_status().json()
            await client.get(f"/v1/jobs/{job['id']}/events")
            finished.append(tenant)


def test_shares_are_by_weight(tenants: ServerProcess) -> None:
    finished: list[str] = []

    async def crowd() -> None:
        await asyncio.gather(
            *(keep_one(tenants, name, finished) for name in ("heavy", "light") for _ in range(WAITING))
        )

    asyncio.run(crowd())
    counted = finished[PARTING : PARTING + COUNTED]
    assert 2.0 <= counted.count("heavy") / max(1, counted.count("light")) <= 4.5, "".join(each[0] for each in finished)
