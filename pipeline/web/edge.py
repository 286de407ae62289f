"""What every request passes before anything is done with it, and every answer before it leaves (pure ASGI).

request ─▶ room for it? ─▶ path without the prefix of site.url ─▶ application
answer  ◀─ security headers ◀─ closed where a body was not read
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.config import Settings

MAX_RUNNING = 128
MAX_BODY_BYTES = 8192
BODY_SECONDS = 10.0
CSP = "default-src 'none'; img-src 'self'; {style}form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
OWN = (
    "archive",
    "confirm",
    "feeds",
    "healthz",
    "media",
    "metrics",
    "my-data",
    "preferences",
    "read",
    "subscribe",
    "unsubscribe",
)
"""The first parts of our own addresses."""
_YEAR = 31_536_000
Header = tuple[bytes, bytes]


class Edge:
    """The application behind ``settings``, which are asked for anew with each request."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app = app
        self._settings = settings
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        url = self._settings().site.url
        scope["path"] = within(urlsplit(url).path, scope["path"])
        unread = has_body(scope["headers"])

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                _secure(MutableHeaders(scope=message), https=url.startswith("https:"), close=unread)
            await send(message)

        app = self._app if self._running < MAX_RUNNING else _too_many
        self._running += 1
        try:
            await app(scope, receive, send_safely)
        finally:
            self._running -= 1


def within(prefix: str, path: str) -> str:
    """The path below ``prefix`` (that of site.url), whether the proxy kept it or stripped it off; always with a slash."""
    if not path.startswith("/"):  # "*" is one that an OPTIONS may have (RFC 9112 §3.2.4), and here anything
        return f"/{path}"
    if not prefix or not (path == prefix or path.startswith(prefix + "/")):
        return path
    rest = path[len(prefix) :] or "/"
    # A prefix that is called like one of our own addresses is taken off only where one of them is left.
    if prefix.split("/")[1] in OWN and rest.split("/")[1] not in ("", *OWN):
        return path
    return rest


class BodyTooLarge(Exception):
    """More than anything here needs."""


async def read_body(request: Request, most: int = MAX_BODY_BYTES) -> bytes:
    """The whole body of at most so many bytes. Raises BodyTooLarge without reading on, TimeoutError, and ClientDisconnect."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise BodyTooLarge
    body = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise BodyTooLarge
    return bytes(body)


async def _too_many(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("Too many requests at once.\n", 503, {"retry-after": "10"})(scope, receive, send)


def has_body(headers: Iterable[Header]) -> bool:
    """A body that may be left unread must not be taken for the next request, nor be read for ever."""
    return any((name == b"content-length" and value != b"0") or name == b"transfer-encoding" for name, value in headers)


def safety(*, https: bool) -> dict[str, str]:
    """What every answer says of how a browser may use it, beside its own Content-Security-Policy."""
    hsts = {"strict-transport-security": f"max-age={_YEAR}"} if https else {}
    return {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        **hsts,
    }


def _secure(headers: MutableHeaders, *, https: bool, close: bool) -> None:
    headers.setdefault("content-security-policy", CSP.format(style=""))
    for name, value in safety(https=https).items():
        headers.setdefault(name, value)
    if close:
        headers["connection"] = "close"


__all__ = [
    "BODY_SECONDS",
    "CSP",
    "MAX_BODY_BYTES",
    "BodyTooLarge",
    "ClientDisconnect",
    "Edge",
    "Header",
    "has_body",
    "read_body",
    "safety",
    "within",
]
