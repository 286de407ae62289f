"""The listening socket and uvicorn behind it, in a thread of its own, with limits on who may stay how long."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from pipeline.errors import GazetError, UsageError
from pipeline.web import conditions
from pipeline.web.conditions import Asked
from pipeline.web.edge import CSP, Header, has_body, safety
from pipeline.web.files import lines
from pipeline.web.public_files import Answer

MAX_CONNECTIONS = 256
MAX_HEAD_BYTES = 16_384
HEAD_SECONDS = 15.0
"""A request's head must be whole so long after the connection began or the last answer ended."""
_MAX_WAITING = 8
"""So many requests may be sent before the first is answered."""
_READING = (b"GET ", b"HEAD ")
_PLAIN_HEADS = 512
_PLAIN_BYTES = 2_048
_KEEP_ALIVE_SECONDS = 10
_GRACE_SECONDS = 5


class WebServer:
    """Serves an application on ``listen`` ("HOST:PORT", port 0: any free one) from ``start`` until ``stop``."""

    def __init__(self, application: ASGIApp, listen: str) -> None:
        self.listen = listen
        self.url = ""
        self._server = uvicorn.Server(_config(application))
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; ``url`` then says where. Raises GazetError when the place is taken or is not one of this machine."""
        host, port = split(self.listen)
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            listening = socket.create_server((host, port), family=family, backlog=MAX_CONNECTIONS)
        except OSError as error:
            fix = "Stop what listens there, or name another place as listen under [web] in gazet.toml."
            raise GazetError(f"The web server cannot listen on {self.listen}: {_reason(error)}.", fix=fix) from None
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="web", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests, and let those that are being answered end within a few seconds."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_GRACE_SECONDS + 2)

    @property
    def alive(self) -> bool:
        """Whether it serves."""
        return self._thread is not None and self._thread.is_alive()


def split(listen: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT"; an IPv6 address stands in brackets. Raises UsageError."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f'"{listen}" is not HOST:PORT.', fix='Write it as "127.0.0.1:8080" or "[::1]:8080".')
    return host.strip("[]"), int(port)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _config(application: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        loop="asyncio",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,  # addresses hold tokens, and a token is a key (promise 7)
        proxy_headers=False,  # /metrics needs the true peer
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


AtOnce = Callable[[Asked], Answer | None]
"""What an application may have beside its ASGI side as ``at_once``."""


class _Protocol(HttpToolsProtocol, asyncio.BufferedProtocol):
    """uvicorn's, which waits for ever for the rest of a head, takes one of any length and any number of connections.

    A published file is answered here, in one write: what uvicorn does for each request costs several times as much as that.
    """

    _watch: asyncio.TimerHandle | None = None
    _due: float | None = None
    _unsent = math.inf
    _unfinished = 0
    _between = True
    """Whether the parser waits for the first byte of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._read = memoryview(bytearray(MAX_HEAD_BYTES))
        self._socket: int = transport.get_extra_info("socket").fileno()
        self._at_once: AtOnce | None = getattr(self.app, "at_once", None)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._due = None
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Never more at once than a head may have: what comes behind it waits for its turn to be looked at."""
        return self._read

    def buffer_updated(self, nbytes: int) -> None:
        """Answer what can be answered at once, and leave the rest to uvicorn."""
        if self.transport.is_closing():
            return
        data = bytes(self._read[:nbytes])
        if self._between and self._is_free and (answer := self._known(data)):
            self._unset_keepalive_if_required()
            self._write(answer)
            return
        self._unfinished += nbytes
        self.data_received(data)
        if self._unfinished > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Too long.")

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        if len(self.pipeline) >= _MAX_WAITING:
            self.transport.abort()
        elif not _names_one_host(self.headers, self.parser.get_http_version()):
            self.send_400_response("Invalid HTTP request received.")
        else:
            self._rest()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        self._between = True
        if self.cycle is not None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self._expect_head()
        if self.pipeline:
            self._rest()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Who takes in nothing more is not waited for, either."""
        super().pause_writing()
        self._expect_head()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._is_free:
            self._expect_head()
        else:
            self._rest()

    def send_400_response(self, msg: str) -> None:
        """The same answer with the headers of safety, and none at all where it would be taken for another request's."""
        if self.transport.is_closing():
            return
        if not self._is_free:
            self.cycle.disconnected = True  # its own answer would come too late
            if self.pipeline or self.cycle.response_started or not self.cycle.more_body:
                self.transport.close()
                return
        head = lines({"content-type": "text/plain; charset=utf-8", "content-length": str(len(msg)), "connection": "close"})
        head += lines({"content-security-policy": CSP.format(style=""), **safety(https=False)})
        self.transport.write(b"".join((STATUS_LINE[400], head, b"\r\n", msg.encode())))
        self.transport.close()

    @property
    def _is_free(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def _known(self, data: bytes) -> Answer | None:
        """The answer to a request for something that is at hand, if that is all of ``data``."""
        if self._at_once is None or self.flow.write_paused or len(data) > _PLAIN_BYTES or not data.startswith(_READING):
            return None
        asked = _plain(data)
        return self._at_once(asked) if asked else None

    def _write(self, answer: Answer) -> None:
        """Without a copy, as long as the socket takes it."""
        own = b"".join([b"%b: %b\r\n" % pair for pair in self.server_state.default_headers])
        body = (answer.coded and answer.coded.body) or b""
        head = b"".join((STATUS_LINE[answer.status], own, answer.head, b"\r\n"))
        sent = 0
        if not self.transport.get_write_buffer_size():
            with suppress(OSError):  # full, or gone: the transport finds out
                sent = os.writev(self._socket, (head, body))
        if sent < len(head) + len(body):
            self.transport.write(b"".join((head, body))[sent:])
        self._expect_head()

    def _rest(self) -> None:
        """Until this request is answered nothing is expected, but that a slow reader takes in what waits for it."""
        if not self.flow.write_paused:
            self._due = None

    def _expect_head(self) -> None:
        """From now on. One timer serves many requests: it looks again when it comes too early."""
        self._unsent = math.inf
        self._due = self.loop.time() + HEAD_SECONDS
        if self._watch is None:
            self._watch = self.loop.call_at(self._due, self._look)

    def _look(self) -> None:
        """The end, but for somebody on a slow line who is still taking in an answer."""
        self._watch = None
        if self._due is None or (self.transport.is_closing() and not self.transport.get_write_buffer_size()):
            return
        if self.loop.time() < self._due:
            self._watch = self.loop.call_at(self._due, self._look)
            return
        unsent = self.transport.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            self._due = self.loop.time() + HEAD_SECONDS
            self._watch = self.loop.call_at(self._due, self._look)
        else:
            self.transport.abort()


def _names_one_host(headers: Iterable[Header], version: str) -> bool:
    """RFC 9112 §3.2, which an older client need not know."""
    return [name for name, _ in headers].count(b"host") == 1 or version != "1.1"


@lru_cache(_PLAIN_HEADS)
def _plain(head: bytes) -> Asked | None:
    """What a request asks that is an ordinary one, nothing but this head, and has its address written plainly.

    Kept, since feed readers of one make ask with the very same bytes at every poll.
    """
    read = _Head()
    try:
        read.parser.feed_data(head)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return conditions.asked(read.method, read.url.decode(), read.headers) if read.is_plain else None


class _Head:
    """A request's head as httptools reads it."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.method = ""
        self.url = b""
        self.headers: list[Header] = []
        self.is_plain = False
        self._requests = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_message_begin(self) -> None:
        self._requests += 1
        self.is_plain = False

    def on_message_complete(self) -> None:
        self.method, version = self.parser.get_method().decode(), self.parser.get_http_version()
        lasting = self.parser.should_keep_alive() and not self.parser.should_upgrade() and version == "1.1"
        plainly = self.url.isascii() and b"%" not in self.url and b"?" not in self.url
        alone = self._requests == 1 and not has_body(self.headers) and _names_one_host(self.headers, version)
        self.is_plain = lasting and plainly and alone
