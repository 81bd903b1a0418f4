"""Goal: what `JobStore` promises. Every job store has to pass this suite.

Method: a rule-based machine draws histories of creates, starts, ends, cancels, new epochs, time that passes and
reopenings, many of them late, stale or repeated, next to a model of plain dicts that was written from the promises and
not from the store; then threads that race, an event loop, and single steps for what histories rarely reach.
"""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from brickwork.store.artifacts import ArtifactKey
from brickwork.store.errors import IdempotencyKeyReused, IllegalMove, JobExists, StaleEpoch, StoreError, UnknownJob
from brickwork.store.jobs import (
    KEY_LIFE_S,
    MAX_FORGET,
    Created,
    Idempotency,
    Job,
    JobError,
    JobId,
    JobStore,
    LogKind,
)
from brickwork.store.pending import Pending
from brickwork.store.sqlite import SqliteJobStore
from brickwork.store.states import MOVES, TERMINAL, JobState

Open = Callable[[Path], JobStore]
STORES: dict[str, Open] = {"sqlite": SqliteJobStore}
MEMORY = Path("/dev/shm")  # histories flush a thousand times; what a flush is worth is tested in tests/fault
PICTURE = ArtifactKey(f"sha256-{'0' * 64}.png")
OTHER = ArtifactKey(f"sha256-{'1' * 64}.mp4")


def place() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)


@pytest.fixture(params=STORES.values(), ids=STORES.keys())
def open_store(request: pytest.FixtureRequest) -> Open:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def store(open_store: Open) -> Iterator[JobStore]:
    with place() as directory:
        store = open_store(Path(directory))
        yield store
        store.close()


def job(name: str, epoch: int, **fields: Any) -> Job:
    values = (("prompt", "a red circle"), ("seed", 2**64 - 1), ("size", (64, 64)))
    given = {"workflow": "text-to-image", "values": values, "created_s": 1000.0, "epoch": epoch}
    return Job(JobId(name), **(given | fields))


def running(store: JobStore, name: str = "job_1") -> int:
    """A job that runs; returns its epoch."""
    epoch = store.new_epoch(0.0).result()
    store.create(job(name, epoch))
    assert store.start(JobId(name), 1, epoch, 2.0).result()
    return epoch


# Histories -----------------------------------------------------------------------------------------------------------

TENANTS = st.sampled_from(["ada", "bob"])
OFF_BY = st.sampled_from([*[0] * 8, -1, 1])
"""Mostly the right attempt or epoch, sometimes a late or an invented one."""


