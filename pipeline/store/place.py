"""Where a store is: what tells it from a copy, however faithful (promise 12)."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import Engine, text

_MACHINE = Path("/etc/machine-id")
_CONTAINERS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_SERVER = "SELECT (SELECT system_identifier FROM pg_control_system()), oid FROM pg_database WHERE datname = current_database()"


def place_of(engine: Engine) -> str:
    """SQLite: the file's path, the number of the folder it lies in, the machine. PostgreSQL: the server, and the database there.

    The folder, not the file: a restore puts another file there, and no copy keeps the folder's number. Not the device, which may
    have another number after a reboot. On a server all machines that use it are in one place, for they share what was sent.
    """
    url = engine.url
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "").resolve()
        return json.dumps([str(path), path.parent.stat().st_ino, _machine()])
    with engine.connect() as connection:
        server, database = connection.execute(text(_SERVER)).one()
    return json.dumps([url.host, url.port, url.database, str(server), int(database)])


def _machine() -> str:
    """Which machine (machine-id(5)); a container has none of its own, or another one each time it is made."""
    if any(path.exists() for path in _CONTAINERS):
        return ""
    try:
        return _MACHINE.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
