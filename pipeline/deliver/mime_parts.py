"""The parts of a mail from outside, read within limits: its first megabyte, five levels, thirty parts a level (pure).

The standard library's parser looks at every line once for each level around it and has no limit on levels. This one reads each
level once, so the time it takes grows with the length alone. It never raises for what it reads.
"""

from __future__ import annotations

import binascii
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header

MAX_BYTES = 1_000_000
_DEPTH = 5
_PARTS = 30
_HEADERS = 500
_VALUE = 8_000
_GROUPS = 100
_PARAMETER = re.compile(r';\s*+([A-Za-z0-9_-]++)\s*+=\s*+("[^"]*+"|[^;\s"]*+)')
_HEAD_ONLY = frozenset(("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"))
_WHOLE = frozenset(("message/rfc822", "message/global"))

Fields = tuple[tuple[str, str], ...]
"""Names in lower case and unfolded values, in their order."""


@dataclass(frozen=True, slots=True)
class Part:
    """A mail or a part of one. ``body`` is decoded and has LF lines; ``parts``: of a multipart, or the one mail in it."""

    fields: Fields
    media_type: str
    body: bytes
    parts: tuple[Part, ...] = ()

    def all(self, name: str) -> list[str]:
        """The values of all headers of that name (in lower case)."""
        return values(self.fields, name)

    def first(self, name: str) -> str:
        """The value of the first header of that name, "" where there is none."""
        return next(iter(self.all(name)), "")

    def walk(self) -> Iterator[Part]:
        """The part and those in it, without looking into mails that it holds."""
        yield self
        for part in self.parts if self.media_type.startswith("multipart/") else ():
            yield from part.walk()


def values(fields: Fields, name: str) -> list[str]:
    """The values of all fields of that name (in lower case)."""
    return [value for key, value in fields if key == name]


def parse(data: bytes) -> Part:
    """A whole mail from any bytes; of what is over the limits nothing is known."""
    text = data[:MAX_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if text.startswith(b"From "):  # the line with which an mbox begins a mail
        text = text.partition(b"\n")[2]
    return _part(text, _DEPTH, "text/plain")


def groups(body: bytes) -> list[Fields]:
    """The groups of fields that a machine-readable part holds, separated by empty lines (RFC 3464 §2.1)."""
    blocks = body.split(b"\n\n", _GROUPS)[:_GROUPS]
    return [fields for block in blocks if (fields := _fields(block))]


def plain(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) decoded, as far as they can be."""
    short = value[:1_000]
    if "=?" not in short:
        return short
    try:
        pieces = decode_header(short)
        return "".join(text if isinstance(text, str) else text.decode(charset or "ascii", "replace") for text, charset in pieces)
    except (HeaderParseError, LookupError, ValueError):
        return short


def _part(text: bytes, depth: int, default: str) -> Part:
    head, body = _cut(text)
    fields = _fields(head)
    given = next(iter(values(fields, "content-type")), default)
    media_type = given.partition(";")[0].strip().lower()
    if media_type.startswith("multipart/"):
        return Part(fields, media_type, body, _pieces(body, _boundary(given), media_type, depth))
    body = _decoded(body, next(iter(values(fields, "content-transfer-encoding")), ""))
    if depth and media_type in _WHOLE:
        return Part(fields, media_type, b"", (_part(body.lstrip(b"\n"), depth - 1, "text/plain"),))
    if media_type in _HEAD_ONLY:
        return Part(fields, media_type, b"", (Part(_fields(_cut(body.lstrip(b"\n"))[0]), "", b""),))
    return Part(fields, media_type, body)


def _cut(text: bytes) -> tuple[bytes, bytes]:
    if text.startswith(b"\n"):
        return b"", text[1:]
    head, _, body = text.partition(b"\n\n")
    return head, body


def _fields(head: bytes) -> Fields:
    found: list[tuple[str, list[bytes]]] = []
    for line in head.split(b"\n", _HEADERS)[:_HEADERS]:
        if line[:1] in (b" ", b"\t"):
            if found:
                found[-1][1].append(line[:_VALUE])
            continue
        name, colon, value = line[: _VALUE + 100].partition(b":")
        if colon:
            found.append((name.strip().decode("ascii", "replace").lower(), [value[:_VALUE]]))
    return tuple((name, b"".join(lines)[:_VALUE].decode("utf-8", "replace").strip()) for name, lines in found)


def _boundary(content_type: str) -> bytes:
    for name, value in _PARAMETER.findall(content_type):
        if name.lower() == "boundary":
            return str(value).strip('"').encode("utf-8", "replace")
    return b""


def _pieces(body: bytes, boundary: bytes, around: str, depth: int) -> tuple[Part, ...]:
    """What stands between the lines of the boundary (RFC 2046 §5.1.1)."""
    if not depth or not boundary:
        return ()
    default = "message/rfc822" if around == "multipart/digest" else "text/plain"
    delimiter, text = b"\n--" + boundary, b"\n" + body
    starts: list[tuple[int, int]] = []
    at = text.find(delimiter)
    while at >= 0 and len(starts) <= _PARTS:
        end = text.find(b"\n", at + 1)
        end = len(text) if end < 0 else end
        rest = text[at + len(delimiter) : end].strip()
        if rest in (b"", b"--"):
            starts.append((at, end))
        if rest == b"--":
            break
        at = text.find(delimiter, end)
    else:
        starts.append((len(text), len(text)))
    return tuple(_part(text[end + 1 : following], depth - 1, default) for (_, end), (following, _) in itertools.pairwise(starts))


def _decoded(body: bytes, encoding: str) -> bytes:
    try:
        if encoding.lower() == "base64":
            return binascii.a2b_base64(body).replace(b"\r\n", b"\n")
        if encoding.lower() == "quoted-printable":
            return binascii.a2b_qp(body)
    except binascii.Error:
        return body
    return body