class Histories(RuleBasedStateMachine):
    """The model: `jobs` in the order of acceptance; `ends` counts the calls that ended a job."""

    open_store: Open
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.directory = place()
        self.store = self.open_store(Path(self.directory.name))
        self.now_s = 1e9
        self.made = 0
        self.jobs: dict[JobId, Job] = {}
        self.ends: Counter[JobId] = Counter()
        self.epoch = self.store.new_epoch(self.now_s).result()

    @rule(
        target=ids,
        tenant=TENANTS,
        idempotency=st.none() | st.builds(Idempotency, st.sampled_from("kl"), st.sampled_from("ffg")),
        is_stale=st.sampled_from([*[False] * 9, True]),
    )
    def create(self, tenant: str, idempotency: Idempotency | None, is_stale: bool) -> JobId | MultipleResults[JobId]:
        self.made += 1
        fields = {"tenant": tenant, "idempotency": idempotency, "created_s": self.now_s}
        new = job(f"job_{self.made}", self.epoch - is_stale, **fields)
        answer = self.store.create(new)
        holder = None if is_stale else self.holder(new)
        if is_stale:
            assert isinstance(answer.exception(), StaleEpoch)
            return multiple() if self.made > 1 else new.id  # one name that nobody knows is enough
        if holder is None:
            assert answer.result() == Created(new, is_replay=False)
            self.jobs[new.id] = new
        elif holder.idempotency == idempotency:
            assert answer.result() == Created(holder, is_replay=True)
        else:
            assert isinstance(answer.exception(), IdempotencyKeyReused)
        return new.id

    def holder(self, new: Job) -> Job | None:
        """The job that holds the new one's key; takes the key away from one that has held it for too long."""
        asked = new.idempotency
        for old in self.jobs.values():
            held = old.idempotency
            if asked and held and (old.tenant, held.key) == (new.tenant, asked.key):
                if old.created_s + KEY_LIFE_S > self.now_s:
                    return old
                self.jobs[old.id] = replace(old, idempotency=None)
        return None

    @rule(name=ids, off=OFF_BY, old=OFF_BY)
    def start(self, name: JobId, off: int, old: int) -> None:
        job = self.jobs.get(name)
        attempt = (job.attempt if job else 0) + 1 + off
        answer = self.store.start(name, attempt, self.epoch + old, self.now_s)
        if self.is_claimed(answer, name, off or old, JobState.RUNNING):
            self.jobs[name] = replace(self.jobs[name], state=JobState.RUNNING, attempt=attempt, started_s=self.now_s)

    @rule(name=ids, off=OFF_BY, old=OFF_BY, state=st.sampled_from(sorted(TERMINAL)))
    def finish(self, name: JobId, off: int, old: int, state: JobState) -> None:
        job = self.jobs.get(name)
        results = (("image", PICTURE), ("score", 0.5)) if state is JobState.SUCCEEDED else ()
        error = None if state is JobState.SUCCEEDED else JobError("code", f"It is {state}.")
        attempt = (job.attempt if job else 0) + off
        answer = self.store.finish(name, attempt, self.epoch + old, state, self.now_s, results, error)
        if self.is_claimed(answer, name, off or old, state):
            kept = None if state is JobState.REJECTED else self.jobs[name].idempotency
            self.end(name, state=state, results=results, error=error, idempotency=kept)

    def is_claimed(self, answer: Pending[bool], name: JobId, off: int, target: JobState) -> bool:
        """Check a compare-and-set's answer against the model; whether it took effect."""
        job = self.jobs.get(name)
        if job is None:
            assert isinstance(answer.exception(), UnknownJob)
        elif off or job.state in TERMINAL:
            assert answer.result() is False
        elif (job.state, target) not in MOVES:
            assert isinstance(answer.exception(), IllegalMove)
        else:
            assert answer.result() is True
            return True
        return False

    def end(self, name: JobId, **changes: Any) -> None:
        self.jobs[name] = replace(self.jobs[name], finished_s=self.now_s, **changes)
        self.ends[name] += 1

    @rule(name=ids)
    def request_cancel(self, name: JobId) -> None:
        answer = self.store.request_cancel(name, self.now_s)
        if name not in self.jobs:
            assert isinstance(answer.exception(), UnknownJob)
            return
        if self.jobs[name].state is JobState.QUEUED:
            self.end(name, state=JobState.CANCELED)
        elif self.jobs[name].state is JobState.RUNNING:
            self.jobs[name] = replace(self.jobs[name], state=JobState.CANCELING)
        assert answer.result() == self.jobs[name]

    @rule()
    def new_epoch(self) -> None:
        self.epoch += 1
        assert self.store.new_epoch(self.now_s).result() == self.epoch
        for job in self.jobs.values():
            if job.state is JobState.RUNNING:
                self.jobs[job.id] = replace(job, epoch=self.epoch, state=JobState.QUEUED, started_s=None)
            elif job.state not in TERMINAL:
                self.jobs[job.id] = replace(job, epoch=self.epoch)

    @rule(hours=st.sampled_from([0.5, 10, 24]))
    def pass_time(self, hours: float) -> None:
        self.now_s += hours * 3600

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.open_store(Path(self.directory.name))

    @rule(hours=st.sampled_from([0, 30]))
    def forget(self, hours: float) -> None:
        before_s = self.now_s - hours * 3600
        old = [job.id for job in self.jobs.values() if job.finished_s is not None and job.finished_s < before_s]
        assert self.store.forget(before_s).result() == len(old)
        for name in old:
            del self.jobs[name]

    @rule(tenant=TENANTS, state=st.none() | st.sampled_from(JobState), limit=st.integers(1, 3))
    def page_through(self, tenant: str, state: JobState | None, limit: int) -> None:
        found: list[Job] = []
        while page := self.store.list(tenant, state, found[-1].id if found else None, limit).result():
            assert len(page) <= limit
            found += page
        assert found == [
            job for job in reversed(self.jobs.values()) if job.tenant == tenant and state in (None, job.state)
        ]

    @invariant()
    def the_store_is_as_the_model(self) -> None:
        jobs = tuple(self.jobs.values())
        assert self.store.list(limit=1000).result() == jobs[::-1]
        assert self.store.unfinished().result() == tuple(job for job in jobs if job.state not in TERMINAL)

    @invariant()
    def a_job_ends_once(self) -> None:
        assert all(self.ends[job.id] == (job.state in TERMINAL) for job in self.jobs.values())

    def teardown(self) -> None:
        for job in self.jobs.values():
            assert self.store.get(job.id).result() == job
            kinds = [entry.kind for entry in self.store.log(job.id).result()]
            assert kinds[0] is LogKind.ACCEPTED
            assert kinds.count(LogKind.STARTED) == job.attempt
            assert kinds.count(LogKind.ENDED) == self.ends[job.id] == (kinds[-1] is LogKind.ENDED)
        self.store.close()
        self.directory.cleanup()


