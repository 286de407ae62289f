"""One request and the head of its answer: requests speaks HTTP, over a socket of ours to an address that was checked.

    requests ──▶ a line for this request ──▶ urllib3's connection ──▶ LimitedSocket: one deadline, so many bytes

What belongs to one exchange is handed down with it, so that threads share only an adapter that keeps nothing, and the TLS
context.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException, HTTPResponse, parse_headers
from typing import Any, cast

import requests.adapters
from requests import PreparedRequest, RequestException, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from pipeline.errors import FetchError
from pipeline.http.urls import Target

MAX_HEAD = 65536
_AT_MOST_TRIED = 4
_AS_GOOD_AS = 0.05
"""Seconds by which a wait may end after its deadline."""

# It warns about every odd header of every server; what matters of them is an error of ours already.
logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)


class TooMuchError(OSError):
    """More bytes came than were allowed for this part of the answer."""


class OddHeadersError(HTTPException):
    """The headers contradict each other: two lengths."""


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


@dataclass(slots=True)
class Allowance:
    """What one exchange may use: the addresses that were checked for it, its time, and the bytes that may still come."""

    addresses: list[str]
    deadline: Deadline
    left: int = MAX_HEAD


class LimitedSocket(socket.socket):
    """Every wait ends at the deadline of its exchange, and all reads together at the bytes that may come.

    A socket's own timeout starts anew with each byte, so a server that drips would never reach it.
    """

    allowance: Allowance

    def settimeout(self, value: float | None) -> None:
        """As socket's, but a little less than before is left as it is: setting it lets another thread go first."""
        before = self.gettimeout()
        if not value or not before or not 0 <= before - value < _AS_GOOD_AS:
            super().settimeout(value)

    def sendall(self, data, flags: int = 0) -> None:  # type: ignore[no-untyped-def]
        """As socket's. Raises TimeoutError."""
        self.settimeout(self.allowance.deadline.remaining())
        super().sendall(data, flags)

    def recv_into(self, buffer, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[no-untyped-def]
        """As socket's. Raises TimeoutError and TooMuchError."""
        allowance = self.allowance
        self.settimeout(allowance.deadline.remaining())
        count = super().recv_into(buffer, nbytes, flags)
        allowance.left -= count
        if allowance.left < 0:
            raise TooMuchError
        return count


class _LimitedTls(LimitedSocket, ssl.SSLSocket):  # type: ignore[misc]  # mypy: their buffers have other names
    """The same over TLS; made by an SSLContext, never by hand."""


class _Final(HTTPResponse):
    """The answer after any that only tell that it is coming (RFC 9110 §15.2), such as 103; http.client knows only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 101 < found[1] < 200:
                return found
            parse_headers(self.fp)


class _Pinned(HTTPConnection):
    """A connection that resolves nothing: it goes to one of the addresses that were checked."""

    response_class = _Final

    def __init__(self, *args: Any, allowance: Allowance, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._allowance = allowance

    def connect(self) -> None:
        """As HTTPConnection's. Raises TypeError, before the request is sent, for a socket that is not ours."""
        super().connect()
        if not isinstance(self.sock, LimitedSocket):
            raise TypeError(self.sock)
        self.sock.allowance = self._allowance
        self.timeout = self.sock.gettimeout()  # urllib3 sets it once more, which then changes nothing

    def _new_conn(self) -> LimitedSocket:
        """To the first address that answers; each but the last one tried gets half of the time that is left."""
        deadline, tried = self._allowance.deadline, self._allowance.addresses[:_AT_MOST_TRIED]
        for address in tried[:-1]:
            with suppress(OSError):
                return self._dial(address, deadline.remaining() / 2)
        return self._dial(tried[-1], deadline.remaining())

    def _dial(self, address: str, seconds: float) -> LimitedSocket:
        sock = LimitedSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect((address, self.port))
            sock.settimeout(self._allowance.deadline.remaining())  # for the handshake, which is one wait
        except BaseException:
            sock.close()
            raise
        return sock


class _PinnedTls(_Pinned, HTTPSConnection):
    """The same for https, where urllib3 shakes hands and the certificate must have the name, not the address."""


class _Line:
    """Stands where requests expects a pool, and does of its work what is left for one request over one connection."""

    def __init__(self, target: Target, allowance: Allowance) -> None:
        seconds = allowance.deadline.remaining()
        if target.scheme == "https":
            context = _tls(requests.adapters.DEFAULT_CA_BUNDLE_PATH)
            self.connection: _Pinned = _PinnedTls(
                target.host, target.port, timeout=seconds, ssl_context=context, allowance=allowance
            )
        else:
            self.connection = _Pinned(target.host, target.port, timeout=seconds, allowance=allowance)

    def urlopen(self, method: str, url: str, headers: Mapping[str, str], **_kwargs: object) -> BaseHTTPResponse:
        """The head of the answer; its body is to be read, as it was sent."""
        self.connection.connect()
        with suppress(BrokenPipeError, ConnectionResetError):  # who closes so early may have answered before
            self.connection.request(method, url, headers=headers, preload_content=False, decode_content=False)
        return self.connection.getresponse()


class _Request(PreparedRequest):
    """A request that brings its own line. Its address was prepared when it was taken for a target."""

    def __init__(self, method: str, target: Target, headers: Mapping[str, str], line: _Line) -> None:
        super().__init__()
        self.method, self.url, self.line = method, target.url, line
        # As bytes, which go out as they are: a validator is not always text.
        sent: dict[str, Any] = {name: value.encode("latin-1") for name, value in headers.items()}
        self.headers = CaseInsensitiveDict(sent)


class _Adapter(HTTPAdapter):
    """Keeps nothing between two requests: no connections, no proxies, no cookies."""

    def get_connection_with_tls_context(self, request: PreparedRequest, *_args: object, **_kwargs: object) -> Any:
        """The line that the request brings."""
        return cast(_Request, request).line

    def cert_verify(self, *_args: object, **_kwargs: object) -> None:
        """Nothing to add to our TLS context; requests would have each connection read the authorities again."""

    def request_url(self, request: PreparedRequest, *_args: object) -> str:
        """No proxy wants to know more."""
        return request.path_url

    def build_response(self, _request: PreparedRequest, answer: Any) -> Response:
        """Its status, and what the connection has read; cookies are not kept."""
        response = Response()
        response.status_code, response.raw = answer.status, answer
        return response


_ADAPTER = _Adapter()


@contextmanager
def ask(method: str, target: Target, headers: Mapping[str, str], allowance: Allowance) -> Iterator[Response]:
    """The answer to one request, its head read, its body not; the connection ends with the block.

    Raises OSError (TimeoutError and TooMuchError among them) and HTTPException (OddHeadersError among them).
    """
    line = _Line(target, allowance)
    request = _Request(method, target, {"Host": target.authority, **headers, "Connection": "close"}, line)
    with closing(line.connection), _send(request) as response:
        yield response


def _send(request: PreparedRequest) -> Response:
    try:
        return _ADAPTER.send(request, stream=True)
    except InvalidHeader as error:
        raise OddHeadersError from error
    except (RequestException, HTTPError) as error:
        found = cause(error)
    raise found  # out here, so that it does not become its own cause


def cause(error: BaseException) -> OSError | HTTPException:
    """What happened on the connection, out of what two libraries have wrapped around it."""
    deepest: OSError | HTTPException = HTTPException(str(error))
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError | HTTPException) and not isinstance(found, RequestException | HTTPError):
            deepest = found
        found = found.__cause__ or found.__context__
    return deepest


@lru_cache(maxsize=4)
def _tls(authorities: str) -> ssl.SSLContext:
    """Made once: reading the authorities takes longer than most fetches."""
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _LimitedTls
    return context
