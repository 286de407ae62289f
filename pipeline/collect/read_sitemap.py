"""Sitemaps (sitemaps.org 0.9) with Google's news and image extensions, and indexes of sitemaps.

Read by the standard library's expat. A sitemap has no document type, so one that declares any is refused: without
declarations there are no entities, and nothing is fetched. Elements are known by their local names, because sites forget to
declare prefixes. The whole document is parsed in one call: expat before 2.6 needs quadratic time for a long token in pieces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn
from urllib.parse import urlsplit
from xml.parsers import expat

from pipeline.collect.foreign_text import plain
from pipeline.collect.markup import absolute_url, squeeze
from pipeline.collect.noted_dates import NotedDates
from pipeline.collect.read_feed import root_name
from pipeline.errors import ReadError
from pipeline.models import Image, ParsedItem, ParsedSource, SourceKind

_MAX_ENTRIES = 50_000
_MAX_ELEMENTS = 400_000
_MAX_QUOTES = 600_000
_MAX_DEPTH = 16
_MAX_TEXT = 4_000
_MAX_CHILDREN = 100
_DATE = re.compile(r"\d{4}-\d\d")


class _RefusedError(ValueError):
    """A document that is no sitemap anybody publishes; ``str()`` says why."""


@dataclass(slots=True)
class _Entry:
    """One ``<url>`` or ``<sitemap>``: its texts by "parent/name", the first of each."""

    texts: dict[str, str] = field(default_factory=dict)

    @property
    def date(self) -> str:
        """What tells its age, as it is written (W3C date and time, so that strings of one site sort as times do)."""
        text = self.texts.get("news/publication_date") or self.texts.get("url/lastmod", "")
        return text if _DATE.match(text) else ""


def looks_like_sitemap(body: bytes) -> bool:
    """Whether the root element is a sitemap's or a sitemap index's."""
    return root_name(body) in ("urlset", "sitemapindex")


def read_sitemap(body: bytes, *, url: str, language: str, zone: str, now: datetime, scope: str = "", limit: int) -> ParsedSource:
    """The newest ``limit`` addresses of a sitemap, dated ones first and newest first; an index gives ``children`` instead.

    ``scope`` is the address of a page or folder: only what lies below it counts. A title is known of news entries only,
    ``lastmod`` stands for the date of the others. Raises ReadError for what is no sitemap, or one too broken to yield one.
    """
    kind = root_name(body)
    if kind not in ("urlset", "sitemapindex"):
        raise ReadError(url, "is no sitemap", fix='Give the address of a sitemap, or set kind = "auto".')
    found = _Collector()
    remarks = found.parse(body, url)
    if kind == "sitemapindex":
        return _index(found.entries, url, remarks)
    return _listing(found.entries, url, scope, limit, NotedDates(language, zone, now), remarks)


def in_scope(address: str, scope: str) -> bool:
    """Whether an address lies below the folder of ``scope``, on the same host with or without "www."; "" is everywhere."""
    if not scope:
        return True
    try:
        place, home = urlsplit(address), urlsplit(scope)
    except ValueError:
        return False
    return _host(place.hostname) == _host(home.hostname) and place.path.startswith(_folder(home.path))


def _host(name: str | None) -> str:
    return (name or "").removeprefix("www.").rstrip(".")


def _folder(path: str) -> str:
    """The pages "/nieuws" and "/nieuws/index.html" are about what lies below "/nieuws/"."""
    start, _slash, last = path.rpartition("/")
    return f"{start}/" if "." in last or not last else f"{path}/"


class _Collector:
    """Expat's handlers: keeps the texts two levels below each entry."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self._path: list[str] = []
        self._pieces: list[str] = []
        self._size = self._elements = 0

    def parse(self, body: bytes, url: str) -> list[str]:
        """Fills ``entries``; what is said instead of a broken rest is a remark. Raises ReadError where nothing is left."""
        # One tag with 1,500,000 attributes took 190 MB before its handler was called.
        if body.count(b"'") + body.count(b'"') > _MAX_QUOTES:
            raise ReadError(url, f"is a sitemap with more than {_MAX_QUOTES:,} quotes", fix="Give one of its parts.")
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(body, True)
        except _RefusedError as error:
            raise ReadError(url, f"is a sitemap that {error}", fix="Give a feed or a news page instead.") from None
        # ValueError and LookupError: an encoding that expat cannot be taught, or that Python does not know.
        except (expat.ExpatError, ValueError, LookupError) as error:
            told = f"the sitemap is not well-formed: {squeeze(str(error))[:120]}"
            if not self.entries:
                raise ReadError(url, f"is a broken sitemap: {told}", fix="Tell the site, or read its news page.") from None
            return [told]
        return []

    def _refuse(self, *_declaration: object) -> NoReturn:
        raise _RefusedError("declares a document type, which sitemaps never do")

    def _start(self, name: str, _attributes: object) -> None:
        self._path.append(name.rpartition(":")[2].lower()[:40])
        self._pieces, self._size = [], 0
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise _RefusedError(f"holds more than {_MAX_ELEMENTS:,} elements")
        if len(self._path) > _MAX_DEPTH:
            raise _RefusedError(f"is nested more than {_MAX_DEPTH} levels deep")
        if len(self._path) == 2:
            if len(self.entries) >= _MAX_ENTRIES:
                raise _RefusedError(f"holds more than {_MAX_ENTRIES:,} addresses, the most that the protocol allows")
            self.entries.append(_Entry())

    def _text(self, data: str) -> None:
        if len(self._path) > 2 and self._size < _MAX_TEXT:
            self._pieces.append(data[:_MAX_TEXT])
            self._size += len(data)

    def _end(self, _name: str) -> None:
        if len(self._path) > 2 and self._pieces and len(self.entries[-1].texts) < 20:
            self.entries[-1].texts.setdefault("/".join(self._path[-2:]), squeeze("".join(self._pieces)))
            self._pieces = []
        self._path.pop()