def machine_of(name: str) -> type[Histories]:
    return type("Histories", (Histories,), {"open_store": staticmethod(STORES[name])})


@pytest.mark.parametrize("name", STORES)
def test_histories(name: str) -> None:
    run_state_machine_as_test(machine_of(name), settings=settings(max_examples=60, stateful_step_count=40))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", STORES)
def test_long_histories(name: str, seed: int) -> None:
    """The same machine, evenly drawn and long: what Hypothesis draws is short, so that it can be made shorter."""
    rng = random.Random(seed)
    machine = machine_of(name)()
    keys = [*[None] * 6, *(Idempotency(key, fingerprint) for key in "kl" for fingerprint in "ffg")]
    off = [*[0] * 12, -1, 1]
    ends = sorted(TERMINAL)

    def one() -> JobId:
        return rng.choice([*list(machine.jobs)[-12:], JobId("job_nobody_knows")])

    rules: list[tuple[int, Callable[[], object]]] = [
        (10, lambda: machine.create(rng.choice(["ada", "bob"]), rng.choice(keys), rng.random() < 0.1)),
        (20, lambda: machine.start(one(), rng.choice(off), rng.choice(off))),
        (20, lambda: machine.finish(one(), rng.choice(off), rng.choice(off), rng.choice(ends))),
        (4, lambda: machine.request_cancel(one())),
        (2, machine.new_epoch),
        (1, machine.reopen),
        (2, lambda: machine.pass_time(rng.choice([0.5, 10, 24]))),
        (1, lambda: machine.forget(rng.choice([30, 100]))),
        (1, lambda: machine.page_through("ada", rng.choice([None, *JobState]), 3)),
    ]
    weights = [weight for weight, _ in rules]
    for _ in range(1500):
        rng.choices(rules, weights)[0][1]()
        machine.the_store_is_as_the_model()
        machine.a_job_ends_once()
    machine.teardown()


# Races ---------------------------------------------------------------------------------------------------------------


def test_one_of_many_equal_requests_creates_the_job(store: JobStore) -> None:
    epoch = store.new_epoch(0.0).result()
    again = Idempotency("key", "fingerprint")
    with ThreadPoolExecutor(16) as pool:
        orders = [job(f"job_{n}", epoch, idempotency=again) for n in range(64)]
        answers = list(pool.map(lambda order: store.create(order).result(), orders))
    assert sum(not answer.is_replay for answer in answers) == 1
    assert len({answer.job.id for answer in answers}) == 1
    assert len(store.list().result()) == 1


