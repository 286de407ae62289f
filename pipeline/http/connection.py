"""One request and the head of its answer, over a socket that keeps to one deadline and one number of bytes."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from http.client import HTTPResponse

import requests.adapters

from pipeline.errors import FetchError
from pipeline.http.urls import Target

MAX_HEAD = 65536
_AT_MOST_TRIED = 4


class TooMuchError(OSError):
    """More bytes came than were allowed for this part of the answer."""


class Deadline:
    """One time limit over resolving, connecting, headers, body and redirects; waiting for a turn does not count."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, always more than 0. Raises TimeoutError when none are."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside takes no time of this deadline."""
        since = time.monotonic()
        try:
            yield
        finally:
            self._ends += time.monotonic() - since

    def explain(self, url: str) -> FetchError | None:
        """The error to raise if the time is over, else None."""
        if time.monotonic() < self._ends:
            return None
        return FetchError(url, f"no complete answer within {self._seconds:g} s")


class LimitedSocket(socket.socket):
    """Every read ends at the deadline, and all of them together at ``left`` bytes.

    A socket's own timeout starts anew with each byte, so a server that drips would never reach it.
    """

    deadline: Deadline
    left: int

    def recv_into(self, buffer, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[no-untyped-def]
        """As socket's. Raises TimeoutError and TooMuchError."""
        self.settimeout(self.deadline.remaining())
        count = super().recv_into(buffer, nbytes, flags)
        self.left -= count
        if self.left < 0:
            raise TooMuchError
        return count


class _LimitedTls(LimitedSocket, ssl.SSLSocket):  # type: ignore[misc]  # mypy: their buffers have other names
    """The same over TLS; made by an SSLContext, never by hand."""


@contextmanager
def ask(
    method: str, target: Target, headers: Mapping[str, str], addresses: list[str], deadline: Deadline
) -> Iterator[tuple[HTTPResponse, LimitedSocket]]:
    """The answer to one request, its head read, its body not; the connection ends with the block.

    Raises OSError (TimeoutError and TooMuchError among them) and HTTPException.
    """
    sock = _connect(target, addresses, deadline)
    try:
        sock.left = MAX_HEAD
        sock.settimeout(deadline.remaining())
        sock.sendall(_head(method, target, headers))
        with HTTPResponse(sock, method=method) as response:
            response.begin()
            yield response, sock
    finally:
        sock.close()


def _head(method: str, target: Target, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target.path} HTTP/1.1", f"Host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def _connect(target: Target, addresses: list[str], deadline: Deadline) -> LimitedSocket:
    """To the first address that answers; each but the last one tried gets half of the time that is left."""
    tried = addresses[:_AT_MOST_TRIED]
    for address in tried[:-1]:
        try:
            return _open(target, address, deadline, deadline.remaining() / 2)
        except ssl.SSLError:
            raise
        except OSError:
            continue
    return _open(target, tried[-1], deadline, deadline.remaining())


def _open(target: Target, address: str, deadline: Deadline, seconds: float) -> LimitedSocket:
    sock = LimitedSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect((address, target.port))
        if target.scheme == "https":
            sock.settimeout(deadline.remaining())
            # A trailing dot belongs to DNS, not to SNI (RFC 6066 section 3) nor to certificates.
            name = target.host.rstrip(".")
            sock = _tls(requests.adapters.DEFAULT_CA_BUNDLE_PATH).wrap_socket(sock, server_hostname=name)  # type: ignore[assignment]
    except BaseException:
        sock.close()
        raise
    sock.deadline = deadline
    return sock


@lru_cache(maxsize=4)
def _tls(authorities: str) -> ssl.SSLContext:
    """Made once: reading the authorities takes longer than most fetches."""
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = _LimitedTls
    return context
