"""Fetching one URL: hop by hop, within one deadline and one size limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from http.client import HTTPException
from typing import NamedTuple

from requests import Response
from urllib3.exceptions import HTTPError

from pipeline import __version__
from pipeline.config import Settings
from pipeline.errors import FetchError
from pipeline.http.addresses import AddressGuard
from pipeline.http.answers import CHUNK, decoder, reason, refusal
from pipeline.http.connection import MAX_HEAD, Allowance, Deadline, TooMuchError, ask, cause
from pipeline.http.hosts import HostGate
from pipeline.http.urls import Target, next_hop, same_server, target_of

_MAX_HOPS = 5
_PERMANENT = (301, 308)
_REDIRECTS = (*_PERMANENT, 302, 303, 307)
_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f]")
_MANY_READS = 100_000
_LEAST_AVERAGE = 64
"""Bytes for each read, once they are many: crumbs of a few bytes cost the processor more than any news is worth."""
_HEAD_UNKNOWN = (400, 403, 405, 406, 500, 501)

Permit = Callable[[str], object]


class Accept(StrEnum):
    """What is asked for, as an Accept header: a feed or what may turn out to be one, a page, JSON, text, an image, or whatever."""

    FEED = (
        "application/rss+xml, application/atom+xml, application/feed+json;q=0.9, application/xml;q=0.9, text/html;q=0.8, */*;q=0.5"
    )
    PAGE = "text/html, application/xhtml+xml;q=0.9, */*;q=0.5"
    JSON = "application/json, */*;q=0.1"
    TEXT = "text/plain, */*;q=0.1"
    IMAGE = "image/jpeg, image/png, image/webp, image/gif;q=0.9, */*;q=0.1"
    ANY = "*/*"


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. ``url`` as asked, ``final_url`` after redirects, header names in lower case, repeated ones joined by commas.

    ``status``: 200, 304, or 226 where only what is new came (RFC 3229; other items are not gone). ``body`` is decompressed,
    empty on 304; ``etag`` and ``last_modified`` are opaque and to be sent back byte for byte. ``moved_to`` is ``final_url``
    where every redirect on the way was permanent (301, 308) and none led from https to http, else empty.
    """

    url: str
    final_url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    etag: str
    last_modified: str
    moved_to: str = ""

    @property
    def not_modified(self) -> bool:
        """True where what is known is still current (304)."""
        return self.status == 304

    @property
    def content_type(self) -> str:
        """The Content-Type header as sent, empty where there is none."""
        return self.headers.get("content-type", "")


class Measured(NamedTuple):
    """A file's media type (lower case, "" unknown) and length in bytes (0 unknown)."""

    media_type: str
    length: int


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one fetch wants: ``validators`` are for the server of ``given_by`` only; ``first``: so many bytes are enough.

    ``source``: on whose behalf, if not ``url``'s own. ``most``: bytes, if another limit holds than the fetcher's.
    """

    url: str
    accept: Accept
    validators: Mapping[str, str]
    given_by: str
    first: int = 0
    permit: Permit | None = None
    method: str = "GET"
    more: Mapping[str, str] | None = None
    source: str = ""
    most: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """One hop's answer with its head: ``location`` where it is a redirect, else the body."""

    target: Target
    status: int
    headers: Mapping[str, str]
    location: str = ""
    body: bytes = b""