def test_one_of_many_ends_is_the_end(store: JobStore) -> None:
    """1. An attempt succeeds, twice reported. 2. It fails, too. 3. All at once. The job is as the one True said."""
    for round_ in range(20):
        epoch = running(store, f"job_{round_}")
        ends = [JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED] * 4

        def end(state: JobState, name: str = f"job_{round_}", epoch: int = epoch) -> bool:
            return store.finish(JobId(name), 1, epoch, state, 3.0).result()

        with ThreadPoolExecutor(12) as pool:
            told = list(pool.map(end, ends))
        assert told.count(True) == 1
        assert store.get(JobId(f"job_{round_}")).result().state is ends[told.index(True)]


def test_orders_take_effect_in_their_order(store: JobStore) -> None:
    epoch = store.new_epoch(0.0).result()
    orders = []
    for n in range(200):
        name = JobId(f"job_{n}")
        store.create(job(name, epoch))
        orders += [store.start(name, 1, epoch, 2.0), store.finish(name, 1, epoch, JobState.SUCCEEDED, 3.0)]
    assert all(order.result() for order in orders)


def test_a_refused_change_takes_no_neighbour_along(store: JobStore) -> None:
    epoch = store.new_epoch(0.0).result()
    good = [store.create(job(f"job_{n}", epoch)) for n in range(50)]
    bad = [store.create(job(f"job_{n}", epoch)) for n in range(50)]
    worse = store.create(job("job_50", epoch, tenant="\ud800"))
    more = [store.create(job(f"job_{n}", epoch)) for n in range(51, 99)]
    assert all(isinstance(answer.exception(), JobExists) for answer in bad)
    assert isinstance(worse.exception(), UnicodeEncodeError)
    assert not any(answer.result().is_replay for answer in good + more)
    assert len(store.list().result()) == 98


def test_an_event_loop_awaits_and_may_give_up_waiting(store: JobStore) -> None:
    async def use() -> None:
        epoch = await store.new_epoch(0.0)
        task = asyncio.ensure_future(asyncio.wait_for(store.create(job("job_1", epoch)), 60))
        await asyncio.sleep(0)  # the order is given, its answer not yet awaited
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await store.create(job("job_2", epoch))).job.id == "job_2"
        assert (await store.get(JobId("job_1"))).id == "job_1"
        with pytest.raises(UnknownJob, match="job_3: there is no such job"):
            await store.get(JobId("job_3"))

    asyncio.run(use())


# Single steps --------------------------------------------------------------------------------------------------------


def test_an_old_server_can_neither_accept_nor_start_nor_end(store: JobStore) -> None:
    old = running(store)
    new = store.new_epoch(5.0).result()
    assert isinstance(store.create(job("job_2", old)).exception(), StaleEpoch)
    assert store.start(JobId("job_1"), 2, old, 6.0).result() is False
    assert store.finish(JobId("job_1"), 1, old, JobState.SUCCEEDED, 6.0).result() is False
    assert store.start(JobId("job_1"), 2, new, 7.0).result() is True
    assert store.finish(JobId("job_1"), 1, new, JobState.SUCCEEDED, 8.0).result() is False  # the first attempt, late
    assert store.finish(JobId("job_1"), 2, new, JobState.SUCCEEDED, 9.0).result() is True


def test_errors_say_what_to_do(store: JobStore) -> None:
    epoch = store.new_epoch(0.0).result()
    store.create(job("job_1", epoch, idempotency=Idempotency("key", "one")))
    with pytest.raises(
        IdempotencyKeyReused, match=r"Idempotency-Key 'key' was used for another request \(job_1\); send"
    ):
        store.create(job("job_2", epoch, idempotency=Idempotency("key", "two"))).result()
    with pytest.raises(IllegalMove, match="job_1: a job that is queued cannot become succeeded; allowed is running"):
        store.finish(JobId("job_1"), 0, epoch, JobState.SUCCEEDED, 1.0).result()
    with pytest.raises(ValueError, match="job_1: running is no end; expected one of canceled, expired"):
        store.finish(JobId("job_1"), 0, epoch, JobState.RUNNING, 1.0)
    with pytest.raises(ValueError, match="job_1: a job that ends as failed has no results"):
        store.finish(JobId("job_1"), 0, epoch, JobState.FAILED, 1.0, (("image", PICTURE),))
    with pytest.raises(ValueError, match="leave the fields from `state` on alone"):
        store.create(job("job_3", epoch, attempt=1))
    with pytest.raises(ValueError, match="limit: expected 1 to 1000, got 0"):
        store.list(limit=0)
    with pytest.raises(ValueError, match="started: the store writes such entries itself"):
        store.append_log(LogKind.STARTED, 1.0, {})


