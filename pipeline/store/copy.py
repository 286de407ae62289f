"""All rows of one store into another: between the kinds of database, and as one SQLite file that can be kept.

The tables are those that the migrations make at the source's revision, so a store that is about to be migrated can be
copied too. Values travel as they are stored: JSON as its text, times in UTC. A copy is one transaction of the target,
tables included: killed or failed, it leaves no tables and no rows behind, and can be run again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    cast,
    column,
    func,
    insert,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Executable, TableClause
from sqlalchemy.types import JSON, TypeEngine, UserDefinedType

from pipeline.errors import StoreError
from pipeline.store import migrate
from pipeline.store.database import Store, Tx, as_store_error, open_file
from pipeline.store.schema import UtcDateTime

_BATCH = 1000
_BATCH_OF_BYTES = 20
_MODULUS = 2**128
Progress = Callable[[str, int, int], None]
"""Hears a table's name, how many of its rows are copied, and how many there are."""


@dataclass(frozen=True, slots=True)
class TableSum:
    """How many rows a table has, and what they add up to: equal on both databases when all values are."""

    name: str
    rows: int
    checksum: str


class _JsonText(UserDefinedType[str]):
    """JSON as the text that is stored: decoding would turn its ``null`` into the database's."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"

    def column_expression(self, column: Any) -> Any:
        return cast(column, Text)


def copy_store(source: Store, target: Store, *, hold: bool = False, progress: Progress = lambda *_: None) -> list[TableSum]:
    """Copy every row of ``source``, in one consistent view of it, into the empty store ``target``; returns the sums of both.

    ``hold``: nobody else changes the source meanwhile. Raises StoreError: the target is not empty, newer, or did not take
    a value; a sum differs. The target is then as it was.
    """
    _expect_another(source, target)
    with source.write(isolation="REPEATABLE READ") if hold else source.read() as old:
        names = sorted({*inspect(old).get_table_names()} - {"alembic_version"})
        if hold and not source.is_sqlite:
            old.execute(text("SET LOCAL lock_timeout = '10s'"))
            old.execute(text(f"LOCK TABLE {', '.join(names)} IN SHARE MODE"))
        try:
            with migrate.changing(target.engine) as new:
                _expect_empty(new, names, target.where)
                migrate.upgrade(new, migrate.revision(old))
                return [_copy_table(old, new, one, source.where, progress) for one in _tables(new, names)]
        except DBAPIError as error:
            raise as_store_error(error, target.where) from error


def _expect_another(source: Store, target: Store) -> None:
    same_file = source.is_sqlite and target.is_sqlite and Path(source.where).samefile(target.where)
    if same_file or source.engine.url == target.engine.url:  # a held source would wait for itself
        raise StoreError(f"{target.where} is the store itself.", fix="Name a new, empty database.")


def _expect_empty(new: Tx, names: list[str], where: str) -> None:
    if migrate.state(new) is migrate.State.NEWER:
        raise StoreError(f"The store {where} was made by a newer Gazet.", fix="Name a new, empty database.")
    for name in sorted({*inspect(new).get_table_names()} & {*names}):
        if new.execute(select(text("1")).select_from(table(name)).limit(1)).first():
            raise StoreError(f"The store {where} is not empty (there are {name}).", fix="Name a new, empty database.")


def _tables(new: Tx, names: list[str]) -> list[TableClause]:
    """The tables with the columns that the target has, parents before their children."""
    found = MetaData()
    found.reflect(new, only=lambda name, _: name in names)
    return [table(one.name, *(column(each.name, _kind(each.type)) for each in one.columns)) for one in found.sorted_tables]


def _kind(reflected: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type that both databases read and write alike."""
    for kind, common in (
        (JSON, _JsonText()),
        (DateTime, UtcDateTime()),
        (Boolean, Boolean()),
        (LargeBinary, LargeBinary()),
        (Integer, BigInteger()),
    ):
        if isinstance(reflected, kind):
            return common
    return Text()


