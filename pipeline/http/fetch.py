"""Fetching one URL: hop by hop, within one deadline and one size limit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit

import requests
from requests_hardened import Config
from urllib3.exceptions import HTTPError

from pipeline import __version__
from pipeline.config import Settings
from pipeline.errors import FetchError
from pipeline.http.addresses import AddressGuard
from pipeline.http.answers import CHUNK, decoder, reason, refusal
from pipeline.http.connection import Deadline, PinnedAdapter, Session

_MAX_HOPS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/html;q=0.8, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. ``url`` as asked, ``final_url`` after redirects, ``status`` 200 or 304, header names in lower case.

    ``body`` is decompressed, empty on 304; ``etag`` and ``last_modified`` are opaque and to be sent back byte for byte.
    """

    url: str
    final_url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    etag: str
    last_modified: str

    @property
    def not_modified(self) -> bool:
        """True where what is known is still current (304)."""
        return self.status == 304

    @property
    def content_type(self) -> str:
        """The Content-Type header as sent, empty where there is none."""
        return self.headers.get("content-type", "")


class Fetcher:
    """Fetches one URL at a time; safe to share between threads, as each fetch has a session of its own."""

    def __init__(self, *, allow: bool | tuple[str, ...] = (), timeout: timedelta, max_bytes: int, user_agent: str) -> None:
        self._guard = AddressGuard(allow)
        self._seconds = timeout.total_seconds()
        self._max_bytes = max_bytes
        self._user_agent = user_agent

    def fetch(self, url: str, *, etag: str = "", last_modified: str = "") -> Fetched:
        """GET ``url``, conditionally if validators are given (RFC 9110 section 13.1), following redirects.

        Raises AddressRefusedError for a private address at any hop and FetchError for every other answer than a whole
        200, or a 304 to a conditional request, within the time and size limits.
        """
        headers = {name: value for name, value in (("If-None-Match", etag), ("If-Modified-Since", last_modified)) if value}
        with Deadline(self._seconds) as deadline:
            return self._follow(url, headers, deadline)

    def _follow(self, url: str, headers: dict[str, str], deadline: Deadline) -> Fetched:
        current = url
        for _hop in range(_MAX_HOPS + 1):
            # Validators are words between us and one server; another one neither gave them nor may judge by them.
            answer = self._hop(url, current, headers if _same_server(url, current) else {}, deadline)
            if isinstance(answer, Fetched):
                return answer
            current = _join(url, current, answer)
        raise FetchError(url, f"redirects more than {_MAX_HOPS} times", retryable=False, fix="Use the address it ends at.")

    def _hop(self, asked: str, url: str, headers: dict[str, str], deadline: Deadline) -> Fetched | str:
        _check_url(asked, url)
        try:
            with self._session(deadline) as session, self._get(session, url, headers, deadline) as response:
                answer = self._answer(asked, url, response, bool(headers))
        except FetchError as error:
            raise deadline.explain(asked) or error from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            lasting = isinstance(error, ValueError)
            raise deadline.explain(asked) or FetchError(asked, reason(error), retryable=not lasting) from error
        # A socket shut down at the deadline reads as the end of the body: that is no whole answer.
        if late := deadline.explain(asked):
            raise late
        return answer

    def _session(self, deadline: Deadline) -> requests.Session:
        config = Config(
            ip_filter_enable=False,
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(self._seconds, self._seconds),
            user_agent_override=self._user_agent,
        )
        session = Session(config)
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers.clear()
        session.headers.update({"Accept": _ACCEPT, "Accept-Encoding": "gzip", "Connection": "close"})
        session.mount("http://", PinnedAdapter(self._guard, deadline, secure=False))
        session.mount("https://", PinnedAdapter(self._guard, deadline, secure=True))
        return session

    def _get(self, session: requests.Session, url: str, headers: dict[str, str], deadline: Deadline) -> requests.Response:
        return session.get(url, headers=dict(headers), stream=True, timeout=deadline.remaining(), allow_redirects=False)

    def _answer(self, asked: str, url: str, response: requests.Response, conditional: bool) -> Fetched | str:
        """The answer, or the Location of a redirect."""
        status = response.status_code
        if status in _REDIRECTS and response.headers.get("Location"):
            return str(response.headers["Location"])
        if status == 304 and conditional:
            return _fetched(asked, url, response, b"")
        if status != 200:
            raise refusal(asked, response)
        return _fetched(asked, url, response, b"".join(self._body(asked, response)))

    def _body(self, asked: str, response: requests.Response) -> Iterator[bytes]:
        """The decompressed body; both what is sent and what it unpacks to are held to the size limit."""
        sent = unpacked = 0
        unpack = decoder(asked, response.headers.get("Content-Encoding", ""))
        for chunk in response.raw.stream(CHUNK, decode_content=False):
            sent += len(chunk)
            for piece in unpack.pieces(chunk):
                unpacked += len(piece)
                self._check_size(asked, max(sent, unpacked))
                yield piece
            self._check_size(asked, sent)
        if not unpack.complete:
            raise FetchError(asked, "the compressed answer ends too early")

    def _check_size(self, asked: str, size: int) -> None:
        if size > self._max_bytes:
            fix = "Raise max_bytes under [collect] in gazet.toml if this is really meant."
            raise FetchError(asked, f"is larger than {self._max_bytes:,} bytes", status=200, retryable=False, fix=fix)


def from_settings(settings: Settings) -> Fetcher:
    """The fetcher that the settings describe; its User-Agent names Gazet, its version and the site."""
    collect = settings.collect
    agent = f"Gazet/{__version__} (+{settings.site.url})"
    return Fetcher(allow=collect.allow, timeout=collect.timeout, max_bytes=collect.max_bytes, user_agent=agent)


def _fetched(asked: str, url: str, response: requests.Response, body: bytes) -> Fetched:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Fetched(
        url=asked,
        final_url=url,
        status=response.status_code,
        headers=headers,
        body=body,
        etag=headers.get("etag", ""),
        last_modified=headers.get("last-modified", ""),
    )


def _same_server(asked: str, current: str) -> bool:
    """Whether both have one origin (RFC 6454 section 4), or the second is the first's https on the usual ports.

    The latter because a site that moved to https redirects every old address; its validators are those of https.
    """
    try:
        first, second = _origin(asked), _origin(current)
    except ValueError:  # it is refused as an address by the hop itself
        return False
    return second in (first, ("https", first[1], 443) if first[::2] == ("http", 80) else first)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _check_url(asked: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise FetchError(asked, "does not lead to an http or https address", retryable=False, fix="Correct the address.")
    if parts.username is not None or parts.password is not None:
        shown = re.sub(r"//[^/]*@", "//", asked)
        raise FetchError(shown, "leads to an address with a user name in it", retryable=False, fix="Use a public address.")


def _join(asked: str, current: str, location: str) -> str:
    """The next hop. http.client reads headers as Latin-1; servers that send raw UTF-8 mean UTF-8."""
    try:
        target = location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        target = location
    try:
        return urljoin(current, target.strip()).partition("#")[0]
    except ValueError:
        raise FetchError(asked, "redirects to something that is not an address", retryable=False) from None
