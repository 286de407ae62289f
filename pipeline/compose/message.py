"""A variant as a message on the wire: encoded once, with slots that are filled for each delivery.

    html, text ─encode─▶ bytes with slots, stored ─splice(Personal)─▶ one person's message

A slot is ``NUL part.name NUL``: NUL cannot occur in encoded mail. In a body every slot stands between two soft line
breaks (RFC 2045 §6.7), so that whatever is put there, no line grows beyond 76 characters.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime, parseaddr
from html import escape
from urllib.parse import quote

import idna

from pipeline.models import DigestDocument, Personal
from pipeline.shown import clean, one_line

_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_MARK = re.compile(f"{_OPEN}([a-z_]+){_CLOSE}")
_LINE = 73  # and "=2E" for a dot at its start, and "=" for a soft break, make 76
_SOFT = b"=\r\n"
_NEEDS_CODE = re.compile(rb"[^\t\x20-\x3c\x3e-\x7e]")
_LINE_STARTS = (b".", b"From ")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_LONG = 50  # what is longer is folded, which only encoded words bear everywhere
_LOCAL = re.compile(r"[^\s<>()\[\],;:\\\"@]+")
_NOT_DOMAIN = re.compile(r"[<>(),;\\\"@]")
_URI_SAFE = "%!#$&'()*+/:;=?@[]~"  # not <, > and the comma, which RFC 2369 §2 gives a meaning
_PLAIN_URI = re.compile(r"[A-Za-z0-9%!#$&'()*+/:;=?@[\]~._-]*+")  # what quote() leaves as it is
_NAMES = ("address", "unsubscribe_url", "preferences_url")


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to one person that is no digest: ``sender`` may have a display name, ``text`` has any line ends.

    ``unsubscribe``: web address and mailto of a subscription that it belongs to.
    """

    sender: str
    recipient: str
    subject: str
    text: str
    at: datetime
    message_id: str
    language: str
    unsubscribe: tuple[str, str] = ("", "")


def slot(name: str) -> str:
    """What stands in a rendered text for a personal value; ``clean`` removes its characters from all foreign text."""
    return f"{_OPEN}{name}{_CLOSE}"


def message_id(edition_id: int, subscription_id: int, domain: str) -> str:
    """The Message-ID of that edition to that subscription, the same in every attempt (RFC 5322 §3.6.4).

    What stands left of the @ is the message's key.
    """
    return f"<{_key(f'{edition_id}:{subscription_id}')}@{ascii_domain(domain)}>"


def notice_id(dedupe_key: str, created_at: datetime, domain: str) -> str:
    """The Message-ID of a notice, the same in every attempt."""
    return f"<{_key(f'notice:{dedupe_key}:{created_at.astimezone(UTC).isoformat()}')}@{ascii_domain(domain)}>"


def key_of(message_id: str) -> str:
    """What stands left of the @: it names the same mail wherever it is kept."""
    return message_id.strip("<>").partition("@")[0]


def _key(identity: str) -> str:
    return base64.b32encode(hashlib.sha256(identity.encode()).digest()[:20]).decode().lower()


def letter(mail: Letter) -> bytes:
    """A whole message of plain text, CRLF lines, marked as made by a program (RFC 3834 §5); nothing in it is a slot."""
    name, address = parseaddr(clean(mail.sender))
    lines = (
        f"From: {_mailbox('From', name, address)}",
        f"To: {_mailbox('To', '', mail.recipient)}",
        f"Subject: {_unstructured('Subject', mail.subject)}",
        f"Date: {format_datetime(mail.at.astimezone(UTC))}",
        f"Message-ID: {_token(mail.message_id)}",
        "MIME-Version: 1.0",
        "Auto-Submitted: auto-generated",
        f"Content-Language: {_token(mail.language)}",
        *_leaving(mail.unsubscribe),
    )
    head = "\r\n".join((*lines, "")).encode("utf-8", "ignore")
    return head + _part("plain", "text", clean(mail.text)) + b"\r\n"


