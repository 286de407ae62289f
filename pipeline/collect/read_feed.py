"""RSS 0.9x to 2.0, RDF and Atom: feedparser takes them apart, everything it guesses is read again from the raw strings.

Its dates are silently wrong for ``05-06-2019`` or CEST, so only the strings are used; its sanitiser and URI resolver are
off (see ``markup``).
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.collect.bounded_feedparser import parse
from pipeline.collect.dates import languages_for, read_date, read_iso
from pipeline.collect.markup import absolute_url, squeeze, to_text
from pipeline.errors import ReadError
from pipeline.models import Attachment, Image, ParsedItem, ParsedSource, ReadDate, SourceKind

_MAX_TAGS = 250_000
_MAX_ENTITIES = 1_500_000
_HEAD = 65536
_MAX_PLAIN = 20_000
# Possessive throughout: "<!DOCTYPE" and thirty "[]" took a backtracking version minutes.
_PROLOGUE = re.compile(
    r"\s*+(?:<\?.*?\?>\s*+|<!--.*?-->\s*+|<!DOCTYPE(?:[^>\[]++|\[[^\]]*+\])*+>\s*+)*+", re.DOTALL | re.IGNORECASE
)
_ROOT = re.compile(r"<(?:[\w.-]+:)?(?:rss|feed|rdf|channel)(?=[\s>/])", re.IGNORECASE)
_MARKUP = re.compile(r"<[a-zA-Z/!][^<>]*>|&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|\w{2,30});")


def looks_like_feed(body: bytes, content_type: str) -> bool:
    """Whether the root element is a feed's; leading rubbish is forgiven where the server says that it is a feed."""
    head = _head(body)
    if _ROOT.match(head, _PROLOGUE.match(head).end()):  # type: ignore[union-attr]
        return True
    media = content_type.partition(";")[0].strip().lower()
    labelled = media in ("application/rss+xml", "application/atom+xml", "application/rdf+xml")
    return labelled and _ROOT.search(head) is not None and "<html" not in head.lower()


def read_feed(body: bytes, *, url: str, content_type: str, zone: str, now: datetime, language: str) -> ParsedSource:
    """The items of a feed in document order.

    ``language`` and ``zone`` are the source's and read dates that name no zone. Raises ReadError for what is no feed,
    or a feed too broken to yield an entry. A feed without entries is a result with the reason in ``rule``.
    """
    document = _parse(body, url, content_type)
    version = str(document.get("version") or "")
    if not version:
        raise ReadError(url, "is not a feed", fix='Give the address of a feed, or set kind = "page" for an HTML page.')
    entries = document.get("entries") or []
    broken = f": {squeeze(str(document.get('bozo_exception', '')))[:120]}" if document.get("bozo") else ""
    if not entries and broken:
        raise ReadError(url, f"is a broken feed without a readable entry{broken}", fix="Tell the site, or read its news page.")
    about = document.get("feed") or {}
    tongue = _text(about, "language") or language
    reader = _EntryReader(languages_for(language or tongue), zone, now)
    pairs = [(entry, reader.read(entry)) for entry in entries]
    return ParsedSource(
        kind=SourceKind.FEED,
        rule=_rule(version) if entries else f"{_rule(version)}: it is valid and has no entries",
        items=tuple(item for _entry, item in pairs),
        title=_plain(about, "title"),
        language=_text(about, "language"),
        skipped=((f"the feed is not well-formed{broken}",) if broken else ()) + tuple(reader.remarks),
    )


def _rule(version: str) -> str:
    """Feedparser's name of a format for people: "rss20" is "an RSS 2.0 feed"."""
    name = version.rstrip("0123456789un")
    number = ".".join(re.sub(r"\D", "", version))
    return f"a feed, {'Atom' if name.startswith('atom') else 'RSS'} {number}".rstrip()


def _head(body: bytes) -> str:
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body[:_HEAD].decode("utf-16", "ignore")
    return body[:_HEAD].decode("utf-8", "ignore").lstrip("\ufeff")


def _parse(body: bytes, url: str, content_type: str) -> Mapping[str, Any]:
    if body.count(b"<") > _MAX_TAGS or body.count(b"&") > _MAX_ENTITIES:
        raise ReadError(url, f"is too large to be a feed (more than {_MAX_TAGS:,} tags)", fix="Give a feed with fewer items.")
    charset = re.search(r"charset\s*=\s*\"?([\w.:-]{2,30})", content_type, re.IGNORECASE)
    # RFC 7303: a charset in the header wins over the XML declaration; without one feedparser looks at the bytes.
    headers = {"content-type": f"application/xml; charset={charset[1]}"} if charset else {}
    try:
        return parse(body, headers)
    except Exception as error:  # feedparser's loose parser raises whatever its input leads it to
        raise ReadError(url, f"cannot be read as a feed ({type(error).__name__})", fix="Tell the site.") from error


