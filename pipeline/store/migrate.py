"""Alembic, called from code: the schema's revision and how to bring it up to date."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from pipeline.errors import StoreError


class State(Enum):
    """How a database's revision stands to this version's."""

    CURRENT = "current"
    PENDING = "pending"
    NEWER = "newer"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def state(connection: Connection) -> State:
    """PENDING also for an empty database; NEWER when its revision is not one of ours."""
    scripts = ScriptDirectory.from_config(_config())
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision == scripts.get_current_head():
        return State.CURRENT
    known = {script.revision for script in scripts.walk_revisions()}
    return State.PENDING if revision is None or revision in known else State.NEWER


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to ``revision``, all steps in one transaction. Raises StoreError when rows would dangle.

    SQLite: an Alembic batch migration drops and renames tables, and with foreign keys on that deletes the children of
    ON DELETE CASCADE and fails for the rest. The PRAGMA does nothing inside a transaction, so it stands before BEGIN.
    """
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                _upgrade(connection, revision)
                if sqlite and (dangling := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()):
                    raise StoreError(f"The migration would leave {len(dangling)} rows without their parent; nothing was changed.")
        finally:
            if sqlite:
                connection.connection.cursor().execute("PRAGMA foreign_keys=ON")


def _upgrade(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