def encode(document: DigestDocument, subject: str, html: str, text: str) -> bytes:
    """The message of a variant with its slots, CRLF lines; for format "text" without its HTML part."""
    plain = _part("plain", "text", text)
    if document.format == "text":
        return _head(document, subject) + plain + b"\r\n"
    rich = _part("html", "html", html)
    # "=_" cannot occur in quoted-printable, so this boundary cannot either (RFC 2045 §6.7, note on boundaries).
    boundary = b"=_" + hashlib.sha256(plain + rich).hexdigest()[:32].encode()
    return b"".join(
        (
            _head(document, subject),
            b'Content-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n\r\n',
            b"--" + boundary + b"\r\n" + plain + b"\r\n",
            b"--" + boundary + b"\r\n" + rich + b"\r\n",
            b"--" + boundary + b"--\r\n",
        )
    )


class Template:
    """A message with slots, taken apart once: ``constants[0] names[0] constants[1] … constants[-1]``.

    ``plain``: filled with ASCII it is ASCII, its line ends are CRLF alone, and no line begins with a dot.
    """

    __slots__ = ("_distinct", "_pieces", "constants", "names", "plain")

    def __init__(self, data: bytes) -> None:
        self._pieces: list[bytes] = []
        start = 0
        while (end := data.find(b"\0", start)) >= 0:  # find is ten times as fast as split on 25 KB
            self._pieces.append(data[start:end])
            start = end + 1
        self._pieces.append(data[start:])
        self.constants = tuple(self._pieces[::2])
        self.names = tuple(name.decode("ascii") for name in self._pieces[1::2])
        self._distinct = tuple(dict.fromkeys(self.names))
        self.plain = _is_plain(b"".join(self.constants))

    def fill(self, personal: Personal) -> bytes:
        """The exact message for one delivery: every slot filled, its value escaped for the place where it stands."""
        return self.join(self.values(personal))

    def values(self, personal: Personal) -> list[bytes]:
        """What belongs into each slot, in their order."""
        quoted: dict[str, bytes] = {}
        made = {name: _value(name, personal, quoted) for name in self._distinct}
        return [made[name] for name in self.names]

    def join(self, values: Sequence[bytes], before: bytes = b"") -> bytes:
        """The message with these values in its slots, and further header fields before it."""
        pieces = self._pieces.copy()
        pieces[1::2] = values
        return b"".join((before, *pieces))


def _is_plain(data: bytes) -> bool:
    crlf = data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")
    return crlf and data.isascii() and b"\r\n." not in data and not data.startswith(b".")


def splice(data: bytes, personal: Personal) -> bytes:
    """One message of a template that is used once; who needs more of them keeps the ``Template``."""
    return Template(data).fill(personal)


def _value(name: str, personal: Personal, quoted: dict[str, bytes]) -> bytes:
    """``quoted``: what was quoted before; most values are the same as text and as HTML."""
    if name == "to":
        return _mailbox("To", personal.name, personal.address).encode("utf-8", "ignore")
    if name == "message_id":
        return _token(personal.message_id).encode("utf-8", "ignore")
    if name == "list_unsubscribe":
        return _list_unsubscribe(personal).encode("utf-8", "ignore")
    part, _, field = name.partition(".")
    value = one_line(getattr(personal, field))
    if part == "html":
        value = escape(value)
    if value not in quoted:
        quoted[value] = _quoted_line(value.encode())
    return quoted[value]


def _head(document: DigestDocument, subject: str) -> bytes:
    name, address = parseaddr(clean(document.sender))
    lines = (
        f"From: {_mailbox('From', name, address)}",
        "To: \0to\0",
        f"Subject: {_unstructured('Subject', subject)}",
        f"Date: {format_datetime(document.opened_at.astimezone(UTC))}",
        "Message-ID: \0message_id\0",
        "MIME-Version: 1.0",
        f"List-Id: {_phrase('List-Id', document.feed_title)}\r\n <{_token(document.list_id).strip('<>')}>",
        "List-Unsubscribe: \0list_unsubscribe\0",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        f"Content-Language: {_token(document.language)}",
    )
    return "\r\n".join((*lines, "")).encode()


def _part(subtype: str, kind: str, text: str) -> bytes:
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head.encode() + _body(kind, text)


def _body(kind: str, text: str) -> bytes:
    """Quoted-printable lines without a last CRLF; marks become slots of that kind."""
    pieces = _MARK.split(text.replace("\r\n", "\n").replace("\0", ""))
    encoded = [_quoted(piece) if index % 2 == 0 else _slot(kind, piece) for index, piece in enumerate(pieces)]
    return _SOFT.join(encoded)


