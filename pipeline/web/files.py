"""Published files as they lie on the disk: found, read with their compressed siblings, and described for an answer.

A sibling counts only where unpacking it gives the very bytes of its file, so one that was left behind is never sent.
"""

from __future__ import annotations

import hashlib
import math
import mimetypes
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import IO

import brotli

from pipeline.web.conditions import BROTLI, GZIP, IDENTITY
from pipeline.web.edge import CSP

KEPT_BYTES = 8_000_000
"""A larger file is read anew for each answer."""
PIECE_BYTES = 262_144
_TYPES = {
    ".rss": "application/rss+xml; charset=utf-8",
    ".atom": "application/atom+xml; charset=utf-8",
    ".json": "application/feed+json; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".xml": "application/xml; charset=utf-8",
}
_FOR_SCRIPTS = (".rss", ".atom", ".json")
_SIBLINGS = {GZIP: ".gz", BROTLI: ".br"}
CORS = {"access-control-allow-origin": "*", "access-control-expose-headers": "ETag"}
_STYLED = CSP.format(style="style-src 'unsafe-inline'; ")
"""A published page says the same of itself; its template may be the operator's."""

State = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Coded:
    """A file in one content coding. ``path``: where these bytes lie; ``body``: None where there are too many to keep.

    ``sent`` are the header lines that go with the bytes, ``same`` those of a 304; each ends in CRLF.
    """

    tag: str
    path: Path
    state: State
    size: int
    body: bytes | None
    sent: bytes = b""
    same: bytes = b""

    @property
    def is_small(self) -> bool:
        """Whether it can be sent in one piece."""
        return self.body is not None and self.size <= PIECE_BYTES


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file with its codings. ``siblings``: the states of those that lay there, usable or not; they may come later.

    ``place`` is ``path`` as text.
    """

    path: Path
    place: str
    state: State
    changed: int
    coded: dict[str, Coded]
    siblings: tuple[State | None, ...]

    @property
    def for_scripts(self) -> bool:
        """Whether scripts of other sites may read it: there is nothing in it that is not for everybody."""
        return self.path.suffix.lower() in _FOR_SCRIPTS

    @property
    def kept(self) -> int:
        """Bytes that it holds."""
        return sum(len(one.body or b"") for one in self.coded.values())

    @property
    def placed(self) -> float:
        """When it came to lie here, as POSIX seconds: a copy that is put back keeps its older time of change."""
        return self.state[3] / 1e9

    @property
    def is_current(self) -> bool:
        """Whether the file is the one that was read."""
        return state_of(self.place) == self.state

    @property
    def has_all_siblings(self) -> bool:
        """Whether its siblings are those that were looked at."""
        return _siblings(self.path) == self.siblings


def find(root: Path, path: str) -> Path | None:
    """The file that ``path`` (decoded, with its slash) names below ``root``; None for anything else.

    No hidden name, nothing above, no way through a link that leads outside, and no sibling by its own name.
    """
    parts = path.split("/")[1:]
    if any(part.startswith(".") or not part or not part.isprintable() or "\\" in part for part in parts):
        return None
    try:
        found = root.joinpath(*parts).resolve(strict=True)
        inside = found.is_relative_to(root.resolve(strict=True))
    except (OSError, RuntimeError, ValueError):  # a loop of links is a RuntimeError
        return None
    if not inside or not found.is_file() or (found.suffix in _SIBLINGS.values() and found.with_suffix("").is_file()):
        return None
    return found


def state_of(path: str) -> State | None:
    """What changes when a file does; None where there is none. Asked with each request: pathlib takes twice as long."""
    try:
        return _state(os.stat(path))  # noqa: PTH116
    except OSError:
        return None


def read(path: Path, max_age: int) -> PublishedFile | None:
    """The file with its siblings; None when it went away meanwhile. ``max_age``: seconds for Cache-Control."""
    siblings = _siblings(path)
    try:
        plain, digest = _read(path, lambda pieces: pieces)
    except OSError:
        return None
    coded = {IDENTITY: plain}
    for (coding, suffix), state in zip(_SIBLINGS.items(), siblings, strict=True):
        if state and (found := _sibling(path.with_name(path.name + suffix), coding, plain.size, digest)):
            coded[coding] = found
    changed = plain.state[0] // 10**9
    described = {coding: _described(path, coding, one, changed, max_age) for coding, one in coded.items()}
    return PublishedFile(path, str(path), plain.state, changed, described, siblings)


def pieces(coded: Coded) -> Iterator[bytes]:
    """The bytes of one that is not kept, while they are still those that were described. Raises FileNotFoundError."""
    with coded.path.open("rb") as file:
        if _state(os.fstat(file.fileno())) != coded.state:
            raise FileNotFoundError(coded.path)
        yield from _pieces(file)


def _state(found: os.stat_result) -> State:
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def _siblings(path: Path) -> tuple[State | None, ...]:
    """Only text has any."""
    if path.suffix.lower() not in _TYPES:
        return (None,) * len(_SIBLINGS)
    return tuple(state_of(f"{path}{suffix}") for suffix in _SIBLINGS.values())


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def _read(path: Path, unpack: Callable[[Iterator[bytes]], Iterator[bytes]], most: float = math.inf) -> tuple[Coded, str]:
    """One file, and the hash of what it holds once unpacked, which is at most ``most`` bytes.

    Raises OSError, zlib.error and brotli.error.
    """
    own, held, kept, unpacked = hashlib.sha256(), hashlib.sha256(), bytearray(), 0

    def passing(file: IO[bytes]) -> Iterator[bytes]:
        for piece in _pieces(file):
            own.update(piece)
            if size <= KEPT_BYTES:
                kept.extend(piece)
            yield piece

    with path.open("rb") as file:
        state = _state(os.fstat(file.fileno()))
        size = state[1]
        for piece in unpack(passing(file)):
            unpacked += len(piece)
            if unpacked > most:
                raise zlib.error("more than the file itself")
            held.update(piece)
    body = bytes(kept) if size <= KEPT_BYTES else None
    return Coded(own.hexdigest()[:32], path, state, size, body), held.hexdigest()


def _sibling(path: Path, coding: str, size: int, digest: str) -> Coded | None:
    """The sibling, where it is a copy of ``size`` bytes that hash to ``digest``."""
    try:
        found, held = _read(path, {GZIP: _gunzip, BROTLI: _unbrotli}[coding], size)
    except (OSError, zlib.error, brotli.error):
        return None
    return found if held == digest else None


def _gunzip(packed: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for piece in packed:
        rest = piece
        while rest:
            yield unpacker.decompress(rest, PIECE_BYTES)
            rest = unpacker.unconsumed_tail
    yield unpacker.flush() if unpacker.eof and not unpacker.unused_data else b"not whole"


def _unbrotli(packed: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = brotli.Decompressor()
    for piece in packed:
        yield unpacker.process(piece, output_buffer_limit=PIECE_BYTES)
        while not unpacker.can_accept_more_data():
            yield unpacker.process(b"", output_buffer_limit=PIECE_BYTES)
    yield b"" if unpacker.is_finished() else b"not whole"


def _described(path: Path, coding: str, one: Coded, changed: int, max_age: int) -> Coded:
    """Itself with its headers: RFC 9110 §15.4.5 says which of them a 304 has, too."""
    suffix = path.suffix.lower()
    same = {
        "etag": f'"{one.tag}"',
        "last-modified": format_datetime(datetime.fromtimestamp(changed, UTC), usegmt=True),
        "cache-control": f"public, max-age={max_age}",
    }
    same |= {"vary": "Accept-Encoding"} if suffix in _TYPES else {}
    same |= CORS if suffix in _FOR_SCRIPTS else {}
    sent = same | {"content-type": _media_type(path), "content-length": str(one.size), "content-security-policy": _STYLED}
    sent |= {"content-encoding": coding} if coding else {}
    return Coded(one.tag, one.path, one.state, one.size, one.body, lines(sent), lines(same))


def lines(headers: dict[str, str]) -> bytes:
    """Header lines as they are sent."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")


def _media_type(path: Path) -> str:
    return _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
