"""A whole site for each test, on SQLite unless a test asks for PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.web import WebServer
from tests.world import World


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server on loopback."""
    with WebServer() as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, web: WebServer) -> Iterator[World]:
    """A site with one feed, ``po``, and no relay: mails go to the outbox."""
    made = World(tmp_path / "site", web)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_world(request: pytest.FixtureRequest, tmp_path: Path, web: WebServer) -> Iterator[World]:
    """The same on both databases."""
    store = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    made = World(tmp_path / "site", web, store=store)
    yield made
    made.close()
