"""Old jobs are forgotten, and then the files that no job names any more, so that a state directory does not grow for
ever. Once an hour, beside everything else."""

import asyncio
import logging
from time import time

from brickwork.server.storage import Storage
from brickwork.store.artifacts import ArtifactDirectory
from brickwork.store.errors import StoreError
from brickwork.store.jobs import JobStore

log = logging.getLogger(__name__)

INTERVAL_S = 3600.0

MIN_AGE_S = 24 * 3600.0
"""Files younger than this are kept even if no job names them: theirs may not be committed yet, when one of a job's
pictures was written and the job waits for executors, or its row for the storage."""


async def keep_house(store: JobStore, artifacts: ArtifactDirectory, keep_s: float, storage: Storage) -> None:
    """Forget jobs that ended more than `keep_s` ago, again and again. Ends only by being cancelled.

    While the storage fails nothing is removed: results wait for their commit for as long as that lasts.
    """
    while True:
        try:
            if not storage.refusal:
                await clean(store, artifacts, keep_s)
        except StoreError as error:
            log.error("old jobs could not be removed: %s", error)
        await asyncio.sleep(INTERVAL_S)


async def clean(store: JobStore, artifacts: ArtifactDirectory, keep_s: float) -> None:
    while await store.forget(time() - keep_s):
        pass
    keep = await store.artifacts()
    await asyncio.to_thread(artifacts.sweep, keep, MIN_AGE_S, time())
