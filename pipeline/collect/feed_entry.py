"""One entry of a feed, as feedparser gives it, becomes an item: which of its links, texts, dates and pictures are meant."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.collect.foreign_text import holds_markup, plain, with_tags_kept
from pipeline.collect.markup import TooComplexError, absolute_url, parse, squeeze, to_text
from pipeline.collect.noted_dates import NotedDates
from pipeline.models import Attachment, Image, ParsedItem

_HTML = ("text/html", "application/xhtml+xml")
_DATES = ("published", "created", "updated", "prism_publicationdate")
_ANYWHERE = "http://x/"
_MAX_LINKS = 200


def read_entry(entry: Mapping[str, Any], dates: NotedDates, about: Mapping[str, Any], *, atom: bool) -> ParsedItem:
    """``atom``: its text constructs say truly whether they hold markup (RFC 4287 §3.1); those of RSS do not.

    ``about``: the feed that holds it. Where an entry of Atom names no author, the feed's, or that of the one that it was
    copied from, wrote it (§4.2.1); where it speaks another language (``xml:lang``), that is its own.
    """
    title = _title(entry, atom)
    content, summary = _content(entry), _summary(entry)
    address = _address(entry)
    return ParsedItem(
        url=address,
        title=title,
        guid=text(entry, "id") or ("" if address else _identity(entry, title, content or summary)),
        summary_html=summary if summary != content else "",
        content_html=content,
        published=dates.read(title, dict.fromkeys(text(entry, name) for name in _DATES)),
        updated=dates.read(title, (text(entry, "updated"),)),
        authors=_authors(entry) or (_authors(get(entry, "source") or {}) or _authors(about) if atom else ()),
        categories=_categories(entry),
        image=_image(entry),
        attachments=_attachments(entry),
        language=text(entry, "language") or (_language(entry, text(about, "language")) if atom else ""),
    )


def get(entry: Mapping[str, Any], name: str) -> Any:
    """Feedparser's dictionary answers for ``published`` with ``updated`` and warns; the plain one does not."""
    return dict.get(entry, name) if isinstance(entry, dict) else None


def text(entry: Mapping[str, Any], name: str) -> str:
    """A string on one line, anything else empty."""
    value = get(entry, name)
    return squeeze(value) if isinstance(value, str) else ""


def plain_text(entry: Mapping[str, Any], name: str) -> str:
    """A text construct as plain text."""
    value = get(entry, name)
    return plain(value) if isinstance(value, str) else ""


