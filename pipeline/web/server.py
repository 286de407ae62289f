"""The listening socket and uvicorn behind it, in a thread of its own, with limits on who may stay how long."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
from contextlib import suppress

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.errors import GazetError, UsageError

MAX_CONNECTIONS = 256
MAX_HEAD_BYTES = 16_384
HEAD_SECONDS = 15.0
"""A request's head must be whole so long after the connection began or the last answer ended."""
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
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


class _Protocol(H11Protocol):
    """uvicorn's, which waits for ever for the rest of a head, and for any number of connections."""

    _deadline: asyncio.TimerHandle | None = None
    _unsent = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_deadline()

    def on_response_complete(self) -> None:
        self._expect_head()
        super().on_response_complete()
        if self.cycle is not None and not self.cycle.response_complete:  # the next request was there already
            self._forget_deadline()

    def send_400_response(self, msg: str) -> None:
        """The same answer with a length, and none at all where another one has begun."""
        headers = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(msg))), ("connection", "close")]
        headers += [("content-security-policy", "default-src 'none'"), ("x-content-type-options", "nosniff")]
        with suppress(h11.LocalProtocolError):
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=msg.encode()), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect_head(self) -> None:
        self._forget_deadline()
        self._unsent = math.inf
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _too_late(self) -> None:
        """The end, but for somebody on a slow line who is still taking in the last answer."""
        unsent = self.transport.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)
        else:
            self.transport.abort()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
