"""Connections to checked addresses, all of which end at one deadline."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests_hardened import HTTPSession
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from pipeline.errors import FetchError
from pipeline.http.addresses import AddressGuard


class Deadline:
    """One time limit over connecting, headers and body: when it passes, every socket of this fetch is shut down.

    A socket timeout alone starts anew with each byte, so a server that drips would never reach it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()

    def remaining(self) -> float:
        """Seconds left, never 0, which sockets would take for no limit or non-blocking."""
        return max(0.001, self._ends - time.monotonic())

    def watch(self, sock: socket.socket) -> socket.socket:
        """Watches a duplicate, because TLS takes the original socket over."""
        with self._lock:
            self._sockets.append(sock.dup())
        if time.monotonic() >= self._ends:
            self._shut_down()
        return sock

    def explain(self, url: str) -> FetchError | None:
        """The error to raise if the time is over, else None."""
        if time.monotonic() < self._ends:
            return None
        return FetchError(url, f"no complete answer within {self._seconds:g} s")

    def _shut_down(self) -> None:
        with self._lock:
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


class Session(HTTPSession):  # type: ignore[misc]
    """A session of requests-hardened that leaves redirects entirely to us."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """None: requests would read the redirect's body, whatever its size, to prepare the next request."""
        return None


class PinnedAdapter(IPFilterAdapter):  # type: ignore[misc]
    """Connects to the address that was checked, under the host's name for Host, SNI and the certificate."""

    def __init__(self, guard: AddressGuard, deadline: Deadline, *, secure: bool) -> None:
        self._guard = guard
        self._deadline = deadline
        super().__init__(is_https_proto=secure)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Pools whose sockets the deadline watches."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _watched_pools(self._deadline)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """As requests does it, with the address that was chosen in place of the name."""
        found: Any = HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)
        host_params, pool_kwargs = found
        host = host_params["host"]
        port = host_params["port"] or (443 if self._is_https_proto else 80)
        address = self._guard.choose(request.url, host.strip("[]"), port, self._deadline.remaining())
        name = f"[{host}]" if ":" in host and not host.startswith("[") else host
        request.headers["Host"] = name if host_params["port"] is None else f"{name}:{port}"
        if self._is_https_proto:
            pool_kwargs["assert_hostname"] = pool_kwargs["server_hostname"] = host.strip("[]")
        host_params["host"] = f"[{address}]" if ":" in address else address
        return host_params, pool_kwargs


def _watched_pools(deadline: Deadline) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3 pools whose sockets the deadline can shut down, also during the TLS handshake and the headers."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return deadline.watch(super()._new_conn())

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return deadline.watch(super()._new_conn())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
