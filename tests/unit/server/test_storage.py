"""Goal: while the storage fails no promise is broken and no new one made; when it works again everybody goes on.

Method: a disk that fails as long as a flag says so; pauses are those of the code, cut to nothing.
"""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from brickwork.server import storage as module
from brickwork.server.storage import Storage
from brickwork.store.errors import StoreError, of_os


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("FIRST_PAUSE_S", "MAX_PAUSE_S", "MAX_PROBE_PAUSE_S"):
        monkeypatch.setattr(module, name, 0.0)
    yield


class Disk:
    """Fails while `is_full`; counts what is asked of it."""

    def __init__(self) -> None:
        self.is_full = False
        self.probes = self.writes = self.failures = 0

    def _touch(self) -> None:
        if self.is_full:
            raise of_os(Path("state"), OSError(28, "No space left on device"))

    async def probe(self) -> None:
        self.probes += 1
        self._touch()

    async def write(self) -> str:
        self.writes += 1
        self._touch()
        return "written"

    def count(self) -> None:
        self.failures += 1


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_what_was_promised_waits_and_is_done(caplog: pytest.LogCaptureFixture) -> None:
    """1. The disk is full. 2. A hundred writes wait, one probe asks on their behalf, the log has one line. 3. There is
    space again: all are done, and who waited was told when, and when no longer."""

    async def scenario() -> None:
        disk = Disk()
        storage = Storage(disk.probe, disk.count)
        disk.is_full = True
        told: list[str] = []
        writes = [asyncio.ensure_future(storage.insist(disk.write, told.append)) for _ in range(100)]
        await turns(50)
        assert "the file system is full" in storage.refusal and disk.writes == disk.failures == 100
        assert disk.probes > 1 and not any(write.done() for write in writes)
        disk.is_full = False
        assert await asyncio.gather(*writes) == ["written"] * 100
        assert storage.refusal == "" and disk.writes == 200
        assert told.count("") == 100 and sum("full" in reason for reason in told) == 100

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_probe_that_knows_less_than_the_writer() -> None:
    """The probe succeeds, the write fails again, as with an executor's own limits: it is repeated all the same."""

    async def scenario() -> None:
        disk = Disk()
        storage = Storage(disk.probe, disk.count)
        left = 5

        async def write() -> int:
            nonlocal left
            left -= 1
            if left:
                raise of_os(Path("state"), OSError(27, "File too large"))
            return left

        assert await storage.insist(write) == 0
        assert disk.failures == 4 and disk.probes == 4

    asyncio.run(scenario())


def test_only_the_storages_errors_are_waited_for() -> None:
    async def scenario() -> None:
        disk = Disk()
        storage = Storage(disk.probe, disk.count)

        async def write() -> None:
            raise ValueError("a defect")

        with pytest.raises(ValueError, match="a defect"):
            await storage.insist(write)
        with pytest.raises(StoreError), storage.watched():
            raise of_os(Path("state"), OSError(30, "Read-only file system"))
        assert "Read-only" in storage.refusal
        await storage.close()

    asyncio.run(scenario())
