"""What a site asks of programs that read its pages: robots.txt (RFC 9309). For pages and articles, not for feeds."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import urlsplit

from protego import Protego

from pipeline.errors import AddressRefusedError, FetchError
from pipeline.http.fetch import Accept, Fetcher
from pipeline.http.urls import origin

NAME = "gazet"
MAX_CRAWL_DELAY = 30.0
_MAX_BYTES = 500 * 1024
_KEEP = 24 * 3600.0
_AGAIN = 1800.0
_REMEMBERED = 2_000_000
_PER_ORIGIN = 500
_MAX_SITEMAPS = 20
_LONGEST_LINE = 2_000
_AGENT_LINE = re.compile(r"user[- ]?agent(?:\s*+:|\s)(.*)", re.IGNORECASE)
_OURS = re.compile(rf"{NAME}(?![a-z_-])", re.IGNORECASE)


@dataclass(slots=True)
class _Origin:
    """What one origin's robots.txt said. ``size``: characters of its rules; ``trouble``: why it could not be read just now.

    ``sitemaps``: its lines that name one.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    rules: Protego | None = None
    size: int = 0
    until: float = float("-inf")
    trouble: str = ""
    sitemaps: str = ""


class Robots:
    """May this address be asked for? Each origin's robots.txt is read once a day, by the first thread that wants it.

    4xx means that there are no rules, but for 429; 5xx, 429 and no answer mean no, for now: the file is asked for again after
    half an hour or as Retry-After says, and rules read earlier hold meanwhile (RFC 9309 section 2.3.1). ``clock``: seconds,
    monotonic. Safe to share between threads.
    """

    def __init__(self, fetcher: Fetcher, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._lock = threading.Lock()
        self._origins: dict[str, _Origin] = {}

    def may(self, url: str) -> str:
        """Why not, as one clause; empty if it may."""
        try:
            self.check(url)
        except FetchError as error:
            return error.reason
        return ""

    def sitemap_lines(self, url: str) -> str:
        """The lines of its robots.txt that name sitemaps; empty where there are none, or it could not be read."""
        with contextlib.suppress(FetchError):
            return self._current(_root(url)).sitemaps
        return ""

    def check(self, url: str) -> None:
        """Raises FetchError if not: retryable where robots.txt could not be read, with the seconds until it is read again."""
        root = _root(url)
        known = self._current(root)
        rules, trouble, left = known.rules, known.trouble, known.until - self._clock()
        host = urlsplit(root).netloc
        if rules is None:
            reason = f"robots.txt of {host} could not be read ({trouble}), so nothing else is read there for now"
            raise FetchError(url, reason, retry_after=max(left, 1.0))
        if not rules.can_fetch(url, NAME):
            fix = "Respect that, or set robots = false for this source if the site allowed it."
            raise FetchError(url, f"robots.txt of {host} asks programs not to read this address", retryable=False, fix=fix)

    def _current(self, root: str) -> _Origin:
        known = self._known(root)
        with known.lock:
            if known.until <= self._clock():
                self._read(root, known)
            return known

    def _known(self, root: str) -> _Origin:
        with self._lock:
            known = self._origins.pop(root, None) or _Origin()
            self._origins[root] = known  # the one used last is the last to be forgotten
            weight = sum(one.size + _PER_ORIGIN for one in self._origins.values())
            for old in list(self._origins)[:-1]:
                if weight <= _REMEMBERED:
                    break
                weight -= self._origins.pop(old).size + _PER_ORIGIN
            return known

    def _read(self, root: str, known: _Origin) -> None:
        wait = _KEEP
        try:
            text, known.trouble = self._fetch(root), ""
        except AddressRefusedError:  # for a person to decide; nothing was sent, so nothing is to be remembered
            raise
        except FetchError as error:
            known.trouble = error.reason
            wait = min(max(error.retry_after or 0.0, _AGAIN), _KEEP)
        else:
            named = (line for line in text.splitlines() if line.lstrip()[:7].lower() == "sitemap")
            known.sitemaps = "\n".join(line[:_LONGEST_LINE] for line in islice(named, _MAX_SITEMAPS))
            text = "\n".join(_concerning_us(text))
            known.rules, known.size = Protego.parse(text), len(text)
            if self._fetcher.gate is not None:
                delay = known.rules.crawl_delay(NAME) or 0.0
                self._fetcher.gate.slow(root, min(delay, MAX_CRAWL_DELAY))
        known.until = self._clock() + wait

    def _fetch(self, root: str) -> str:
        """The file's text, empty where there is none. Raises FetchError where nobody can say."""
        try:
            found = self._fetcher.fetch(f"{root}/robots.txt", accept=Accept.TEXT, first=_MAX_BYTES)
        except FetchError as error:
            # Not retryable: more than five redirects, or one to no address (section 2.3.1.2).
            endless = error.status is None and not error.retryable and not isinstance(error, AddressRefusedError)
            if endless or (400 <= (error.status or 0) < 500 and error.status != 429):
                return ""
            raise
        return found.body.decode("utf-8-sig", "replace")


def _root(url: str) -> str:
    """The origin, in which robots.txt lies. Raises FetchError for no address."""
    try:
        scheme, host, port = origin(url)
    except ValueError:
        raise FetchError(url, "is not an address that can be asked for", retryable=False) from None
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if (scheme, port) in (("http", 80), ("https", 443)) else f"{scheme}://{name}:{port}"


def _concerning_us(text: str) -> Iterator[str]:
    """The lines of the groups for us and for everybody.

    Protego applies each rule to each name of its group, so that 500 KiB with many of both would keep it busy for hours; and
    it would take "gaz" for the beginning of our name.
    """
    naming = ours = False
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if named := _AGENT_LINE.match(line):
            name = named[1].strip()
            mine = "*" if name == "*" else NAME if _OURS.match(name) else ""
            if not naming:
                yield "User-agent: -"  # ends the group before
                ours = False
            naming, ours = True, ours or bool(mine)
            if mine:
                yield f"User-agent: {mine}"
        elif line:
            naming = naming and not _is_rule(line)
            if ours:
                yield line


def _is_rule(line: str) -> bool:
    """Whether the line ends the list of names that its group begins with."""
    return not line.lower().startswith(("sitemap", "site-map", "host"))
