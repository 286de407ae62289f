"""Envelope senders that name their delivery (VERP), so that a bounce says by its own address what it is about (pure).

``news@example.org`` becomes ``news+TOKEN@example.org``. The token is signed: nobody can make one for somebody else's mail.
"""

from __future__ import annotations

import re

from pipeline.compose.links import Links

_LONGEST_LOCAL = 64
"""RFC 5321 §4.5.3.1.1."""
_TOKEN = re.compile(r"\+([A-Za-z2-7]{40})@")


def sender(links: Links, envelope_from: str, edition_id: int, subscription_id: int) -> str:
    """The envelope sender of that delivery; ``envelope_from`` itself where its local part has no room for a token."""
    local, at, domain = envelope_from.rpartition("@")
    returning = f"{local}+{links.return_token(edition_id, subscription_id)}"
    fits = bool(at and local) and len(returning.encode()) <= _LONGEST_LOCAL and not local.endswith('"')
    return f"{returning}@{domain}" if fits else envelope_from


def read(links: Links, text: str) -> list[tuple[int, int]]:
    """The deliveries (edition, subscription) that addresses in the text name; what was not signed here is passed over."""
    found = (links.returned(token) for token in _TOKEN.findall(text))
    return [one for one in found if one is not None]
