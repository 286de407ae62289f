"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/), forgiving where their texts tell readers to be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pipeline.collect.bounded_json import identifier, mapping, objects, plain_words, raw, sequence, whole, words
from pipeline.collect.foreign_text import as_html
from pipeline.collect.markup import absolute_url
from pipeline.collect.noted_dates import MOST_ITEMS, NotedDates
from pipeline.errors import ReadError
from pipeline.models import Attachment, Image, ParsedItem, ParsedSource, SourceKind

_MAX_NAMES = 200
_MARK = "jsonfeed.org/version/"


def is_json_feed(value: object) -> bool:
    """Whether a JSON value says that it is a JSON Feed."""
    return _MARK in words(mapping(value).get("version"))


def read_json_feed(value: object, *, url: str, language: str, zone: str, now: datetime, limit: int = MOST_ITEMS) -> ParsedSource:
    """The first ``limit`` items of a JSON Feed in document order.

    Raises ReadError where ``items`` is no list. A feed without items is a result with the reason in ``rule``.
    """
    feed = mapping(value)
    if not isinstance(feed.get("items"), list):
        raise ReadError(url, "is a JSON Feed without a list of items", fix="Tell the site, or read its news page.")
    tongue = words(feed.get("language"))
    dates = NotedDates(language or tongue, zone, now)
    authors = _authors(feed)
    entries = list(objects(feed["items"]))
    if left_out := len(sequence(feed["items"])) - len(entries):
        dates.note(f"{left_out} entries are no objects and were left out")
    if feed.get("expired") is True:
        dates.note("the feed says that it has ended (expired)")
    dates.note_rest(len(entries), limit)
    rule = f"a feed, JSON Feed {_version(feed)}"
    return ParsedSource(
        kind=SourceKind.FEED,
        rule=rule if entries else f"{rule}: it is valid and has no entries",
        items=tuple(_item(entry, authors, dates) for entry in entries[:limit]),
        title=plain_words(feed.get("title")),
        language=tongue,
        skipped=tuple(dates.remarks),
        next_page=absolute_url(raw(feed.get("next_url")), url),
    )


def _version(feed: Mapping[str, object]) -> str:
    number = words(feed.get("version")).partition(_MARK)[2].strip("/")[:10]
    return "1.0" if number == "1" else number


def _item(entry: Mapping[str, object], authors: tuple[str, ...], dates: NotedDates) -> ParsedItem:
    guid, title = identifier(entry.get("id")), plain_words(entry.get("title"))
    own = guid if guid.startswith(("https://", "http://")) else ""
    return ParsedItem(
        url=words(entry.get("url")) or words(entry.get("external_url")) or own,
        title=title,
        guid=guid,
        summary=plain_words(entry.get("summary")),
        content_html=raw(entry.get("content_html")) or as_html(raw(entry.get("content_text"))),
        published=dates.read_rfc3339(title, words(entry.get("date_published"))),
        updated=dates.read_rfc3339(title, words(entry.get("date_modified"))),
        authors=_authors(entry) or authors,
        categories=tuple(dict.fromkeys(name for tag in sequence(entry.get("tags"))[:_MAX_NAMES] if (name := plain_words(tag))))[
            :50
        ],
        image=_image(entry),
        attachments=tuple(_attachment(file) for file in objects(entry.get("attachments")) if words(file.get("url")))[:100],
        language=words(entry.get("language")),
    )


def _authors(told: Mapping[str, object]) -> tuple[str, ...]:
    """``authors`` of 1.1, or ``author`` of 1.0, of a feed or an item."""
    people = [*objects(told.get("authors")), *objects(told.get("author"))][:_MAX_NAMES]
    return tuple(dict.fromkeys(name for person in people if (name := plain_words(person.get("name")))))[:20]


def _image(entry: Mapping[str, object]) -> Image | None:
    address = words(entry.get("image")) or words(entry.get("banner_image"))
    return Image(address) if address else None


def _attachment(file: Mapping[str, object]) -> Attachment:
    size = whole(file.get("size_in_bytes"))
    return Attachment(words(file.get("url")), words(file.get("mime_type")), size, plain_words(file.get("title")))
