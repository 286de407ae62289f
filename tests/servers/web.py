"""A web server to talk to and to hurt: it serves scripted answers on loopback and records every request.

with WebServer() as web:
    web.serve("/feed", body, content_type="application/rss+xml", headers={"ETag": '"1"'})
    web.url("/feed"); web.requests
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What a path answers. ``conditional``: 304 where the request's validators match the ETag or Last-Modified sent."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    conditional: bool = False


Behaviour = Callable[["_Handler"], None]


class WebServer:
    """Threaded HTTP server on 127.0.0.1, with ``tls`` an HTTPS one; ``address`` is "127.0.0.1:PORT". Unknown paths answer 404."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.stopped = threading.Event()
        self._behaviours: dict[str, Behaviour] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/") -> str:
        return f"http://{self.address}{path}"

    def serve(
        self,
        path: str,
        body: bytes | str = b"",
        *,
        content_type: str = "text/html; charset=utf-8",
        headers: Mapping[str, str] | None = None,
        status: int = 200,
        conditional: bool = False,
    ) -> None:
        """Answers ``path`` from now on; serving a path again replaces its answer."""
        data = body.encode() if isinstance(body, str) else body
        named = {"Content-Type": content_type, **(headers or {})}
        self.behave(path, lambda handler: handler.answer(Answer(data, status, named, conditional)))

    def redirect(self, path: str, to: str, *, status: int = 302) -> None:
        self.serve(path, status=status, headers={"Location": to})

    def hang(self, path: str) -> None:
        """Takes the request and answers nothing until the server stops."""
        self.behave(path, lambda handler: _wait(handler, None))

    def drip(self, path: str, *, every: float = 0.02, head: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n") -> None:
        """Sends ``head`` and then one byte at a time, for ever; with ``head=b"HTTP/1.1 200 OK\\r\\nX: "`` it drips headers."""
        self.behave(path, lambda handler: _drip(handler, head, every))

    def drop(self, path: str, *, after: bytes = b"") -> None:
        """Sends ``after`` as it is and closes the connection."""
        self.behave(path, lambda handler: handler.raw(after))

    def behave(self, path: str, behaviour: Behaviour) -> None:
        """Any other behaviour: ``behaviour(handler)`` writes what it wants."""
        self._behaviours[path] = behaviour

    def requested(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def handle(self, handler: _Handler, request: Request) -> None:
        self.requests.append(request)
        behaviour = self._behaviours.get(request.path) or self._behaviours.get(request.path.partition("?")[0])
        if behaviour is None:
            handler.answer(Answer(b"not here", 404, {"Content-Type": "text/plain"}))
        else:
            behaviour(handler)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: WebServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up early is what the tests are about, not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.owner.handle(self, Request(self.command, self.path, headers, self.rfile.read(length)))

    do_POST = do_HEAD = do_PUT = do_GET  # noqa: N815

    def answer(self, answer: Answer) -> None:
        fresh = answer.conditional and self._validators_match(answer)
        status, body = (304, b"") if fresh else (answer.status, answer.body)
        self.send_response(status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers and status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def raw(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.close_connection = True

    def _validators_match(self, answer: Answer) -> bool:
        sent = {"ETag": self.headers.get("If-None-Match"), "Last-Modified": self.headers.get("If-Modified-Since")}
        given = {name: value for name, value in sent.items() if value is not None}
        return bool(given) and all(answer.headers.get(name) == value for name, value in given.items())

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read ``requests`` instead."""


def _wait(handler: _Handler, seconds: float | None) -> bool:
    handler.close_connection = True
    return handler.server.owner.stopped.wait(seconds)


def _drip(handler: _Handler, head: bytes, every: float) -> None:
    handler.wfile.write(head)
    handler.wfile.flush()
    while not _wait(handler, every):
        try:
            handler.wfile.write(b"x")
            handler.wfile.flush()
        except OSError:
            return


def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
