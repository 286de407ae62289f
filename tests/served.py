"""A world with its own web server, as the public reaches it, and what can be asked of it without a client's help.

with Served(world, prefix="/nieuws") as served:
    served.send("POST", served.path_of(link), body=b"List-Unsubscribe=One-Click")
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from pipeline.jobs.site import Site
from pipeline.store.schema import Base
from pipeline.web.application import application
from pipeline.web.server import WebServer
from tests.world import World

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Got:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Served:
    """The web server of a world; ``site.url`` in its settings leads to it. ``said``: its lines for the operator."""

    def __init__(self, world: World, *, prefix: str = "", site: Callable[[], Site] | None = None, now: datetime = NOW) -> None:
        self.world = world
        self.said: list[str] = []
        self.now = now
        self.server = WebServer(application(site or (lambda: world.site), lambda: self.now, self.said.append), "127.0.0.1:0")
        self.prefix = prefix

    def __enter__(self) -> Served:
        self.server.start()
        self.host = self.server.url.removeprefix("http://")
        toml = self.world.folder / "gazet.toml"
        toml.write_text(re.sub(r'(?m)^url = "http.*"$', f'url = "{self.url}"', toml.read_text()))
        self.world.reopen()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    @property
    def url(self) -> str:
        """``site.url``."""
        return self.server.url + self.prefix

    def path_of(self, url: str) -> str:
        return urlsplit(url).path or "/"

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Got:
        """One request exactly as given: no redirect is followed, nothing in the path is changed."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Got:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: bytes = b"", **headers: str) -> Got:
        return self.send("POST", path, body, **headers)

    def talk(self) -> socket.socket:
        """A bare connection."""
        host, port = self.host.split(":")
        return socket.create_connection((host, int(port)), timeout=30)


def digest_world(world: World, *names: str) -> World:
    """Four items, and a digest of them to each name (ann alone by default)."""
    for number in range(1, 5):
        world.news(f"Bericht {number}", f"2026-11-2{number - 1}T09:00", text="Een bericht met wat meer woorden. " * 5)
    for name in names or ("ann",):
        world.subscribe(f"{name}@example.org", cadence="daily", at="2026-11-23T10:00")
    world.run("2026-11-24T08:00")
    return world


def links(world: World, address: str = "ann@example.org") -> list[str]:
    """Every address in a digest, of its text part and its HTML part."""
    mail = next(mail for mail in world.mails if address in str(mail["To"]))
    found: set[str] = set()
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body is not None
        found |= set(re.findall(r"https?://[^\s\"<>]+", body.get_content()))
    return sorted(url for url in found if "127.0.0.1" in url)


def unsubscribe_link(world: World, address: str = "ann@example.org") -> str:
    """The one that mailbox providers use."""
    mail = next(mail for mail in world.mails if address in str(mail["To"]))
    found = re.search(r"<(http[^>]+)>", str(mail["List-Unsubscribe"]))
    assert found
    return found[1]


def read_link(world: World) -> str:
    return next(url for url in links(world) if "/read/" in url)


def dump(world: World) -> dict[str, list[Any]]:
    """Every row of every table."""
    with world.site.store.read() as tx:
        return {table.name: sorted(map(repr, tx.execute(select(table)).all())) for table in Base.metadata.sorted_tables}