def _slot(kind: str, name: str) -> bytes:
    if name not in _NAMES:
        raise ValueError(f'there is no personal value "{name}"')
    return f"\0{kind}.{name}\0".encode()


def _quoted(text: str) -> bytes:
    """Text as quoted-printable; what follows its last line must begin with a line break, soft or hard."""
    lines = text.encode("utf-8", "ignore").split(b"\n")
    return b"\r\n".join(_quoted_line(line) for line in lines)


def _quoted_line(line: bytes) -> bytes:
    """One line of any length as quoted-printable lines of at most 75 characters, and a soft break between them."""
    coded = _NEEDS_CODE.sub(lambda found: b"=%02X" % found[0][0], line)
    if coded[-1:] in (b" ", b"\t"):
        coded = coded[:-1] + b"=%02X" % coded[-1]
    if len(coded) <= _LINE:
        return _guarded(coded)
    lines = []
    while coded:
        equals = coded.find(b"=", _LINE - 2, _LINE)  # the beginning of a code that would be cut
        end = equals if equals >= 0 else _LINE
        lines.append(_guarded(coded[:end]))
        coded = coded[end:]
    return _SOFT.join(lines)


def _guarded(line: bytes) -> bytes:
    """A line that neither dot-stuffing (RFC 5321 §4.5.2) nor an mbox changes on its way."""
    return b"=%02X" % line[0] + line[1:] if line.startswith(_LINE_STARTS) else line


def _mailbox(header: str, name: str, address: str) -> str:
    """A display name and an address (RFC 5322 §3.4), folded so that the address has a line of its own where needed."""
    shown = _address(address)
    phrase = _phrase(header, name)
    if not phrase:
        return shown
    fits = "\r\n" not in phrase and len(header) + len(phrase) + len(shown) <= 72
    return f"{phrase}{' ' if fits else chr(13) + chr(10) + ' '}<{shown}>"


def _address(value: str) -> str:
    """The address as RFC 5322 §3.4.1 writes it; whatever is in it, it stays one address."""
    local, _, domain = _token(value).rpartition("@")
    if not _LOCAL.fullmatch(local):
        local = '"' + local.strip('"').replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{local}@{ascii_domain(_NOT_DOMAIN.sub('', domain))}"


def _phrase(header: str, name: str) -> str:
    """A display name: as it is, quoted, or as encoded words (RFC 2047) where it is long or not ASCII."""
    text = one_line(name)
    if not text.isascii() or len(text) > _LONG or "=?" in text:
        return _encoded_words(header, text)
    if _ATOMS.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unstructured(header: str, value: str) -> str:
    text = one_line(value)
    if not text.isascii() or "=?" in text or any(len(word) > _LONG for word in text.split()):
        return _encoded_words(header, text)
    return Header(text, "us-ascii", maxlinelen=76, header_name=header).encode(linesep="\r\n")


def _encoded_words(header: str, text: str) -> str:
    return Header(text, "utf-8", maxlinelen=75, header_name=header).encode(linesep="\r\n")


def _list_unsubscribe(personal: Personal) -> str:
    return _where_to_leave((personal.unsubscribe_url, personal.unsubscribe_mailto))


def _leaving(unsubscribe: tuple[str, str]) -> list[str]:
    if not unsubscribe[0]:
        return []
    return [f"List-Unsubscribe: {_where_to_leave(unsubscribe)}", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]


def _where_to_leave(unsubscribe: tuple[str, str]) -> str:
    """The https address first, then the mailto one (RFC 2369 §3.2, RFC 8058 §3.1)."""
    addresses = [_uri(found) for found in unsubscribe if found]
    return ",\r\n ".join(f"<{found}>" for found in addresses)


def _uri(value: str) -> str:
    if _PLAIN_URI.fullmatch(value):  # nearly always
        return value
    return quote(_token(value), safe=_URI_SAFE)


def _token(value: str) -> str:
    """The value without white space and controls: it cannot end its line."""
    return "".join(clean(value).split())


def ascii_domain(domain: str) -> str:
    """The domain as every server understands it (IDNA 2008); one that is no name stays as it is."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain
