"""DKIM signatures over spliced messages (RFC 6376, RFC 8463), relaxed/relaxed: what is constant is made canonical once.

    Template + Signer ─▶ Signed ─fill(Personal)─▶ DKIM-Signature for each key, and the message

Of each message only the slots and what stands behind the first of them are hashed: SHA-256 up to there is kept as a state. A
slot in a body stands on lines of its own between two soft breaks (see ``message``), so no run of white space and no empty line
crosses its borders: pieces that are canonical apart are canonical together.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parseaddr, parsedate_to_datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from pipeline.compose.message import Template, ascii_domain
from pipeline.config.signing_key import PrivateKey, algorithm_of, fingerprint
from pipeline.models import Personal

_GAP = b"\r\n\r\n"
_SPACES = re.compile(rb"[ \t]+")
_SLOT = re.compile(rb"\0([a-z_.]+)\0")
_SEALED = ("from", "to", "subject", "date", "reply-to", "content-type")
"""Named once more than they occur, so that adding another one breaks the signature (RFC 6376 §8.15)."""
_PADDING, _PREHASHED = PKCS1v15(), Prehashed(SHA256())
_LINE = 72


@dataclass(frozen=True, slots=True)
class Key:
    """A private key and the selector under which DNS has its public half."""

    selector: str
    private: PrivateKey

    @property
    def mark(self) -> str:
        """Selector and fingerprint: what an edition remembers of it."""
        return f"{self.selector}:{fingerprint(self.private)}"

    def sign(self, digest: bytes) -> bytes:
        """The signature of a SHA-256 hash: for RSA of PKCS #1 v1.5, for Ed25519 over the hash as a message (RFC 8463 §3)."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(digest)
        return self.private.sign(digest, _PADDING, _PREHASHED)


@dataclass(frozen=True, slots=True)
class Signer:
    """The keys that sign for one domain, in ASCII and the one of From; each gives a signature of its own."""

    domain: str
    keys: tuple[Key, ...]

    @property
    def mark(self) -> str:
        """Domain and keys as an edition remembers them: ``example.org s1:0123456789abcdef s2:…``."""
        return " ".join((self.domain, *(key.mark for key in self.keys)))


def domain_of(sender: str) -> str:
    """The domain of a From as DNS knows it; "" where it has none."""
    return ascii_domain(parseaddr(sender)[1].rpartition("@")[2]).lower()


class Signed:
    """A template whose messages are signed. ``t=`` is the message's own Date, so every attempt gives the same bytes.

    ``by`` signs a SHA-256 hash with a key, here or in another process: all that costs much of it. Raises ValueError for a message
    that is not one of ours, and for a domain that From does not have (it would not be aligned).
    """

    def __init__(self, template: Template, signer: Signer, by: Callable[[Key, bytes], bytes] = Key.sign) -> None:
        self.template = template
        self.plain = template.plain
        self._by = by
        head, _, _ = _with_marks(template).partition(_GAP)
        self._in_head = head.count(b"\0") // 2
        fields = _fields(head)
        if domain_of(fields["from"].decode("utf-8", "replace")) != signer.domain:
            raise ValueError(f"a signature of {signer.domain} is not aligned with From")
        made_at = int(parsedate_to_datetime(fields["date"].decode("ascii")).timestamp())
        # Behind them come _SEALED's, which stand for nothing (§5.4.2), and the signature's own field.
        self._head = Template(b"".join(name.encode("ascii") + b":" + value + b"\r\n" for name, value in fields.items()))
        self._body = _Body(template, self._in_head)
        self._signatures = [_Signature(key, signer.domain, made_at, (*fields, *_SEALED)) for key in signer.keys]

    def fill(self, personal: Personal) -> bytes:
        """The exact message for one delivery, its signatures before it."""
        values = self.template.values(personal)
        return self.template.join(values, self.signatures(values))

    def signatures(self, values: Sequence[bytes]) -> bytes:
        """The header fields for a message with these values in its slots."""
        body_hash = b64encode(self._body.digest(values[self._in_head :]))
        head = hashlib.sha256(self._head.join([_relaxed_value(value) for value in values[: self._in_head]]))
        return b"".join([one.over(head.copy(), body_hash, self._by) for one in self._signatures])


def sign(data: bytes, signer: Signer) -> bytes:
    """A finished message with signatures before it. Raises ValueError as ``Signed`` does."""
    signed = Signed(Template(data), signer)
    return signed.signatures(()) + data


