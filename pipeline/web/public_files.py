"""What lies in var/public, answered before the web framework is asked (ASGI; RFC 9110 §13, §15.4.5).

request ─▶ a file's address? ─▶ on the shelf? ─▶ 304, or the bytes in the coding that suits
              │ no                 │ no: read in a thread
              ▼                    ▼ no such file
              the application ◀────┘
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio
from anyio import CapacityLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.config import Settings
from pipeline.web import conditions, files
from pipeline.web.conditions import Asked
from pipeline.web.edge import OWN, has_body, safety, within
from pipeline.web.files import PIECE_BYTES, Coded, PublishedFile
from pipeline.web.shelf import Shelf

_READERS = 4
_TRIES = 3
_FILES = ("feeds", "media", "archive")
_PAGES = frozenset(OWN) - frozenset(_FILES)
_LEAST_SECONDS, _MOST_SECONDS = 300, 3600
_FOREIGN_SECONDS = 86_400
"""How long a reader need not ask again for a copy of somebody's image."""
_OPTIONS = files.lines({"allow": "GET, HEAD, OPTIONS"})
_PREFLIGHT = _OPTIONS + files.lines(
    {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "GET, HEAD",
        "access-control-allow-headers": "Accept, Cache-Control, If-Modified-Since, If-None-Match, *",
        "access-control-max-age": "86400",
    }
)


class Answer(NamedTuple):
    """``head``: header lines, each with its CRLF; ``coded``: what to send, None where nothing follows them."""

    status: int
    head: bytes
    coded: Coded | None


class PublicFiles:
    """The files of the site as it is now, in front of ``app``. ``moved_to``: where what a path names lies now, if elsewhere."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings], moved_to: Callable[[Settings, str], str]) -> None:
        self._app = app
        self._settings = settings
        self._moved_to = moved_to
        self._shelf = Shelf()
        self._seen: Settings | None = None
        self._prefix = ""
        self._safety = b""
        self._reading = CapacityLimiter(_READERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        answered = scope["method"] in ("GET", "HEAD", "OPTIONS") and await self._send(scope, send)
        if not answered:
            await self._app(scope, receive, send)

    def at_once(self, asked: Asked) -> Answer | None:
        """The answer to a GET or HEAD, where it can be given in one piece without waiting; None: ask the application."""
        self._renewed()
        file = self._shelf.get(asked.path)
        answer = self._answer(file, asked) if file else None
        return None if answer and answer.coded and not answer.coded.is_small else answer

    async def _send(self, scope: Scope, send: Send) -> bool:
        """Whether there was such a file."""
        asked = conditions.asked(scope["method"], scope["path"], scope["headers"])
        for _ in range(_TRIES):
            file = await self._file(asked.path)
            if file is None:
                return False
            with suppress(FileNotFoundError):  # it was replaced between two looks: the new one it is
                await _send(send, self._answer(file, asked), scope)
                return True
        return False

    def _renewed(self) -> Settings:
        """The settings. Where they are other ones, nothing made of the old ones is left."""
        settings = self._settings()
        if settings is not self._seen:
            self._shelf.clear()
            self._prefix = urlsplit(settings.site.url).path
            self._safety = files.lines(safety(https=settings.site.url.startswith("https:")))
            self._seen = settings
        return settings

    async def _file(self, asked: str) -> PublishedFile | None:
        settings = self._renewed()
        if found := self._shelf.get(asked):
            return found
        path = within(self._prefix, asked)
        if path.split("/")[1] in ("", *_PAGES) or self._moved_to(settings, path):
            return None
        async with self._reading:
            found = self._shelf.get(asked) or await anyio.to_thread.run_sync(_read, settings, path)
        if found and settings is self._seen:
            self._shelf.put(asked, found)
        return found

    def _answer(self, file: PublishedFile, asked: Asked) -> Answer:
        if asked.method == "OPTIONS":
            return Answer(204, (_PREFLIGHT if file.for_scripts else _OPTIONS) + self._safety, None)
        wanted = [file.coded[coding] for coding in asked.codings if coding in file.coded] or [file.coded[""]]
        same = _same(file, wanted, asked)
        if same is not None:
            return Answer(304, same.same + self._safety, None)
        return Answer(200, wanted[0].sent + self._safety, None if asked.method == "HEAD" else wanted[0])


def _read(settings: Settings, path: str) -> PublishedFile | None:
    found = files.find(settings.path("var/public"), path)
    return files.read(found, _max_age(settings, path)) if found else None


def _max_age(settings: Settings, path: str) -> int:
    """Seconds for which a reader need not ask again: a feed changes no more often than its sources are asked.

    Never long, since an item that is withdrawn should be gone, and what an operator edits be seen.
    """
    _, folder, name, *_ = [*path.split("/"), ""]
    if folder == "media":
        return _FOREIGN_SECONDS
    feed = settings.feeds.get(name.partition(".")[0])
    every = min(source.every.total_seconds() for source in feed.source) if feed else 0
    return int(min(max(every, _LEAST_SECONDS), _MOST_SECONDS))


def _same(file: PublishedFile, wanted: list[Coded], asked: Asked) -> Coded | None:
    """What the reader has already. Of codings that suit, its own is as good as the one it would get."""
    if asked.tags is not None:
        return next((one for one in wanted if one.tag in asked.tags or None in asked.tags), None)
    unchanged = asked.since is not None and conditions.is_unchanged(asked.since, file.changed, file.placed)
    return wanted[0] if unchanged else None


async def _send(send: Send, answer: Answer, scope: Scope) -> None:
    """Piece by piece, so that no more waits for a slow reader. Raises FileNotFoundError, and then nothing was sent."""
    headers = [tuple(line.split(b": ", 1)) for line in answer.head.splitlines()]
    if has_body(scope["headers"]):
        headers.append((b"connection", b"close"))
    following = _read_on if answer.coded and answer.coded.body is None else _go_on
    with closing(_pieces(answer.coded)) as pieces:
        piece = await following(pieces)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        while piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await following(pieces)
    await send({"type": "http.response.body", "body": b""})


def _pieces(coded: Coded | None) -> Generator[bytes, None, None]:
    if coded and coded.body is None:
        yield from files.pieces(coded)
    elif coded and coded.body:
        yield from (coded.body[start : start + PIECE_BYTES] for start in range(0, len(coded.body), PIECE_BYTES))


async def _read_on(pieces: Generator[bytes, None, None]) -> bytes:
    return await anyio.to_thread.run_sync(next, pieces, b"")


async def _go_on(pieces: Generator[bytes, None, None]) -> bytes:
    return next(pieces, b"")
