"""Brings a database to the schema that this version of brickwork knows, one numbered file at a time.

The database's `user_version` is the number of the last migration applied. It is written in the same transaction as
the migration, so a crash leaves the schema before or after a migration and never within.
"""

import sqlite3
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from brickwork.store.errors import StoreError


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    sql: str  # statements without transaction control


def shipped_migrations() -> list[Migration]:
    """`migrations/0001_jobs.sql` and its successors, in order."""
    found = [item for item in files("brickwork.store").joinpath("migrations").iterdir() if item.name.endswith(".sql")]
    return [Migration(int(item.name[:4]), item.read_text("utf-8")) for item in sorted(found, key=lambda i: i.name)]


def migrate(db: sqlite3.Connection, path: Path, migrations: list[Migration]) -> None:
    """Apply what is missing, each migration in its own transaction.

    raises    StoreError when the database is newer than the newest migration; sqlite3.Error, nothing half applied
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    known = max(migration.number for migration in migrations)
    if version > known:
        raise StoreError(
            path,
            f"its schema has version {version}; this brickwork knows versions up to {known}",
            "Start the brickwork that wrote it, or a newer one.",
        )
    for migration in migrations:
        if migration.number > version:
            _apply(db, migration)


def _apply(db: sqlite3.Connection, migration: Migration) -> None:
    script = f"BEGIN IMMEDIATE;\n{migration.sql}\nPRAGMA user_version = {migration.number};\nCOMMIT;"
    try:
        db.executescript(script)
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
