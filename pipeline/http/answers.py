"""What an answer is worth: its body unpacked within limits, or the error that it amounts to."""

from __future__ import annotations

import re
import ssl
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests

from pipeline.errors import FetchError

CHUNK = 65536
_NEEDS_A_PERSON = (400, 401, 402, 405, 406, 407, 410, 414, 451, 501, 505)


class _Plain:
    """An answer that is not compressed; its length is checked by urllib3 where the server names one."""

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


def decoder(url: str, encoding: str) -> _Plain | _Gzip:
    """What unpacks a body with this Content-Encoding: ``pieces(chunk)``, ``complete`` at the end. FetchError if nothing does."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in ("gzip", "x-gzip"):
        return _Gzip(url)
    raise FetchError(url, f'is sent in the encoding "{name[:40]}", though only gzip was offered')


def refusal(asked: str, response: requests.Response) -> FetchError:
    """4xx and 5xx, and whatever else is not a whole answer.

    Retryable is what passes without a person: 403 and 404 come from overloaded guards and half-finished deployments as
    often as from a decision, so they are tried again; 410 says gone for good (RFC 9110 section 15.5.11).
    """
    status = response.status_code
    phrase = f" ({HTTPStatus(status).phrase})" if status in list(HTTPStatus) else ""
    return FetchError(
        asked,
        f"answered {status}{phrase}",
        status=status,
        retryable=status not in _NEEDS_A_PERSON,
        retry_after=_retry_after(response.headers.get("Retry-After", ""), response.headers.get("Date", "")),
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
    if re.fullmatch(r"\d{1,9}", text):
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


def reason(error: BaseException) -> str:
    """One readable clause for what the layers below report in five wrappings."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLError):
            return f"no safe TLS connection: {getattr(cause, 'verify_message', '') or cause.reason or 'handshake failed'}"
        if isinstance(cause, TimeoutError):
            return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no safe TLS connection: the certificate is for another name"
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            return f"no connection: {cause.strerror.lower()}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.InvalidURL | ValueError):
        return "is not an address that can be asked for"
    return "the connection broke before the answer was complete"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps, each once, innermost last."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        wrapped = [*current.args, current.__cause__, current.__context__, getattr(current, "reason", None)]
        waiting += [item for item in wrapped if isinstance(item, BaseException)]
