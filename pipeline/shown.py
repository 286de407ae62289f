"""What a text or a link must be before it is shown. Apart from templates, which the reader of foreign bytes need not load."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

import idna

from pipeline.models import Item

_HEADLINE = 100
_HOST = re.compile(r"[a-z0-9._:-]+")
_PLANES = "".join(
    f"{chr(0x10000 * plane)}-{chr(0x10000 * plane + 0xFFFD)}" for plane in range(1, 17)
)  # each ends in two noncharacters
_UNSHOWABLE = re.compile(f"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffc{_PLANES}]")
_DONE = re.compile(  # most addresses: what link() gives for itself
    r"https?://[a-z0-9._-]++(?:/(?:[A-Za-z0-9/:@!$&'()*+,;=~._-]|%[0-9A-Fa-f]{2})*+)"
    r"(?:\?(?:[A-Za-z0-9/?:@!$&'()*+,;=~._-]|%[0-9A-Fa-f]{2})++)?+(?:\#(?:[A-Za-z0-9/?:@!$&'()*+,;=~._-]|%[0-9A-Fa-f]{2})++)?+"
)


def clean(text: str) -> str:
    """The text without characters that XML 1.0 §2.2 forbids or that nothing can show.

    Gone are control characters (C1 too), lone surrogates, U+FFFD and noncharacters, so that U+FDD0 to U+FDEF can mark
    slots in what is rendered. Lines end in ``\\n``.
    """
    if text.isascii() and text.isprintable():  # nearly always, and five times as fast
        return text
    return _UNSHOWABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """The cleaned text with every run of white space made one space."""
    return " ".join(clean(text).split())


def headline(item: Item) -> str:
    """What to call an item: its title, else the start of its summary, else its address."""
    return one_line(item.title) or shorten(one_line(item.summary), _HEADLINE) or link(item.url) or one_line(item.identity)


def shorten(text: str, width: int) -> str:
    """The text, or its first whole words and "…", in at most ``width`` characters."""
    if len(text) <= width:
        return text
    return text[:width].rsplit(" ", 1)[0][: width - 1].rstrip(" ,;:.–-") + "…"


def link(url: str) -> str:
    """An absolute http or https address as an ASCII URI (RFC 3986; hosts by IDNA 2008), "" for anything else."""
    if _DONE.fullmatch(url):
        return url
    try:
        parts = urlsplit(clean(url).strip())
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port is not None else ""
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode("ascii")
    except (ValueError, idna.IDNAError):
        return ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return ""
    netloc = (f"[{host}]" if ":" in host else host) + port
    path, query, fragment = (_quoted(part) for part in (parts.path, parts.query, parts.fragment))
    return urlunsplit((parts.scheme, netloc, path or "/", query, fragment))


def _quoted(part: str) -> str:
    safe = "/?:@!$&'()*+,;=~-._"
    return re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", quote(part, safe=safe + "%"))
