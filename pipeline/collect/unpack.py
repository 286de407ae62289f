"""Documents that are files packed with gzip, as sitemaps often are (``sitemap.xml.gz``)."""

from __future__ import annotations

import zlib

from pipeline.errors import ReadError

MAX_UNPACKED = 20_000_000
_GZIP = b"\x1f\x8b"


def unpacked(body: bytes, url: str) -> bytes:
    """A gzip file's content (RFC 1952, its first member), other bytes as they are. Raises ReadError beyond 20 MB or if broken."""
    if not body.startswith(_GZIP):
        return body
    opener = zlib.decompressobj(wbits=31)
    try:
        content = opener.decompress(body, MAX_UNPACKED)
    except zlib.error:
        raise ReadError(url, "is a broken gzip file", fix="Tell the site, or give another address.") from None
    if opener.unconsumed_tail:
        raise ReadError(url, f"is a gzip file of more than {MAX_UNPACKED // 1_000_000} MB", fix="Give one of its parts.")
    return content
