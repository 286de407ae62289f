"""Servers for sites that are going to be killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.servers import HoldingServer, LoggingServer, logging_server
from tests.crash.sites import SiteMaker, opened
from tests.servers.web import WebServer
from tests.world import World


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server on loopback."""
    with WebServer() as server:
        yield server


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[LoggingServer]:
    """A mail server in a process of its own."""
    with logging_server(tmp_path / "mail.log") as server:
        yield server


@pytest.fixture
def holding_server() -> Iterator[HoldingServer]:
    """A mail server that can be stopped at a moment of its conversations."""
    with HoldingServer() as server:
        yield server


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, web: WebServer) -> Iterator[SiteMaker]:
    """Makes a site with an open edition."""
    made: list[World] = []

    def make(port: int, people_count: int, *, store: str = "sqlite", digest: str = "") -> World:
        url = request.getfixturevalue("postgres_url") if store == "postgresql" else ""
        made.append(opened(tmp_path / "site", web, port, people_count=people_count, store=url, digest=digest))
        return made[-1]

    yield make
    for world in made:
        world.close()
