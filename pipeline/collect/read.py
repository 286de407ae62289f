"""Bytes in, news out: finds out what a document is and hands it to its reader.

    bytes ──▶ a feed by its root element? ──▶ read_feed
                        └── no ──▶ HTML? ──▶ read_page: the listing

A kind that is added later (WordPress, sitemap, JSON-LD) is one more branch here and one more reader beside these.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from pipeline.collect.read_feed import looks_like_feed, read_feed
from pipeline.collect.read_page import read_page
from pipeline.errors import ReadError
from pipeline.models import ParsedSource, SourceKind

if TYPE_CHECKING:  # the process that reads does without pydantic (see apart)
    from pipeline.config import PageSettings


def read(
    body: bytes,
    *,
    url: str,
    content_type: str,
    kind: SourceKind,
    page: PageSettings,
    language: str,
    zone: str,
    now: datetime,
    max_items: int,
) -> ParsedSource:
    """What one document yields, at most ``max_items`` of it, in document order.

    ``url`` is the final address, ``language`` and ``zone`` (IANA name) the source's. Any bytes give a result or a
    ReadError with a fix, in bounded time and memory.
    """
    if not body.strip():
        raise ReadError(url, "is empty", fix="Look at the address in a browser.")
    is_feed = kind is SourceKind.FEED or (kind is SourceKind.AUTO and looks_like_feed(body, content_type))
    if is_feed:
        parsed = read_feed(body, url=url, content_type=content_type, zone=zone, now=now, language=language)
    elif (other := _other_than_page(body, content_type)) == "":
        parsed = read_page(body, url=url, content_type=content_type, page=page, language=language, zone=zone, now=now)
    else:
        raise ReadError(url, f"is neither a feed nor a web page ({other})", fix="Give the address of a feed or a news page.")
    return _limited(parsed, max_items)


def _other_than_page(body: bytes, content_type: str) -> str:
    """What a document is that is no HTML; empty for HTML. Bytes decide before labels, which are often wrong."""
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:4096]
    media = content_type.partition(";")[0].strip().lower()[:60] or "unlabelled data"
    if start[:1] in (b"{", b"["):
        return "JSON"
    if start.startswith(b"<?xml") and b"<html" not in start.lower():
        return "XML of another kind"
    if start.startswith(b"%PDF") or media.startswith(("image/", "audio/", "video/")) or b"<" not in body:
        return media
    return ""


def _limited(parsed: ParsedSource, max_items: int) -> ParsedSource:
    if len(parsed.items) <= max_items:
        return parsed
    remark = f"{len(parsed.items) - max_items} items beyond the first {max_items} were left out (max_items)"
    return replace(parsed, items=parsed.items[:max_items], skipped=(*parsed.skipped, remark))
