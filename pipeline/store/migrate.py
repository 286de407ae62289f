"""Alembic, called from code: the schema's revision and how to bring it up to date.

Opening a store only asks how it stands; Alembic, a tenth of what a command loads, is for those that change it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table

from pipeline.errors import StoreError

_SCRIPTS = Path(__file__).parent / "migrations"
_VERSION = table("alembic_version", column("version_num"))
_ADVISORY_KEY = 0x67617A6574  # "gazet": one at a time changes the tables of a PostgreSQL database


class State(Enum):
    """How a database's revision stands to this version's."""

    CURRENT = "current"
    PENDING = "pending"
    NEWER = "newer"


def revisions() -> list[str]:
    """All revisions of this version of Gazet, oldest first: each file of ``migrations/versions`` begins with its own."""
    return sorted(path.name.partition("_")[0] for path in (_SCRIPTS / "versions").glob("[0-9]*.py"))


def head() -> str:
    """The revision of this version of Gazet."""
    return revisions()[-1]


def revision(connection: Connection) -> str:
    """The database's revision; empty where there are no tables yet."""
    if not inspect(connection).has_table(_VERSION.name):
        return ""
    return connection.execute(select(_VERSION.c.version_num)).scalar() or ""


def state(connection: Connection) -> State:
    """PENDING also for an empty database; NEWER when its revision is not one of ours."""
    current, known = revision(connection), revisions()
    if current == known[-1]:
        return State.CURRENT
    return State.PENDING if not current or current in known else State.NEWER


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to ``revision``, all steps in one transaction. Raises StoreError when rows would dangle."""
    with changing(engine) as connection:
        upgrade(connection, revision)


@contextlib.contextmanager
def changing(engine: Engine) -> Iterator[Connection]:
    """One transaction in which tables may be made anew: it happens wholly or, also when killed, not at all.

    SQLite: an Alembic batch migration drops and renames tables, and with foreign keys on that deletes the children of
    ON DELETE CASCADE and fails for the rest. The PRAGMA does nothing inside a transaction, so it stands before BEGIN.
    Raises StoreError, and changes nothing, when rows would be left without their parent.
    """
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                if not sqlite:
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_KEY})")
                yield connection
                if sqlite and (dangling := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()):
                    raise StoreError(f"The change would leave {len(dangling)} rows without their parent; nothing was changed.")
        finally:
            if sqlite:
                connection.connection.cursor().execute("PRAGMA foreign_keys=ON")


def upgrade(connection: Connection, revision: str) -> None:
    """The steps up to ``revision``, in the caller's transaction; nothing when it stands there already."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