def _copy_table(old: Tx, new: Tx, one: TableClause, where: str, progress: Progress) -> TableSum:
    total = old.execute(select(func.count()).select_from(one)).scalar_one()
    size = _BATCH_OF_BYTES if any(isinstance(each.type, LargeBinary) for each in one.columns) else _BATCH
    names = [each.name for each in one.columns]
    sums, written = _Sum(), _Sum()
    progress(one.name, 0, total)
    with contextlib.closing(_batches(old, select(one), size, where)) as batches:
        for batch in batches:
            sums.add(batch)
            new.execute(insert(one), [dict(zip(names, row, strict=True)) for row in batch])
            progress(one.name, sums.rows, total)
    if new.dialect.name == "postgresql" and "id" in names:
        _go_on_after(new, one.name)
    with contextlib.closing(_batches(new, select(one), size, where)) as batches:
        for batch in batches:
            written.add(batch)
    if (sums.rows, sums.total) != (written.rows, written.total):
        raise StoreError(
            f"The copied {one.name} are not those of the source ({written.rows} of {sums.rows} rows).",
            fix="Nothing was written; please report this.",
        )
    return TableSum(one.name, sums.rows, f"{sums.total:032x}")


def _batches(tx: Connection, query: Executable, size: int, where: str) -> Generator[list[tuple[Any, ...]], None, None]:
    """The rows of a query, never all of them in memory. To be closed: PostgreSQL keeps a cursor for it."""
    try:
        with tx.execute(query, execution_options={"yield_per": size}) as result:
            for part in result.partitions():
                yield [tuple(row) for row in part]
    except DBAPIError as error:
        raise as_store_error(error, where) from error


class _Sum:
    """Adds up rows in whatever order they come: the databases sort differently."""

    def __init__(self) -> None:
        self.rows = 0
        self.total = 0

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        for row in rows:
            digest = hashlib.blake2b(repr(row).encode("utf-8", "backslashreplace"), digest_size=16).digest()
            self.total = (self.total + int.from_bytes(digest)) % _MODULUS
            self.rows += 1


def _go_on_after(new: Tx, name: str) -> None:
    """The next generated id follows the largest one copied. Tables with random identities have no sequence."""
    sequence = new.execute(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": name}).scalar()
    if sequence:
        largest = select(func.max(column("id"))).select_from(table(name)).scalar_subquery()
        new.execute(select(func.setval(sequence, func.coalesce(largest, 1), largest.is_not(None))))


def snapshot(store: Store, path: Path, *, progress: Progress = lambda *_: None) -> str:
    """The store as one SQLite file at ``path``, of one moment, checked and synced; returns its revision. Nobody waits for it.

    Raises StoreError or OSError when the file cannot be written, StoreError when the store turns out to be damaged.
    """
    if store.is_sqlite:
        _copy_pages(store, path)
    else:
        target = open_file(path)
        try:
            copy_store(store, target, progress=progress)
        finally:
            target.close()
    return _seal(path)


def _copy_pages(store: Store, path: Path) -> None:
    """SQLite's own backup, all pages in one step: it reads from one snapshot and, with a WAL, no writer waits."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    source = store.engine.raw_connection()
    copy = sqlite3.connect(path)
    try:
        source.driver_connection.backup(copy)  # type: ignore[union-attr]
    except sqlite3.Error as error:
        raise _unwritten(path, error) from error
    finally:
        copy.close()
        source.close()


def _seal(path: Path) -> str:
    """One file without a WAL beside it, proven to be sound, on the disk."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as copy:
            copy.execute("PRAGMA journal_mode=DELETE")
            [(verdict,), *_] = copy.execute("PRAGMA quick_check").fetchall()
            dangling = copy.execute("PRAGMA foreign_key_check").fetchall()
            [revision] = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise _unwritten(path, error) from error
    if verdict != "ok" or dangling:
        found = verdict if verdict != "ok" else f"{len(dangling)} rows are without their parent"
        raise StoreError(f"The store is damaged ({found}), so its copy would be too.", fix="Restore an earlier backup.")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return str(revision)


def _unwritten(path: Path, error: sqlite3.Error) -> StoreError:
    if "malformed" in str(error) or "not a database" in str(error):
        return StoreError(f"The store is damaged ({error}), so its copy would be too.", fix="Restore an earlier backup.")
    return StoreError(f"The copy {path} could not be written: {error}.", fix="Free some space, or correct the folder's rights.")
