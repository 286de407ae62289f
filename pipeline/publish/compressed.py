"""A published file's siblings: the same bytes compressed once, beside it, for every web server to send as they are.

``po.rss`` ─▶ ``po.rss.gz`` (RFC 1952), ``po.rss.br`` (RFC 7932): the names that nginx and Caddy look for
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping

import brotli

_ONE_PACKET = 1_400
"""Bytes. What fits into one packet arrives no sooner when it is smaller."""
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_LEVEL = 6
_BROTLI_QUALITY = 5
"""The best one costs forty times as much for a tenth of the bytes."""


def _gzip(data: bytes) -> bytes:
    """With a header that names neither a file nor a time, so that the same data gives the same bytes."""
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    return packer.compress(data) + packer.flush()


def _brotli(data: bytes) -> bytes:
    packed: bytes = brotli.compress(data, mode=brotli.MODE_TEXT, quality=_BROTLI_QUALITY)
    return packed


_PACK: Mapping[str, Callable[[bytes], bytes]] = {"gz": _gzip, "br": _brotli}
SUFFIXES = tuple(_PACK)


def with_siblings(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files, by extension, and each one's siblings (``rss.gz``, ``rss.br``) where they are smaller."""
    made = dict(files)
    for extension, data in files.items():
        if len(data) > _ONE_PACKET:
            packed = {f"{extension}.{suffix}": pack(data) for suffix, pack in _PACK.items()}
            made |= {name: smaller for name, smaller in packed.items() if len(smaller) < len(data)}
    return made


def names(extensions: Iterable[str]) -> list[str]:
    """The extensions of all that may lie there: each file's own, and those of its siblings."""
    return [name for extension in extensions for name in (extension, *(f"{extension}.{suffix}" for suffix in SUFFIXES))]
