"""What the files of an SQLite store still hold of rows that were erased, and older copies of the store."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store import personal, subscribers
from pipeline.store.database import Store, open_file

_MAGIC = b"SQLite format 3\0"
_BLOCK = 1_048_576
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.1


def spellings(address: str) -> tuple[bytes, ...]:
    """How the address may stand in a file, in lower case ASCII: as it is, and as a header, a link or a mail's body has it."""
    plain = {address.encode(), address.casefold().encode(), address.lower().encode()}
    return tuple(sorted({one.replace(b"@", sign).lower() for one in plain for sign in (b"@", b"=40", b"%40", b"\\u0040")}))


def holds(path: Path, needles: Sequence[bytes]) -> bool:
    """Whether one of the needles stands anywhere in the file, whatever the case of its ASCII. Raises OSError."""
    longest = max(len(needle) for needle in needles)
    with path.open("rb") as file:
        rest = b""
        while block := file.read(_BLOCK):
            text = rest + block.lower()
            if any(needle in text for needle in needles):
                return True
            rest = text[-longest:]
    return False


def settle(store: Store, needles: Sequence[bytes]) -> bool:
    """Take what was erased out of the store's WAL, and where a page still holds it out of that; whether nothing is left.

    Waits a while for those who read at this moment: they keep what they see.
    """
    if not store.is_sqlite:
        return True
    path = Path(store.where)
    if not _checkpoint(store):
        return False
    if holds(path, needles):
        _run(store, "VACUUM")
        return _checkpoint(store) and not holds(path, needles)
    return True


def _checkpoint(store: Store) -> bool:
    """Whether the WAL is empty now."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        [(busy, _, _)] = _run(store, "PRAGMA wal_checkpoint(TRUNCATE)")
        if not busy or time.monotonic() > end:
            return not busy
        time.sleep(_PAUSE_SECONDS)


def _run(store: Store, statement: str) -> list[tuple[int, ...]]:
    """Outside any transaction."""
    with contextlib.closing(store.engine.raw_connection()) as borrowed:
        try:
            found: list[tuple[int, ...]] = borrowed.driver_connection.execute(statement).fetchall()  # type: ignore[union-attr]
        except sqlite3.OperationalError as error:
            raise StoreError(f"The store {store.where} could not be cleaned: {error}.", fix="Try again.") from None
        return found


def is_copy(path: Path, store: Store) -> bool:
    """Whether the file is a database of Gazet, and not the store itself."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC or (store.is_sqlite and path.samefile(store.where)):
                return False
        with contextlib.closing(sqlite3.connect(path)) as copy:
            tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return holds(path, (b"alembic_version",))  # a torn one of ours
    return {"alembic_version", "subscribers", "deliveries"} <= tables


def erase_in_copy(path: Path, address: str, address_hash: str, now: datetime) -> bool:
    """Erase a person from a copy of the store, whatever its revision; whether anything of them was there.

    Afterwards it is one file that holds nothing of them. Raises StoreError where that cannot be done.
    """
    needles = spellings(address)
    copy = open_file(path)
    try:
        with copy.write() as tx:
            found = personal.scrub(tx, subscribers.fold(address))
            if found:
                subscribers.suppress(tx, address_hash, subscribers.ERASED, now)
        if found or holds(path, needles):
            _run(copy, "VACUUM")
        _run(copy, "PRAGMA journal_mode=DELETE")
    finally:
        copy.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())
    if holds(path, needles):
        raise StoreError(f"The copy {path} still holds the address.", fix="Delete it.")
    return bool(found)
