"""RSS 0.9x to 2.0, RDF, Atom and CDF: feedparser takes them apart, everything it guesses is read again from the raw strings.

    bytes ──bounded_feedparser──▶ entries ──feed_entry──▶ items

Its dates are silently wrong for ``05-06-2019`` or CEST, so only the strings are used; its sanitiser and URI resolver are
off (see ``markup``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pipeline.collect.bounded_feedparser import parse
from pipeline.collect.dates import order_of
from pipeline.collect.feed_entry import get, links, plain_text, read_entry, text
from pipeline.collect.markup import absolute_url, squeeze
from pipeline.collect.noted_dates import MOST_ITEMS, NotedDates
from pipeline.errors import ReadError
from pipeline.models import ParsedSource, PollHints, SourceKind

_MAX_TAGS = 250_000
_MAX_ENTITIES = 1_500_000
_HEAD = 65536
# Possessive throughout: "<!DOCTYPE" and thirty "[]" took a backtracking version minutes.
_PROLOGUE = re.compile(
    r"\s*+(?:<\?.*?\?>\s*+|<!--.*?-->\s*+|<!DOCTYPE(?:[^>\[]++|\[[^\]]*+\])*+>\s*+)*+", re.DOTALL | re.IGNORECASE
)
_ROOT = re.compile(r"<(?:[\w.-]+:)?(?:rss|feed|rdf|channel)(?=[\s>/])", re.IGNORECASE)
_FIRST_TAG = re.compile(r"<(?:[\w.-]{1,60}:)?([\w-]{1,60})(?=[\s>/])")
_WIDE = (
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_BASE = re.compile(rb"xml:base\s{0,20}=\s{0,20}[\"']\s{0,20}([a-zA-Z][a-zA-Z0-9+.-]{0,20}:)?")
_PERIODS = {"hourly": 1, "daily": 24, "weekly": 7 * 24, "monthly": 30 * 24, "yearly": 365 * 24}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def root_name(body: bytes) -> str:
    """The name of a document's first element in lower case and without a prefix, empty where it does not begin with one."""
    head = _head(body)
    first = _FIRST_TAG.match(head, _PROLOGUE.match(head).end())  # type: ignore[union-attr]
    return first[1].lower() if first else ""


def looks_like_feed(body: bytes, content_type: str) -> bool:
    """Whether the root element is a feed's; leading rubbish is forgiven where the server says that it is a feed."""
    head = _head(body)
    if root_name(body) in ("rss", "feed", "rdf", "channel"):
        return True
    media = content_type.partition(";")[0].strip().lower()
    labelled = media in ("application/rss+xml", "application/atom+xml", "application/rdf+xml")
    return labelled and _ROOT.search(head) is not None and "<html" not in head.lower()


def read_feed(
    body: bytes, *, url: str, content_type: str, zone: str, now: datetime, language: str, limit: int = MOST_ITEMS
) -> ParsedSource:
    """The first ``limit`` items of a feed in document order.

    ``language`` and ``zone`` are the source's and read dates that name no zone. Raises ReadError for what is no feed,
    or a feed too broken to yield an entry. A feed without entries is a result with the reason in ``rule``.
    """
    document = _parse(body, url, content_type)
    entries = document.get("entries") or []
    version = str(document.get("version") or (_unnamed(body) if entries else ""))
    if not version:
        raise ReadError(url, "is not a feed", fix='Give the address of a feed, or set kind = "page" for an HTML page.')
    broken = f": {squeeze(str(document.get('bozo_exception', '')))[:120]}" if document.get("bozo") else ""
    if not entries and broken:
        raise ReadError(url, f"is a broken feed without a readable entry{broken}", fix="Tell the site, or read its news page.")
    about = document.get("feed") or {}
    tongue = text(about, "language")
    order = order_of(text(entry, name) for entry in entries[:limit] for name in ("published", "updated"))
    dates = NotedDates(language or tongue, zone, now, order)
    dates.note_rest(len(entries), limit)
    atom = version.startswith("atom")
    items = tuple(read_entry(entry, dates, about, atom=atom) for entry in entries[:limit])
    return ParsedSource(
        kind=SourceKind.FEED,
        rule=_rule(version) if entries else f"{_rule(version)}: it is valid and has no entries",
        items=items,
        title=plain_text(about, "title"),
        language=tongue,
        skipped=((f"the feed is not well-formed{broken}",) if broken else ()) + tuple(dates.remarks),
        hints=_hints(about),
        next_page=_next_page(about, url),
    )