def test_the_run_log_tells_a_jobs_life(store: JobStore) -> None:
    first = running(store)
    store.append_log(LogKind.CHECKPOINT, 3.0, {"step": 8, "block": [1, 2]}, JobId("job_1"))
    second = store.new_epoch(4.0).result()
    store.start(JobId("job_1"), 2, second, 5.0)
    store.finish(JobId("job_1"), 2, second, JobState.SUCCEEDED, 6.0, (("image", PICTURE), ("score", 0.5))).result()
    told = [(entry.at_s, entry.kind, entry.data) for entry in store.log(JobId("job_1")).result()]
    ended = {"state": "succeeded", "attempt": 2, "epoch": second, "artifacts": {"image": {"artifact": str(PICTURE)}}}
    assert told == [
        (1000.0, LogKind.ACCEPTED, {"epoch": first}),
        (2.0, LogKind.STARTED, {"attempt": 1, "epoch": first}),
        (3.0, LogKind.CHECKPOINT, {"step": 8, "block": [1, 2]}),
        (5.0, LogKind.STARTED, {"attempt": 2, "epoch": second}),
        (6.0, LogKind.ENDED, ended),
    ]


def test_a_probe_leaves_no_trace(store: JobStore) -> None:
    epoch = store.new_epoch(0.0).result()
    store.create(job("job_1", epoch)).result()
    before = store.log().result(), store.log(JobId("job_1")).result()
    store.probe().result()
    assert (store.log().result(), store.log(JobId("job_1")).result()) == before


def test_what_the_store_forgets(store: JobStore) -> None:
    """Ended jobs with their log, in bites; of the log of the store all but the latest entry of each kind."""
    epoch = store.new_epoch(1.0).result()
    for n in range(MAX_FORGET + 2):
        store.create(job(f"job_{n}", epoch))
        if n > 0:
            store.finish(JobId(f"job_{n}"), 0, epoch, JobState.EXPIRED, 50.0)
    for at_s in (2.0, 3.0):
        store.append_log(LogKind.RESIDENCY, at_s, {"slot 1": ["vae"]})
    assert [store.forget(100.0).result() for _ in range(3)] == [MAX_FORGET, 1, 0]
    assert [found.id for found in store.list().result()] == ["job_0"]
    with pytest.raises(UnknownJob):
        store.log(JobId("job_1")).result()
    assert [entry.at_s for entry in store.log().result()] == [1.0, 3.0]


def test_artifacts_of_inputs_and_results_are_all_named(store: JobStore) -> None:
    epoch = store.new_epoch(0.0).result()
    assert store.artifacts().result() == frozenset()
    store.create(
        job("job_1", epoch, values=(("picture", PICTURE), ("prompt", "artifact"), ("more", (1, (PICTURE,)))))
    ).result()
    assert store.artifacts().result() == {PICTURE}
    store.start(JobId("job_1"), 1, epoch, 2.0)
    store.finish(
        JobId("job_1"), 1, epoch, JobState.SUCCEEDED, 3.0, (("video", OTHER), ("text", f"{'2' * 64}"))
    ).result()
    assert store.artifacts().result() == {PICTURE, OTHER}


def test_a_closed_store_answers_with_an_error(store: JobStore) -> None:
    epoch = store.new_epoch(0.0).result()
    ordered = [store.create(job(f"job_{n}", epoch)) for n in range(100)]
    store.close()
    store.close()
    assert all(answer.result() for answer in ordered)  # what was ordered before is carried out
    with pytest.raises(StoreError, match="the job store is closed"):
        store.create(job("job_100", epoch)).result()
    with pytest.raises(StoreError, match="the job store is closed"):
        store.get(JobId("job_1")).result()
