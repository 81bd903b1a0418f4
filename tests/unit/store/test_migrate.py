"""Goal: a database is always at the schema of some version, never between two, and never at one we do not know.
Method: invented migrations on a real file; one of them fails half-way."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from brickwork.store.errors import StoreError
from brickwork.store.migrate import Migration, migrate, shipped_migrations

ONE = Migration(1, "CREATE TABLE a (x); INSERT INTO a VALUES (1);")
TWO = Migration(2, "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1;")
BROKEN = Migration(3, "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1);")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(path, isolation_level=None)
    yield db
    db.close()


def version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_each_is_applied_once_and_in_order(db: sqlite3.Connection, path: Path) -> None:
    migrate(db, path, [ONE])
    migrate(db, path, [ONE, TWO])
    migrate(db, path, [ONE, TWO])
    assert db.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]
    assert version(db) == 2


def test_one_that_fails_leaves_the_version_before_it(db: sqlite3.Connection, path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(db, path, [ONE, TWO, BROKEN])
    assert version(db) == 2
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    migrate(db, path, [ONE, TWO, Migration(3, "CREATE TABLE b (x);")])
    assert version(db) == 3


def test_a_newer_database_is_refused_and_left_alone(db: sqlite3.Connection, path: Path) -> None:
    migrate(db, path, [ONE, TWO])
    with pytest.raises(StoreError, match=r"jobs.sqlite: its schema has version 2; this brickwork knows .* up to 1"):
        migrate(db, path, [ONE])
    assert version(db) == 2


def test_the_shipped_ones_are_numbered_from_one(db: sqlite3.Connection, path: Path) -> None:
    shipped = shipped_migrations()
    assert [migration.number for migration in shipped] == list(range(1, len(shipped) + 1))
    migrate(db, path, shipped)
    assert version(db) == len(shipped)