class _EntryReader:
    """Turns feedparser's entries into ParsedItems; ``remarks`` name dates that could not be read."""

    def __init__(self, languages: tuple[str, ...], zone: str, now: datetime) -> None:
        self._languages = languages
        self._zone = zone
        self._now = now
        self.remarks: list[str] = []

    def read(self, entry: Mapping[str, Any]) -> ParsedItem:
        title = _plain(entry, "title")
        published = self._date(title, entry, "published", "created", "updated")
        content, summary = _content(entry), _detail(entry, "summary")
        return ParsedItem(
            url=_text(entry, "link"),
            title=title,
            guid=_text(entry, "id"),
            summary_html=summary if summary != content else "",
            content_html=content,
            published=published,
            updated=self._date(title, entry, "updated"),
            authors=_authors(entry),
            categories=_categories(entry),
            image=_image(entry),
            attachments=_attachments(entry),
            language=_text(entry, "language"),
        )

    def _date(self, title: str, entry: Mapping[str, Any], *names: str) -> ReadDate | None:
        """The first of these that can be read; a date that is there but cannot be read leaves a remark."""
        for name in names:
            text = _text(entry, name)
            if not text:
                continue
            found = read_iso(text, self._zone) or read_date(text, languages=self._languages, zone=self._zone, now=self._now)
            if found is not None:
                return found
            remark = f'"{title[:60]}": the date "{text[:40]}" could not be read'
            if remark not in self.remarks:
                self.remarks.append(remark)
        return None


def _get(entry: Mapping[str, Any], name: str) -> Any:
    """Feedparser's dictionary answers for ``published`` with ``updated`` and warns; the plain one does not."""
    return dict.get(entry, name) if isinstance(entry, dict) else None


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = _get(entry, name)
    return squeeze(value) if isinstance(value, str) else ""


def _plain(entry: Mapping[str, Any], name: str) -> str:
    """A text construct as plain text. RSS does not say whether titles hold markup, so only what looks like it is one."""
    value = _get(entry, name)
    if not isinstance(value, str):
        return ""
    value = value[:_MAX_PLAIN]
    return to_text(value) or squeeze(value) if _MARKUP.search(value) else squeeze(value)


def _detail(entry: Mapping[str, Any], name: str) -> str:
    """A text construct as markup."""
    value, detail = _get(entry, name), _get(entry, f"{name}_detail") or {}
    if not isinstance(value, str):
        return ""
    return html.escape(value, quote=False) if detail.get("type") == "text/plain" and not _MARKUP.search(value) else value


def _content(entry: Mapping[str, Any]) -> str:
    parts = [part for part in _get(entry, "content") or [] if isinstance(part.get("value"), str)]
    for part in parts:
        if part.get("type") in ("text/html", "application/xhtml+xml"):
            return str(part["value"])
    return html.escape(parts[0]["value"], quote=False) if parts and parts[0].get("type") == "text/plain" else ""


def _authors(entry: Mapping[str, Any]) -> tuple[str, ...]:
    names = [_plain(author, "name") for author in _get(entry, "authors") or []]
    return tuple(dict.fromkeys(name for name in names if name))[:20]


def _categories(entry: Mapping[str, Any]) -> tuple[str, ...]:
    names = [_plain(tag, "label") or _plain(tag, "term") for tag in _get(entry, "tags") or []]
    return tuple(dict.fromkeys(name for name in names if name))[:50]


def _attachments(entry: Mapping[str, Any]) -> tuple[Attachment, ...]:
    links = [link for link in _get(entry, "links") or [] if _get(link, "rel") == "enclosure" and _text(link, "href")]
    return tuple(
        Attachment(_text(link, "href"), _text(link, "type"), _number(_get(link, "length")), _plain(link, "title")) for link in links
    )


def _image(entry: Mapping[str, Any]) -> Image | None:
    for media in [*(_get(entry, "media_content") or []), *(_get(entry, "media_thumbnail") or [])]:
        picture = _text(media, "medium") == "image" or _text(media, "type").startswith("image/") or "medium" not in media
        if picture and absolute_url(_text(media, "url"), "http://x/"):
            return Image(_text(media, "url"), "", _number(_get(media, "width")), _number(_get(media, "height")))
    for attached in _attachments(entry):
        if attached.media_type.startswith("image/"):
            return Image(attached.url)
    return None


def _number(value: object) -> int:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value) else 0