def _index(entries: Sequence[_Entry], url: str, remarks: list[str]) -> ParsedSource:
    """News first, then those changed last; the order of the index where it does not say."""
    dated = [(entry.texts.get("sitemap/lastmod", ""), absolute_url(entry.texts.get("sitemap/loc", ""), url)) for entry in entries]
    named = sorted((pair for pair in dated if pair[1]), key=lambda pair: ("news" in pair[1].lower(), pair[0]), reverse=True)
    children = tuple(dict.fromkeys(address for _changed, address in named))
    if len(children) > _MAX_CHILDREN:
        remarks.append(f"{len(children) - _MAX_CHILDREN} of {len(children)} sitemaps of the index were left out")
    rule = f"a sitemap index of {len(children)} sitemaps" if children else "a sitemap index that names no sitemap"
    return ParsedSource(SourceKind.SITEMAP, rule, (), skipped=tuple(remarks), children=children[:_MAX_CHILDREN])


def _item(entry: _Entry, url: str, dates: NotedDates) -> ParsedItem | None:
    told = entry.texts
    address = absolute_url(told["url/loc"], url)
    if not address:
        return None
    title = plain(told.get("news/title", ""))
    published = dates.read(title or address, (told.get("news/publication_date", ""), told.get("url/lastmod", "")))
    image = absolute_url(told.get("image/loc", ""), url)
    return ParsedItem(
        url=address,
        title=title,
        published=published,
        updated=dates.read(title or address, (told.get("url/lastmod", ""),)),
        categories=tuple(dict.fromkeys(word for part in told.get("news/keywords", "").split(",") if (word := part.strip())))[:50],
        image=Image(image, plain(told.get("image/title", ""))) if image else None,
        language=told.get("publication/language", "")[:20],
    )


def _listing(entries: Sequence[_Entry], url: str, scope: str, limit: int, dates: NotedDates, remarks: list[str]) -> ParsedSource:
    placed = [entry for entry in entries if entry.texts.get("url/loc")]
    near = [entry for entry in placed if in_scope(entry.texts["url/loc"], scope)]
    chosen = _newest(near, limit)
    items = tuple(item for entry in chosen if (item := _item(entry, url, dates)) is not None)
    if lost := len(entries) - len(placed) + len(chosen) - len(items):
        remarks.append(f"{lost} entries have no address")
    if far := len(placed) - len(near):
        remarks.append(f"{far} of {len(placed)} addresses are not below {scope}")
    if left := len(near) - len(chosen):
        remarks.append(f"{left} older or undated addresses beyond the first {limit} were left out (max_items)")
    news = sum(bool(item.title) for item in items)
    rule = ("a news sitemap" if news * 2 > len(items) else "a sitemap") if items else "a sitemap without a usable address"
    return ParsedSource(SourceKind.SITEMAP, rule, items, skipped=(*remarks, *dates.remarks))


def _newest(entries: Sequence[_Entry], limit: int) -> list[_Entry]:
    """Sitemaps are in no order: dated entries newest first, then undated ones, of too many those at either end."""
    dated = sorted((entry for entry in entries if entry.date), key=lambda entry: entry.date, reverse=True)[:limit]
    undated = [entry for entry in entries if not entry.date]
    room = limit - len(dated)
    if len(undated) > room:
        first = (room + 1) // 2
        undated = [*undated[:first], *undated[len(undated) - (room - first) :]]
    return [*dated, *undated]
