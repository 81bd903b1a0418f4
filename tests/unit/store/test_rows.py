"""Goal: a job comes back from its row as it went in. Method: drawn jobs, nested values and artifact keys among them."""

import json
import math
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.store.artifacts import ArtifactKey
from brickwork.store.jobs import Idempotency, Job, JobError, JobId, Value
from brickwork.store.rows import COLUMNS, decode, encode, job_of, row_of
from brickwork.store.states import JobState

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
seconds = st.floats(0, 1e11)
keys = st.builds(lambda digest: ArtifactKey(f"sha256-{digest.hex()}.png"), st.binary(min_size=32, max_size=32))
leaves = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Value] = st.recursive(
    leaves | st.text(max_size=20) | keys, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6
)
named = st.lists(st.tuples(st.text(max_size=9), values), max_size=4).map(tuple)
jobs = st.builds(
    Job,
    id=texts.map(JobId),
    workflow=texts,
    values=named,
    created_s=seconds,
    epoch=st.integers(0, 2**62),
    tenant=texts,
    priority=st.integers(-(10**6), 10**6),
    deadline_s=st.none() | seconds,
    deterministic=st.booleans(),
    idempotency=st.none() | st.builds(Idempotency, texts, texts),
    state=st.sampled_from(JobState),
    attempt=st.integers(0, 99),
    started_s=st.none() | seconds,
    finished_s=st.none() | seconds,
    error=st.none() | st.builds(JobError, texts, texts),
    results=named,
)


@given(jobs)
def test_a_job_survives_a_real_table(job: Job) -> None:
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE TABLE jobs ({', '.join(COLUMNS)})")
    db.execute(f"INSERT INTO jobs VALUES ({', '.join('?' * len(COLUMNS))})", row_of(job))
    found = job_of(db.execute("SELECT * FROM jobs").fetchone())
    db.close()
    assert found == job
    assert repr(found) == repr(job)  # 1, 1.0 and True are equal and not the same


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        encode((("guidance", value),))


def test_bytes_are_sent_to_the_artifacts() -> None:
    with pytest.raises(TypeError, match="bytes cannot be kept in a job; put it into an artifact"):
        encode((("picture", b"\x89PNG"),))  # type: ignore[arg-type]


def test_a_foreign_object_in_the_database_is_no_value() -> None:
    with pytest.raises(ValueError, match="is no value"):
        decode(json.dumps([["x", {"path": "../../etc"}]]))
    with pytest.raises(ValueError, match="no artifact key"):
        decode(json.dumps([["x", {"artifact": "../../etc"}]]))