def links(entry: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The links of an entry or a feed that lead somewhere, each with ``rel`` and perhaps ``type``."""
    return [link for link in (get(entry, "links") or [])[:_MAX_LINKS] if text(link, "href")]


def _title(entry: Mapping[str, Any], atom: bool) -> str:
    value = get(entry, "title")
    if not isinstance(value, str):
        return ""
    literal = atom and text(get(entry, "title_detail") or {}, "type") == "text/plain"
    return with_tags_kept(value) if literal else plain(value)


def _address(entry: Mapping[str, Any]) -> str:
    """The page that an entry is about: the first link to it in HTML, or in whatever form; of RSS ``link``, or a guid that is one.

    A guid that is no address is none, even where isPermaLink is left out and so means true. FeedBurner's and Atom's
    out-of-line ``content`` addresses stand where there is no better.
    """
    if absolute_url(original := text(entry, "feedburner_origlink"), ""):
        return original
    pages = [link for link in links(entry) if get(link, "rel") == "alternate"]
    readable = [link for link in pages if text(link, "type") in ("", "html", *_HTML)]
    if chosen := next(iter(readable or pages), None):
        return text(chosen, "href")
    address = text(entry, "link")
    if address and address == text(entry, "id") and not absolute_url(address, ""):
        address = ""
    return address or next((text(part, "src") for part in _parts(entry) if text(part, "src")), "")


def _identity(entry: Mapping[str, Any], title: str, body: str) -> str:
    """What names an entry with neither guid nor address, as RSS 2.0 allows: title and date, and its text where one is missing."""
    date = next((found for name in _DATES if (found := text(entry, name))), "")
    told = (title, date) if title and date else (title, date, to_text(body) or body)
    if not any((title, told[-1])):
        return ""
    name = hashlib.sha256("\n".join(told).encode("utf-8", "replace")).hexdigest()
    return f"text:{name[:32]}"


def _language(entry: Mapping[str, Any], spoken: str) -> str:
    details = (*_parts(entry), get(entry, "summary_detail") or {}, get(entry, "title_detail") or {})
    tongues = (text(detail, "language") for detail in details)
    return next((tongue for tongue in tongues if tongue and tongue.lower() != spoken.lower()), "")


def _parts(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part for part in get(entry, "content") or [] if isinstance(part, dict)]


def _summary(entry: Mapping[str, Any]) -> str:
    """What describes the entry; the text of its picture or for a podcast's directory where there is nothing else."""
    own = _as_markup(get(entry, "summary"), get(entry, "summary_detail") or {})
    return own or next(
        (_as_markup(get(entry, name), {}) for name in ("itunes_summary", "media_description", "subtitle") if get(entry, name)), ""
    )


def _content(entry: Mapping[str, Any]) -> str:
    parts = [part for part in _parts(entry) if isinstance(get(part, "value"), str)]
    for part in parts:
        if text(part, "type") in _HTML:
            return _as_markup(part["value"], part)
    words = next((part["value"] for part in parts if text(part, "type").startswith("text/")), "")
    return html.escape(words, quote=False)


def _as_markup(value: object, detail: Mapping[str, Any]) -> str:
    if not isinstance(value, str):
        return ""
    if not holds_markup(value):
        return html.escape(value, quote=False) if text(detail, "type") == "text/plain" else value
    base = text(detail, "base")
    return _resolved(value, base) if base and ("href" in value or "src" in value) else value


def _resolved(markup: str, base: str) -> str:
    """Markup whose relative addresses count from an ``xml:base``, which is rare; where that is relative too, as it is."""
    if not absolute_url(base, ""):
        return markup
    try:
        tree = parse(markup)
    except TooComplexError:
        return markup
    for name in ("href", "src"):
        for node in tree.css(f"[{name}]"):
            if address := absolute_url(node.attributes.get(name) or "", base):
                node.attrs[name] = address
    return (tree.body.inner_html or "").strip() if tree.body is not None else markup


def _authors(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Names alone, no one's mail address."""
    names = [plain_text(author, "name").strip(" ,;") for author in get(entry, "authors") or []]
    return tuple(dict.fromkeys(name for name in names if name and not name.lower().startswith("mailto:")))[:20]


def _categories(entry: Mapping[str, Any]) -> tuple[str, ...]:
    names = [plain_text(tag, "label") or plain_text(tag, "term") for tag in get(entry, "tags") or []]
    return tuple(dict.fromkeys(name for name in names if name))[:50]


def _attachments(entry: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """Enclosures, and the sound and films of Media RSS that are not among them."""
    found = {}
    for link in links(entry):
        if get(link, "rel") == "enclosure":
            address = text(link, "href")
            found[address] = Attachment(address, text(link, "type"), _number(get(link, "length")), plain_text(link, "title"))
    for media in _media(entry, "media_content"):
        address = text(media, "url")
        if not _may_be_picture(media) and text(media, "type").startswith(("audio/", "video/")):
            found.setdefault(address, Attachment(address, text(media, "type"), _number(get(media, "filesize"))))
    return tuple(found.values())


def _media(entry: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    return (media for media in (get(entry, name) or [])[:_MAX_LINKS] if absolute_url(text(media, "url"), _ANYWHERE))


def _may_be_picture(media: Mapping[str, Any]) -> bool:
    kind = text(media, "medium") or text(media, "type").partition("/")[0]
    return kind in ("", "image")


def _image(entry: Mapping[str, Any]) -> Image | None:
    for name in ("media_content", "media_thumbnail"):
        for media in _media(entry, name):
            if _may_be_picture(media):
                return Image(text(media, "url"), "", _number(get(media, "width")), _number(get(media, "height")))
    for attached in _attachments(entry):
        if attached.media_type.startswith("image/"):
            return Image(attached.url)
    address = text(get(entry, "image") or {}, "href")
    return Image(address) if absolute_url(address, _ANYWHERE) else None


def _number(value: object) -> int:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value) else 0