def _unnamed(body: bytes) -> str:
    """The version of what feedparser reads without knowing it."""
    if root_name(body) != "channel":
        return ""
    return "rss11" if b"purl.org/net/rss1.1" in body[:_HEAD] else "cdf"


def _next_page(about: Mapping[str, Any], url: str) -> str:
    """Where older entries are: the next page, or the archive before this document (RFC 5005 §3 and §4)."""
    for relation in ("next", "prev-archive"):
        for link in links(about):
            if get(link, "rel") == relation and (address := absolute_url(text(link, "href"), url)):
                return address
    return ""


def _hints(about: Mapping[str, Any]) -> PollHints:
    asked = [wait for wait in (_ttl(about), _period(about)) if wait is not None]
    return PollHints(
        at_least=max(asked, default=None),
        skip_hours=frozenset(int(hour) % 24 for hour in _listed(about, "hours") if hour.isdecimal() and 0 <= int(hour) <= 24),
        skip_days=frozenset(_DAYS.index(day) for name in _listed(about, "days") if (day := name.lower()) in _DAYS),
    )


def _ttl(about: Mapping[str, Any]) -> timedelta | None:
    """RSS 2.0: minutes."""
    minutes = _count(about, "ttl")
    return timedelta(minutes=minutes) if minutes else None


def _period(about: Mapping[str, Any]) -> timedelta | None:
    """RSS 1.0 syndication: so many times a period; once a day where half of it is left out."""
    if get(about, "sy_updateperiod") is None and get(about, "sy_updatefrequency") is None:
        return None
    hours = _PERIODS.get(text(about, "sy_updateperiod").lower() or "daily")
    return timedelta(hours=hours / (_count(about, "sy_updatefrequency") or 1)) if hours else None


def _count(about: Mapping[str, Any], name: str) -> int:
    value = text(about, name)
    return int(value) if re.fullmatch(r"[0-9]{1,6}", value) else 0


def _listed(about: Mapping[str, Any], what: str) -> Iterator[str]:
    """RSS: hours are GMT, 0 to 23; RSS 0.91 counts from 1 to 24."""
    return (squeeze(value)[:20] for value in get(about, f"skip{what}_list") or [])


def _rule(version: str) -> str:
    """Feedparser's name of a format for people: "rss20" is "an RSS 2.0 feed"."""
    if version == "cdf":
        return "a feed, CDF"
    name = version.rstrip("0123456789un")
    digits = re.sub(r"\D", "", version)
    number = f"{digits[:1]}.{digits[1:]}" if digits else ""
    return f"a feed, {'Atom' if name.startswith('atom') else 'RSS'} {number}".rstrip()


def _head(body: bytes) -> str:
    """The beginning as text; wide characters without a byte order mark show in what a document begins with (XML 1.0, F)."""
    for mark, charset in _WIDE:
        if body.startswith(mark):
            return body[:_HEAD].decode(charset, "ignore").lstrip("\ufeff")
    return body[:_HEAD].decode("utf-8", "ignore").lstrip("\ufeff")


def _parse(body: bytes, url: str, content_type: str) -> Mapping[str, Any]:
    if body.count(b"<") > _MAX_TAGS or body.count(b"&") > _MAX_ENTITIES:
        raise ReadError(url, f"is too large to be a feed (more than {_MAX_TAGS:,} tags)", fix="Give a feed with fewer items.")
    charset = re.search(r"charset\s*=\s*\"?([\w.:-]{2,30})", content_type, re.IGNORECASE)
    # RFC 7303: a charset in the header wins over the XML declaration; without one feedparser looks at the bytes.
    headers = {"content-type": f"application/xml; charset={charset[1]}"} if charset else {}
    base = _BASE.search(body)
    if base and not base[1]:  # else nothing has to be known of where the document is, and guids stay as they are
        headers = {"content-type": "application/xml", **headers, "content-location": url}
    try:
        return parse(body, headers)
    except Exception as error:  # feedparser's loose parser raises whatever its input leads it to
        raise ReadError(url, f"cannot be read as a feed ({type(error).__name__})", fix="Tell the site.") from error