class Fetcher:
    """Fetches one URL at a time; safe to share between threads, as each fetch has connections of its own."""

    def __init__(
        self,
        *,
        allow: bool | tuple[str, ...] = (),
        timeout: timedelta,
        max_bytes: int,
        user_agent: str,
        gate: HostGate | None = None,
    ) -> None:
        self.gate = gate
        self._guard = AddressGuard(allow)
        self._seconds = timeout.total_seconds()
        self._max_bytes = max_bytes
        self._user_agent = user_agent.encode("ascii", "replace").decode("ascii")

    def fetch(
        self,
        url: str,
        *,
        etag: str = "",
        last_modified: str = "",
        given_by: str = "",
        accept: Accept = Accept.FEED,
        deltas: bool = False,
        first: int = 0,
        permit: Permit | None = None,
        source: str = "",
        most: int = 0,
    ) -> Fetched:
        """GET ``url``, conditionally if validators are given (RFC 9110 section 13.1), following redirects.

        ``given_by``: the address that gave them, if not ``url``; ``deltas``: a conditional request says that only what is new
        in the feed would do (RFC 3229 ``feed``). ``first``: the body is cut there instead of refused. ``permit(address)`` is
        called before each hop and raises FetchError where it may not be asked for (``Robots.check``).
        ``source``: the address in the settings that led to ``url``, if it is another: only a source at an allowed private
        address may lead to one. ``most``: bytes, instead of the fetcher's limit.

        Raises AddressRefusedError for a private address at any hop and FetchError for every other answer than a whole
        200, or a 304 or 226 to a conditional request, within the time and size limits.
        """
        asked = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        validators = {name: value for name, value in asked.items() if value and _sendable(value)}
        if validators and deltas:
            validators["A-IM"] = "feed"
        answer, moved_to = self._follow(_Wish(url, accept, validators, given_by or url, first, permit, source=source, most=most))
        headers = answer.headers
        found = headers.get("etag", ""), headers.get("last-modified", "")
        return Fetched(url, answer.target.url, answer.status, headers, answer.body, *found, moved_to)

    def measure(self, url: str, *, permit: Permit | None = None, source: str = "") -> Measured:
        """Type and length of a file, from its head alone: HEAD, and where a server knows no HEAD, GET of its first byte.

        Raises FetchError as ``fetch`` does. Nothing of the file but what came with the head is read.
        """
        wish = _Wish(url, Accept.ANY, {}, url, 0, permit, "HEAD", {"Accept-Encoding": "identity"}, source)
        try:
            answer, _ = self._follow(wish)
        except FetchError as error:
            if error.status not in _HEAD_UNKNOWN:
                raise
            one = {"Accept-Encoding": "identity", "Range": "bytes=0-0"}
            answer, _ = self._follow(_Wish(url, Accept.ANY, {}, url, 1, permit, "GET", one, source))
        return _measured(answer)

    def _follow(self, wish: _Wish) -> tuple[_Answer, str]:
        """The last answer, and where all redirects led if every one was permanent."""
        deadline = Deadline(self._seconds)
        current, lasting = wish.url, True
        for hop in range(_MAX_HOPS + 1):
            answer = self._hop(wish, current, deadline)
            if not answer.location:
                return answer, answer.target.url if hop and lasting else ""
            following = next_hop(wish.url, answer.target.url, answer.location)
            downgrade = answer.target.scheme == "https" and following.startswith("http:")
            lasting = lasting and answer.status in _PERMANENT and not downgrade
            current = following
        raise FetchError(wish.url, f"redirects more than {_MAX_HOPS} times", retryable=False, fix="Use the address it ends at.")

    def _hop(self, wish: _Wish, url: str, deadline: Deadline) -> _Answer:
        target, led_by = target_of(wish.url, url), wish.source or wish.url
        source = target if url == led_by else target_of(wish.url, led_by)
        with ExitStack() as turn:
            with deadline.paused():
                self._permit(wish, target, source)
                if self.gate is not None:
                    turn.enter_context(self.gate.turn(target.url))
            try:
                return self._ask(wish, target, source, deadline)
            except FetchError as error:
                raise deadline.explain(wish.url) or error from None
            except (OSError, HTTPException) as error:
                raise deadline.explain(wish.url) or FetchError(wish.url, reason(error)) from error

    def _permit(self, wish: _Wish, target: Target, source: Target) -> None:
        """What is asked about an address is asked of its host, so that host must be one that may be reached."""
        if wish.permit is None:
            return
        if (target.host, target.port) != (source.host, source.port):
            self._guard.addresses(wish.url, target, self._seconds, source)
        wish.permit(target.url)

    def _ask(self, wish: _Wish, target: Target, source: Target, deadline: Deadline) -> _Answer:
        # Validators are words between us and one server; another one neither gave them nor may judge by them.
        validators = wish.validators if wish.validators and same_server(wish.given_by, target.url) else {}
        headers = {"User-Agent": self._user_agent, "Accept": wish.accept, "Accept-Encoding": "gzip, br"}
        headers |= {**(wish.more or {}), **validators}
        addresses = self._guard.addresses(wish.url, target, deadline.remaining(), source)
        allowance = Allowance(addresses, deadline)
        with ask(wish.method, target, headers, allowance) as response:
            allowance.left = 2 * self._most(wish) + MAX_HEAD  # chunks have heads of their own
            return self._answer(wish, target, response, bool(validators))

    def _answer(self, wish: _Wish, target: Target, response: Response, conditional: bool) -> _Answer:
        status, headers = response.status_code, _headers(response)
        if status in _REDIRECTS and headers.get("location"):
            return _Answer(target, status, headers, headers["location"])
        if status == 304 and conditional:
            return _Answer(target, status, headers)
        partly = (status == 226 and "A-IM" in wish.validators and conditional) or (status == 206 and wish.more)
        if status != 200 and not partly:
            raise refusal(wish.url, status, headers)
        if wish.more:  # only the head is of interest
            return _Answer(target, status, headers)
        body = bytearray()  # a list of pieces would keep an object for each, and they can be of two bytes
        for piece in self._body(wish, response, headers):
            body += piece
        return _Answer(target, status, headers, body=bytes(body))

    def _body(self, wish: _Wish, response: Response, headers: Mapping[str, str]) -> Iterator[bytes]:
        """The decompressed body; both what is sent and what it unpacks to are held to the size limit."""
        if headers.get("transfer-encoding", "chunked").lower() not in ("chunked", "identity"):
            raise FetchError(wish.url, "is sent in a transfer encoding that nobody asked for")
        sent, unpacked, most = 0, 0, self._most(wish)
        unpack = decoder(wish.url, headers.get("content-encoding", ""))
        for chunk in _chunks(wish.url, response, self._too_large(wish)):
            sent += len(chunk)
            for piece in unpack.pieces(chunk):
                unpacked += len(piece)
                if wish.first and unpacked >= wish.first:
                    yield piece[: len(piece) - (unpacked - wish.first)]
                    return
                if max(sent, unpacked) > most:
                    raise self._too_large(wish)
                yield piece
            if sent > most:
                raise self._too_large(wish)
        if not unpack.complete:
            raise FetchError(wish.url, "the compressed answer ends too early")

    def _most(self, wish: _Wish) -> int:
        return wish.most or max(self._max_bytes, wish.first)

    def _too_large(self, wish: _Wish) -> FetchError:
        most, setting = (wish.most, "max_image_bytes") if wish.most else (self._max_bytes, "max_bytes")
        fix = f"Raise {setting} under [collect] in gazet.toml if this is really meant."
        return FetchError(wish.url, f"is larger than {most:,} bytes", status=200, retryable=False, fix=fix)


