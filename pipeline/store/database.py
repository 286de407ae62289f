"""Opening the store, and its two kinds of transaction."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from pipeline.config import Settings
from pipeline.errors import StoreError, UnfitStoreError
from pipeline.store import migrate
from pipeline.store.place import place_of
from pipeline.store.record import FOLDER, Notes, Record
from pipeline.store.record import options as record_options

T = TypeVar("T")
UNFINISHED = "var/restoring/plan.json"
"""Is there while a restore puts its files in place: nothing else may be done meanwhile."""
Tx = Connection
"""An open transaction; what every query function takes first."""

_GATHERING_SECONDS = 0.01
_IN_THE_WAY = ("40001", "40P01", "55P03", "23505", "08", "57P")
"""SQLSTATE: serialization failure, deadlock, lock not available, somebody else wrote the row; and a server that is away."""


class Store:
    """One database. ``read()`` and ``write()`` are context managers that commit at the end and roll back on an error.

    What a transaction noted is in ``record``, synced, before it commits (promise 11); None: this store keeps no record.
    """

    def __init__(self, engine: Engine, where: str, record: Record | None = None) -> None:
        self.engine = engine
        self.where = where
        self.record = record
        self.is_sqlite = engine.dialect.name == "sqlite"
        # SQLite has one writer at a time; waiting here is fair and instant, its busy handler polls.
        self._writer: contextlib.AbstractContextManager[Any] = threading.Lock() if self.is_sqlite else contextlib.nullcontext()
        self._gathering = threading.Lock()
        self._batches: dict[Any, _Batch] = {}

    @contextlib.contextmanager
    def read(self) -> Iterator[Tx]:
        """A consistent view. Raises StoreError."""
        with self._transaction(write=False, isolation="REPEATABLE READ") as tx:
            yield tx

    @contextlib.contextmanager
    def write(self, *, isolation: str = "READ COMMITTED") -> Iterator[Tx]:
        """A transaction that writes (BEGIN IMMEDIATE on SQLite). ``isolation`` matters on PostgreSQL only.

        Raises StoreError; a retryable one when another transaction was in the way, or a server away.
        """
        with self._writer, self._transaction(write=True, isolation=isolation) as tx:
            yield tx

    @contextlib.contextmanager
    def _transaction(self, *, write: bool, isolation: str) -> Iterator[Tx]:
        options: dict[str, Any] = {"gazet_write": write} if self.is_sqlite else {"isolation_level": isolation}
        notes = Notes(self.record.address_hash) if write and self.record is not None else None
        noted = b""
        try:
            with self.engine.connect() as connection:
                connection = connection.execution_options(**options, **record_options(notes))
                with connection.begin():
                    yield connection
                    if self.record is not None and notes is not None:
                        noted = self.record.write(notes)
        except DBAPIError as error:
            # A server that went away during COMMIT may have done it: what is on record stays there.
            if noted and self.record is not None and not error.connection_invalidated:
                self.record.void(noted)
            raise as_store_error(error, self.where) from error

    @functools.cached_property
    def place(self) -> str:
        """What tells this store from a copy of it, wherever that is. Raises StoreError."""
        try:
            return place_of(self.engine)
        except DBAPIError as error:
            raise as_store_error(error, self.where) from error
        except OSError as error:
            raise StoreError(f"The store {self.where} cannot be looked at: {error.strerror}.") from None

    def write_together(self, value: T, write: Callable[[Tx, list[T]], None]) -> None:
        """Write ``value`` in one transaction with whatever other threads hand in for the same ``write`` meanwhile.

        Returns when it is committed. Where they cannot be written together each is written alone. Raises StoreError for this
        one. For small facts that many threads learn at once: a commit costs the same for one as for thirty.
        """
        with self._gathering:
            batch = self._batches.setdefault(write, _Batch())
            batch.values.append(value)
            first = len(batch.values) == 1
        if not first:
            batch.done.wait()
        elif self._write_batch(batch, write):
            return
        if batch.failed:
            with self.write() as tx:
                write(tx, [value])

    def _write_batch(self, batch: _Batch, write: Callable[[Tx, list[Any]], None]) -> bool:
        """The first one of a batch writes it, a moment later and once it is its turn; until then others join. Whether it did."""
        time.sleep(_GATHERING_SECONDS)
        try:
            with self.write() as tx:
                self._end_gathering(batch)
                write(tx, batch.values)
        except StoreError:
            batch.failed = True
        except BaseException:
            batch.failed = True
            raise
        finally:
            self._end_gathering(batch)
            batch.done.set()
        return not batch.failed

    def _end_gathering(self, batch: _Batch) -> None:
        with self._gathering:
            self._batches = {key: one for key, one in self._batches.items() if one is not batch}

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


class _Batch:
    """Values that are written together, and what came of it."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.done = threading.Event()
        self.failed = False


def as_store_error(error: DBAPIError, where: str) -> StoreError:
    """The driver's error as one of ours: retryable where somebody was in the way, with a fix where one is known."""
    text = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    fault = StoreError(f"The store {where} did not answer as it should: {text}.", fix=_fix_for(text))
    fault.retryable = _passes(error, text)
    return fault


def _passes(error: DBAPIError, text: str) -> bool:
    """Whether somebody else was in the way, or a server away (it then gives no SQLSTATE, or one of class 08 or 57P)."""
    if isinstance(error.orig, sqlite3.Error):
        return "locked" in text
    state: str | None = getattr(error.orig, "sqlstate", None)
    return isinstance(error, OperationalError) if state is None else state.startswith(_IN_THE_WAY)