class _Signature:
    """One key's header field, all but its two hashes."""

    def __init__(self, key: Key, domain: str, made_at: int, names: Sequence[str]) -> None:
        self._key = key
        lines = (
            f"DKIM-Signature: v=1; a={algorithm_of(key.private)}-sha256; c=relaxed/relaxed;",
            f" d={domain};",
            f" s={key.selector}; t={made_at};",
            *_listed(names),
            " bh=",
        )
        self._start = "\r\n".join(lines).encode("ascii")
        self._canonical = b"dkim-signature:" + _relaxed_value(self._start.partition(b":")[2])

    def over(self, head: hashlib._Hash, body_hash: bytes, by: Callable[[Key, bytes], bytes]) -> bytes:
        """The field over a hash of the other fields, which is used up; its own ``b=`` counts as empty (RFC 6376 §3.7)."""
        head.update(b"".join((self._canonical, body_hash, b"; b=")))
        found = b64encode(by(self._key, head.digest()))
        folded = b"\r\n ".join([found[start : start + _LINE] for start in range(0, len(found), _LINE)])
        return b"".join((self._start, body_hash, b";\r\n b=", folded, b"\r\n"))


def _listed(names: Sequence[str]) -> list[str]:
    """``h=`` on lines that are not too long."""
    lines = [" h="]
    for name in names:
        if len(lines[-1]) + len(name) > _LINE:
            lines.append("  ")
        lines[-1] += f"{name}:"
    lines[-1] = lines[-1].rstrip(":") + ";"
    return lines


class _Body:
    """A body whose constant pieces are canonical; the SHA-256 of what stands before its first slot is kept."""

    def __init__(self, template: Template, in_head: int) -> None:
        first, *later = template.constants[in_head:]
        _, _, first = first.partition(_GAP)
        pieces = [first, *later]
        if not all(piece.endswith(b"\r\n") for piece in pieces) or not all(piece.startswith(b"=\r\n") for piece in later):
            raise ValueError("a slot of this message does not stand between soft line breaks, so its body cannot be signed apart")
        last = len(pieces) - 1
        canonical = [_relaxed_lines(piece, last=place == last) for place, piece in enumerate(pieces)]
        self._state = hashlib.sha256(canonical[0])
        self._later = canonical[1:]

    def digest(self, values: Sequence[bytes]) -> bytes:
        state = self._state.copy()
        for value, piece in zip(values, self._later, strict=True):
            state.update(_relaxed_inside(value))
            state.update(piece)
        return state.digest()


def _with_marks(template: Template) -> bytes:
    """The template's constants with its slots between them, as it is stored."""
    slots = [b"\0" + name.encode("ascii") + b"\0" for name in template.names]
    return template.join(slots)


def _fields(head: bytes) -> dict[str, bytes]:
    """Header fields by name in lower case, values relaxed; a slot must be all of its value."""
    found: dict[str, bytes] = {}
    for line in re.sub(rb"\r\n(?=[ \t])", b"", head).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        key = name.strip().lower().decode("ascii")
        value = _relaxed_value(value)
        if not colon or key in found or (b"\0" in value and not _SLOT.fullmatch(value)):
            raise ValueError(f'the header field "{key}" is not one of ours, or there twice: this message cannot be signed')
        found[key] = value
    if not {"from", "date"} <= found.keys():
        raise ValueError("a message without From and Date cannot be signed")
    return found


def _relaxed_value(value: bytes) -> bytes:
    """A header field's value on one line, runs of white space as one space, none at its ends (RFC 6376 §3.4.2)."""
    return _SPACES.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _relaxed_inside(value: bytes) -> bytes:
    """What a slot of a body holds: whole lines but for the last, which ends in a soft break that follows."""
    if b"  " not in value and b"\t" not in value and b" \r" not in value:
        return value
    return _SPACES.sub(b" ", value).replace(b" \r\n", b"\r\n")


def _relaxed_lines(lines: bytes, *, last: bool) -> bytes:
    """Lines with runs of white space as one space, and none at their ends; behind the last no empty ones (RFC 6376 §3.4.4)."""
    found = _SPACES.sub(b" ", lines).replace(b" \r\n", b"\r\n")
    end = len(found)
    while last and found[end - 4 : end] == _GAP:
        end -= 2
    return b"" if last and found[:end] == b"\r\n" else found[:end]
