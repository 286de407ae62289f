"""An item as every format shows it, made ready once: clean text, addresses that work, each thing once.

Item ─▶ Entry ─▶ rss, atom, json_feed, html
"""

from __future__ import annotations

import functools
import mimetypes
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html.entities import name2codepoint
from urllib.parse import urlsplit

from babel import Locale

from pipeline.models import Attachment, Credit, FeedDocument, FeedItem, Image, Item, Picture, Precision
from pipeline.publish.identity import entry_id
from pipeline.shown import clean, headline, link, one_line

_TYPES = mimetypes.MimeTypes()  # Python's own list alone: the machine's would make other bytes elsewhere (promise 5)
_UNKNOWN_TYPE = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:-[A-Za-z0-9]{1,8}){0,4}")
_ADDRESS = re.compile(r"<[^<>@\s]++@[^<>@\s]++>")
_AS_MARKUP = re.compile(r"<(?=[/!?A-Za-z])|&(?=#\w|(?P<name>\w++))")
_JOINER = "\N{WORD JOINER}"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a format says of an item; ``seq`` is its number in the feed.

    ``title`` may be empty, ``headline`` never is. ``content`` is sanitised HTML. ``dated``: the item's date for people. The other
    times are whole seconds in UTC: ``published`` is never later than the item was known, ``updated`` never before that.
    ``language`` is a tag (BCP 47), empty where none is known. ``credit``: where the feed has several sources.
    """

    id: str
    seq: int
    url: str
    title: str
    headline: str
    kicker: str
    summary: str
    content: str
    dated: datetime
    precision: Precision
    published: datetime
    updated: datetime
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    attachments: tuple[Attachment, ...]
    image: Image | None
    language: str
    credit: Credit | None = None
    picture: Picture | None = None

    def language_beside(self, language: str) -> str:
        """The entry's language where it is not ``language``, the feed's own; else ""."""
        return "" if self.language.casefold() == language.casefold() else self.language


def entries_of(document: FeedDocument) -> tuple[Entry, ...]:
    """The document's items in its order; of two with one id the first, since an id names one entry (RFC 4287 §4.1.1)."""
    return tuple({made.id: made for made in map(_entry, reversed(document.items))}.values())[::-1]


def _entry(listed: FeedItem) -> Entry:
    item = listed.item
    # A date without a time is noon, which in the morning lies ahead: to readers and validators a mistake, or not yet to be shown.
    published = _seconds(min(item.published_at, max(item.first_seen_at, item.updated_at)))
    return Entry(
        id=entry_id(item),
        seq=listed.seq,
        url=link(item.url),
        title=one_line(item.title),
        headline=headline(item),
        kicker=one_line(item.kicker),
        summary=one_line(item.summary),
        content=clean(item.content_html).strip(),
        dated=item.published_at,
        precision=item.published_precision,
        published=published,
        updated=max(published, _seconds(item.updated_at)),
        authors=_each_once(_ADDRESS.sub("", name) if "@" in name else name for name in item.authors),
        categories=_each_once(item.categories),
        attachments=tuple(_attachments(item)),
        image=_image(item.image),
        language=language_tag(item.language),
        credit=_credit(listed.credit),
        picture=replace(listed.picture, alt=one_line(listed.picture.alt)) if listed.picture else None,
    )


def _seconds(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in map(one_line, names) if name))


def _attachments(item: Item) -> Iterator[Attachment]:
    """Those with a usable address, each once, with a media type that is one (RFC 6838 §4.2)."""
    seen = set()
    for found in item.attachments:
        url = link(found.url)
        if url and url not in seen:
            seen.add(url)
            media_type = found.media_type if _MEDIA_TYPE.fullmatch(found.media_type) else _type_by_name(url)
            yield Attachment(url, media_type, max(found.length, 0), one_line(found.title))


def _type_by_name(url: str) -> str:
    """What the end of its path says: readers that play sound or show films skip what has no type of theirs."""
    return _TYPES.guess_type(urlsplit(url).path)[0] or _UNKNOWN_TYPE


def _credit(credit: Credit | None) -> Credit | None:
    url = link(credit.url) if credit else ""
    return Credit(one_line(credit.title) or url, url, credit.is_feed) if credit and url else None


def _image(image: Image | None) -> Image | None:
    url = link(image.url) if image else ""
    return replace(image, url=url, alt=one_line(image.alt)) if image and url else None


def language_tag(language: str) -> str:
    """The language as BCP 47 writes it, "" for what names none: sources say "nl_NL", and also "Nederlands" or "default"."""
    tag = language.strip().replace("_", "-")
    found = _LANGUAGE.fullmatch(tag)
    return tag if found and found[1].lower() in _languages() else ""


@functools.cache
def _languages() -> frozenset[str]:
    return frozenset(Locale("en").languages)


def looks_like_markup(text: str) -> bool:
    """Whether a reader that takes plain text for HTML would show something else."""
    return unmistakable(text) != text


def unmistakable(text: str) -> str:
    """Plain text that stays the same to those that read it as HTML: an invisible joiner follows a "<" or "&" that begins something.

    RSS never said which of the two a title is, so readers differ, and validators warn of both ways to escape it.
    """
    return _AS_MARKUP.sub(_apart, text) if "<" in text or "&" in text else text


def _apart(begun: re.Match[str]) -> str:
    name = begun["name"]
    harmless = name is not None and name.isalpha() and name not in name2codepoint and name != "apos"
    return begun[0] if harmless else begun[0] + _JOINER