def from_settings(settings: Settings) -> Fetcher:
    """The fetcher that the settings describe; its User-Agent names Gazet, its version and the site.

    The spacing that nobody set is manners towards other people's servers; one that the settings name holds for all.
    """
    agent = f"Gazet/{__version__} (+{settings.site.url})"
    collect = settings.collect
    return Fetcher(
        allow=collect.allow,
        timeout=collect.timeout,
        max_bytes=collect.max_bytes,
        user_agent=agent,
        gate=HostGate(collect.spacing, spare_loopback="spacing" not in collect.model_fields_set),
    )


def _chunks(asked: str, response: Response, too_large: FetchError) -> Iterator[bytes]:
    """The body as sent, without its chunking. Raises FetchError where it ends too early, or comes in too many crumbs."""
    reads, sent = 0, 0
    try:
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            reads, sent = reads + 1, sent + len(chunk)
            if reads > _MANY_READS and sent < reads * _LEAST_AVERAGE:
                what = f"is sent in more than {_MANY_READS:,} pieces of {sent / reads:.0f} bytes each"
                raise FetchError(asked, what, status=200, retryable=False, fix="Tell the site.")
            yield chunk
    except HTTPError as error:
        found = cause(error)
        if isinstance(found, TooMuchError):
            raise too_large from None
        if isinstance(found, TimeoutError):
            raise TimeoutError from None
        raise FetchError(asked, "the connection broke before the answer was complete") from error


def _headers(response: Response) -> dict[str, str]:
    """By name in lower case; a repeated one is a list (RFC 9110 section 5.2), a folded one a single line (section 5.5).

    One with a control character in it is dropped, as that section allows: it can neither be stored nor sent back.
    """
    found: dict[str, str] = {}
    for name, value in response.raw.headers.items():
        key, line = name.lower(), " ".join(part.strip(" \t") for part in value.replace("\r", "\n").split("\n")).strip(" \t")
        if not _CONTROL.search(line):
            found[key] = f"{found[key]}, {line}" if key in found else line
    return found


def _sendable(value: str) -> bool:
    """What came in one header line, and nothing that would end it: a store could have been edited by hand."""
    try:
        sent = value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return not sent[:1].isspace() and not any(byte in sent for byte in b"\r\n\0")


def _measured(answer: _Answer) -> Measured:
    headers = answer.headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()[:100]
    whole = headers.get("content-range", "").rpartition("/")[2] if answer.status == 206 else headers.get("content-length", "")
    known = whole.isascii() and whole.isdigit() and len(whole) < 16
    return Measured(media_type, int(whole) if known else 0)
