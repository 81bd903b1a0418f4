"""Goal: what is older than the retention time goes, with its files; nothing else does.

Method: a real store and artifact directory; files are made old by their time stamps, jobs by the times they were
given.
"""

import asyncio
import os
from pathlib import Path
from time import time

from brickwork.server.housekeeping import MIN_AGE_S, clean
from brickwork.store.artifacts import ArtifactDirectory, ArtifactKey
from brickwork.store.jobs import Job, JobId
from brickwork.store.sqlite import SqliteJobStore
from brickwork.store.states import JobState

DAY_S = 86400.0


def test_old_jobs_and_their_files_go(tmp_path: Path) -> None:
    artifacts = ArtifactDirectory(tmp_path / "artifacts")
    keys = {name: artifacts.put(name.encode(), "image/png") for name in ("old", "new", "shared", "stray")}
    for key in keys.values():
        os.utime(artifacts.path(key), (time() - 2 * MIN_AGE_S,) * 2)
    young = artifacts.put(b"young", "image/png")
    with SqliteJobStore(tmp_path) as store:
        asyncio.run(_scenario(store, artifacts, keys))
        left = {job.id for job in store.list().result()}
    assert left == {"new", "unfinished"}
    assert [name for name, key in keys.items() if artifacts.exists(key)] == ["new", "shared"]
    assert artifacts.exists(young)


async def _scenario(store: SqliteJobStore, artifacts: ArtifactDirectory, keys: dict[str, ArtifactKey]) -> None:
    epoch = await store.new_epoch(time())
    for name, age_s in (("old", 40 * DAY_S), ("new", DAY_S)):
        at_s = time() - age_s
        job_id = JobId(name)
        await store.create(Job(job_id, "w", (("photo", keys["shared"]),), at_s, epoch))
        await store.start(job_id, 1, epoch, at_s)
        await store.finish(job_id, 1, epoch, JobState.SUCCEEDED, at_s, (("image", keys[name]),))
    await store.create(Job(JobId("unfinished"), "w", (), time() - 90 * DAY_S, epoch))
    await clean(store, artifacts, 30 * DAY_S)
