"""A digest as HTML and text, and from those its message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from markupsafe import Markup
from mjml import mjml2html

from pipeline.compose import message
from pipeline.errors import TemplateFault
from pipeline.models import DigestDocument, FeedItem, Picture, Precision, RenderedVariant
from pipeline.shown import headline, link, one_line, shorten
from pipeline.texts import Texts

_TEMPLATE = "digest.mjml.j2"
_TEASER = 300
_SUBJECT_TITLE = 80
_PREHEADER = 150
_COLUMN, _HIGHEST = 544, 480  # pixels: what is left of 600 in the template, and less than a screen
_LARGEST = 100_000  # bytes; personal values come on top
_STYLE = re.compile(r"(<mj-style\b.*?</mj-style>)", re.DOTALL)
_REFERENCE = re.compile(r"&#(\d+);")
_PERSONAL = {name: message.slot(name) for name in ("address", "unsubscribe_url", "preferences_url")}


@dataclass(frozen=True, slots=True)
class _Picture:
    """The copy of an item's image, in the size in which the mail shows it; ``alt`` may be empty."""

    file: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """An item as the mail shows it: plain text only; ``language`` only where it is not the mail's. ``source``: may be empty."""

    title: str
    url: str
    kicker: str
    teaser: str
    at: datetime
    precision: Precision
    language: str
    source: str
    picture: _Picture | None


def render(document: DigestDocument, texts: Texts) -> RenderedVariant:
    """The variant's subject, its page and text for the web, and its message with slots for what is personal.

    ``html`` and ``text`` hold nothing personal, not even a place for it. Items that would make the HTML larger than what
    Gmail shows whole (102 KB) are counted among the "N more". Raises TemplateFault for a template that does
    not render or is no MJML (which then has no line).
    """
    items = [_entry(found, document.language) for found in document.selection.items]
    subject = _subject(document, items, texts)
    shown = len(items)
    while True:
        more = document.selection.more + len(items) - shown
        values = {"digest": document, "items": items[:shown], "more": more, "subject": subject, "preheader": _preheader(items)}
        values["intro"] = Markup(document.intro_html)  # noqa: S704 (compose.intro sanitised it)
        mail = _bodies(document, texts, {**values, "media": f"{document.base_url}/media", "personal": _PERSONAL})
        size = len(mail[0].encode("utf-8"))
        if size <= _LARGEST or shown == 1:
            break
        shown = max(min(shown - 1, shown * _LARGEST // size), 1)
    page = _bodies(document, texts, {**values, "media": f"{urlsplit(document.base_url).path}/media", "personal": None})
    return RenderedVariant(subject, *page, message.encode(document, subject, *mail), shown)


def _bodies(document: DigestDocument, texts: Texts, values: Mapping[str, object]) -> tuple[str, str]:
    markup = texts.render(_TEMPLATE, document.language, **values)
    return _html(markup), texts.render("digest.txt.j2", document.language, **values)


def _subject(document: DigestDocument, items: list[_Entry], texts: Texts) -> str:
    others = len(items) - 1 + document.selection.more
    title = shorten(items[0].title, _SUBJECT_TITLE)
    return one_line(texts.render("digest.subject.j2", document.language, digest=document, title=title, others=others))


def _entry(listed: FeedItem, language: str) -> _Entry:
    item = listed.item
    return _Entry(
        title=headline(item),
        url=link(item.url),
        kicker=one_line(item.kicker),
        teaser=shorten(one_line(item.summary), _TEASER),
        at=item.published_at,
        precision=item.published_precision,
        language=item.language if item.language != language else "",
        source=one_line(listed.credit.title) if listed.credit else "",
        picture=_in_column(listed.picture) if listed.picture else None,
    )


def _in_column(picture: Picture) -> _Picture:
    """As wide as the text at most, and not much higher than that; a smaller one is not blown up.

    Outlook knows no max-width: it shows the size that the tag says.
    """
    scale = min(1.0, _COLUMN / picture.width, _HIGHEST / picture.height)
    width, height = (max(1, round(pixels * scale)) for pixels in (picture.width, picture.height))
    return _Picture(picture.file, width, height, one_line(picture.alt))


def _preheader(items: list[_Entry]) -> str:
    """What a mailbox shows behind the subject: the other titles, or the only item's teaser."""
    return shorten(" · ".join(item.title for item in items[1:]) or items[0].teaser, _PREHEADER)


def _html(markup: str) -> str:
    """MJML to HTML, without web fonts.

    mjml writes attribute values as Rust would print them (``\\u{fe0f}`` for a character it thinks invisible, two
    backslashes for one), so all but the styles goes in as ASCII with character references, which it leaves alone.
    """
    parts = _STYLE.split(markup)
    parts[::2] = [part.replace("\\", "&#92;").encode("ascii", "xmlcharrefreplace").decode("ascii") for part in parts[::2]]
    try:
        html: str = mjml2html("".join(parts), fonts={})
    except ValueError as error:
        raise TemplateFault(_TEMPLATE, f"is not MJML: {error}") from None
    return _REFERENCE.sub(lambda found: chr(int(found[1])) if 160 <= int(found[1]) <= 0x10FFFF else found[0], html)
