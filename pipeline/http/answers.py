"""What an answer is worth: its body unpacked within limits, or the error that it amounts to."""

from __future__ import annotations

import re
import ssl
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException, LineTooLong, RemoteDisconnected
from typing import Protocol

import brotli

from pipeline.errors import FetchError
from pipeline.http.connection import MAX_HEAD, OddHeadersError, TooMuchError

CHUNK = 65536
_NEEDS_A_PERSON = (400, 401, 402, 405, 406, 407, 410, 414, 451, 501, 505)


class Decoder(Protocol):
    """Unpacks a body: ``pieces(chunk)`` yields at most about CHUNK bytes each; ``complete`` is asked at the end."""

    @property
    def complete(self) -> bool: ...  # noqa: D102

    def pieces(self, chunk: bytes) -> Iterator[bytes]: ...  # noqa: D102


class _Plain:
    """An answer that is not compressed."""

    complete = True

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk


class _Gzip:
    """Unpacks piece by piece, so that a bomb is met by the size limit and not by the memory (RFC 1952)."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._unpack = zlib.decompressobj(wbits=31)

    @property
    def complete(self) -> bool:
        return self._unpack.eof

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        data = chunk if not self._unpack.eof or chunk.startswith(b"\x1f\x8b") else b""
        while data:
            if self._unpack.eof:
                self._unpack = zlib.decompressobj(wbits=31)
            try:
                yield self._unpack.decompress(data, CHUNK)
            except zlib.error:
                raise FetchError(self._url, "is not the gzip data that it claims to be") from None
            data = self._unpack.unconsumed_tail or self._next_member()

    def _next_member(self) -> bytes:
        """What follows is read on only if it is gzip again: some servers pad their answers."""
        rest = self._unpack.unused_data
        return rest if rest.startswith(b"\x1f\x8b") else b""


class _Brotli:
    """The same for brotli (RFC 7932), whose decoder stops at a buffer's length and goes on when asked with nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._unpack = brotli.Decompressor()

    @property
    def complete(self) -> bool:
        return bool(self._unpack.is_finished())

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        if self._unpack.is_finished():  # padding, as with gzip
            return
        try:
            piece = self._unpack.process(chunk, output_buffer_limit=CHUNK)
            # It may take all input and still have output left: only an empty piece says that there is none.
            while piece or not self._unpack.can_accept_more_data():
                yield piece
                piece = self._unpack.process(b"", output_buffer_limit=CHUNK) if not self._unpack.is_finished() else b""
        except brotli.error:
            raise FetchError(self._url, "is not the brotli data that it claims to be") from None


def decoder(url: str, encoding: str) -> Decoder:
    """What unpacks a body with this Content-Encoding. FetchError if nothing does."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in ("gzip", "x-gzip"):
        return _Gzip(url)
    if name == "br":
        return _Brotli(url)
    raise FetchError(url, f'is sent in the encoding "{name[:40]}", though only gzip and br were offered')


def refusal(asked: str, status: int, headers: Mapping[str, str]) -> FetchError:
    """4xx and 5xx, and whatever else is not a whole answer. Header names in lower case.

    Retryable is what passes without a person: 403 and 404 come from overloaded guards and half-finished deployments as
    often as from a decision, so they are tried again; 410 says gone for good (RFC 9110 section 15.5.11).
    """
    phrase = f" ({HTTPStatus(status).phrase})" if status in list(HTTPStatus) else ""
    return FetchError(
        asked,
        f"answered {status}{phrase}",
        status=status,
        retryable=status not in _NEEDS_A_PERSON,
        retry_after=_retry_after(headers.get("retry-after", ""), headers.get("date", "")),
        fix=_FIXES.get(status, ""),
    )


_FIXES = {
    401: "This source wants a password; Gazet reads public pages only.",
    403: "Ask the site to let Gazet in, or look whether the address needs a login.",
    404: "Look whether the page has moved.",
    410: "The site says that this is gone for good: remove the source, or give its new address.",
}


def _retry_after(value: str, served: str) -> float | None:
    """Seconds, from a number or a date (RFC 9110 section 10.2.3); a date counts from the server's own clock."""
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    return max(0.0, (until - (_http_date(served) or datetime.now(UTC))).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def reason(error: OSError | HTTPException) -> str:
    """One readable clause for what happened on the connection, between the request and the end of the head."""
    if isinstance(error, ssl.SSLError):
        return f"no safe TLS connection: {getattr(error, 'verify_message', '') or error.reason or 'handshake failed'}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    # http.client takes 100 header lines, and has no error of its own for the next one.
    if isinstance(error, TooMuchError | LineTooLong) or str(error).startswith("got more than"):
        return f"answers with too many or too long headers (more than 100, or {MAX_HEAD:,} bytes)"
    if isinstance(error, OddHeadersError):
        return "answers with headers that contradict each other"
    if isinstance(error, OSError) and error.errno and error.strerror:
        return f"no connection: {error.strerror.lower()}"
    if isinstance(error, BadStatusLine) and not isinstance(error, RemoteDisconnected):
        return "does not answer in HTTP"
    return "the connection broke before the answer was complete"