def _fix_for(text: str) -> str:
    if "full" in text or "No space left" in text:
        return "Free some space on its disk; nothing that was committed is lost."
    if "I/O error" in text:
        return 'Its disk is full or failing: "df -h" and the system\'s log say which. Nothing that was committed is lost.'
    if "malformed" in text or "not a database" in text:
        return 'Keep the file as it is, look after the disk, and go back to a backup: "gazet restore FILE".'
    if "readonly" in text or "unable to open" in text:
        return "Correct the rights of the file and of its folder."
    if "locked" in text:
        return "Another program holds it; try again when that one is done."
    if "connection" in text:
        return "Start the database server, or correct store.url in gazet.toml."
    return ""


def open_store(settings: Settings, *, check: bool = True) -> Store:
    """The site's store, made and migrated when it is new. Raises StoreError when it is newer, older or misplaced.

    With ``check`` off the schema is not looked at: for ``gazet migrate``, which is going to change it.
    """
    if settings.path(UNFINISHED).exists():
        raise UnfitStoreError("A restore of this site was not finished.", fix='"gazet restore" goes on where it stopped.')
    url = _site_url(settings)
    where = _describe(url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        _refuse_beside_published(where, settings)
        _make_file(Path(url.database or ""))
    store = _connect(url, Record(settings.path(FOLDER)))
    try:
        if check:
            _check_schema(store, settings)
    except BaseException:
        store.close()
        raise
    return store


def open_file(path: Path) -> Store:
    """An SQLite file as it is, made when it is missing; nothing is checked. Raises StoreError."""
    _make_file(path)
    return _connect(URL.create("sqlite", database=str(path)))


def file_of(settings: Settings) -> Path | None:
    """The SQLite file that the settings name; None: a database server. Raises StoreError."""
    url = _site_url(settings)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def open_target(settings: Settings) -> Store:
    """The store that the settings name, for a copy to go into: made when it is missing, nothing is checked. Raises StoreError."""
    url = _site_url(settings)
    return open_file(Path(url.database or "")) if url.get_backend_name() == "sqlite" else _connect(url)


def _connect(url: URL, record: Record | None = None) -> Store:
    where = _describe(url)
    try:
        engine = create_engine(url, pool_size=20, max_overflow=100, connect_args=_connect_arguments(url))
    except (NoSuchModuleError, ImportError, ArgumentError) as error:
        raise StoreError(f"The store {where} cannot be opened: {error}.", fix=_driver_fix(url)) from None
    _prepare(engine)
    return Store(engine, where, record)


def _site_url(settings: Settings) -> URL:
    try:
        url = make_url(settings.store.url)
    except (ArgumentError, ValueError):  # what it says may hold the password
        raise StoreError("store.url in gazet.toml is not a database URL.", fix="See docs/operations.md.") from None
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise StoreError("store.url names no file.", fix="Use sqlite:///var/gazet.db.")
        url = url.set(database=str(settings.path(url.database)))
    return url


def _describe(url: URL) -> str:
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _driver_fix(url: URL) -> str:
    return 'Install it with pip install "gazet[postgresql]".' if url.get_backend_name() == "postgresql" else ""


def _refuse_beside_published(where: str, settings: Settings) -> None:
    """A new store beside published files would number and mail everything anew: it is surely a mistake."""
    public = settings.path("var/public")
    if public.exists() and any(public.rglob("*.*")):
        raise UnfitStoreError(
            f"The store {where} is not there yet, but {public} shows that this site has run before.",
            fix="Correct store.url in gazet.toml or restore the store; to begin anew, move var/public away.",
        )


def _make_file(path: Path) -> None:
    """An empty database that only its owner reads: it holds addresses. SQLite gives its WAL the same rights."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(f"The store {path} cannot be made: {error.strerror}.", fix="Correct the rights of its folder.") from None


def _connect_arguments(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": 30, "isolation_level": None, "check_same_thread": False}
    return {"connect_timeout": 10, "options": "-c timezone=UTC"}


def _prepare(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # FULL: a claim must outlive a power cut (promise 2). secure_delete: an erased address is gone from the file.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("gazet_write", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def bring_up_to_date(store: Store) -> str:
    """Migrate the schema if need be; returns what was done, in words. Raises StoreError for a newer store."""
    state, _ = schema_state(store)
    if state is migrate.State.NEWER:
        raise newer(store)
    if state is migrate.State.CURRENT:
        return "is up to date"
    try:
        migrate.migrate(store.engine)
    except DBAPIError as error:
        raise as_store_error(error, store.where) from error
    return "was brought up to date"


def schema_state(store: Store) -> tuple[migrate.State, bool]:
    """How the schema stands, and whether there is none yet."""
    try:
        with store.engine.connect() as connection:
            return migrate.state(connection), not inspect(connection).get_table_names()
    except DBAPIError as error:
        raise as_store_error(error, store.where) from error


def newer(store: Store) -> UnfitStoreError:
    """What to say of a store that another version has upgraded."""
    return UnfitStoreError(
        f"The store {store.where} was made by a newer Gazet.",
        fix="Install that version again (pip install --upgrade gazet), or put back the copy that its upgrade left in var/backups; "
        "nothing was changed.",
    )


def _check_schema(store: Store, settings: Settings) -> None:
    state, empty = schema_state(store)
    if state is migrate.State.PENDING and empty:
        _refuse_beside_published(store.where, settings)
        bring_up_to_date(store)
    elif state is migrate.State.PENDING:
        raise UnfitStoreError(
            f"The store {store.where} was made by an older Gazet.",
            fix='Bring it up to date with "gazet migrate", which copies it first.',
        )
    elif state is migrate.State.NEWER:
        raise newer(store)
