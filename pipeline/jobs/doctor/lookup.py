"""Asking name servers, whose answers are strangers' bytes: nothing they say raises, and nothing unprintable is shown."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import dns.exception
import dns.resolver
import idna

from pipeline.errors import UsageError

_SECONDS = 4.0
_LONGEST = 1000


class UnansweredError(Exception):
    """No name server said whether there is such a record."""


class Lookup:
    """A resolver that waits ``seconds`` for an answer. ``server`` is HOST:PORT, HOST, or "" for this machine's own.

    Raises UsageError.
    """

    def __init__(self, server: str = "", seconds: float = _SECONDS) -> None:
        self._resolver = _resolver(server)
        self._seconds = seconds

    def texts(self, name: str) -> list[str]:
        """The TXT records of a name, each as one line of text. Raises UnansweredError."""
        return [_shown(b"".join(record.strings)) for record in self._ask(name, "TXT")]

    def mail_servers(self, name: str) -> list[str]:
        """Where mail to this domain goes, best first: MX, else the name itself (RFC 5321 §5.1); "." refuses all mail (RFC 7505)."""
        records = sorted(self._ask(name, "MX"), key=lambda record: int(record.preference))
        if records:
            return [_shown(record.exchange.to_text().encode()).rstrip(".") or "." for record in records]
        return [name] if self._ask(name, "A") or self._ask(name, "AAAA") else []

    def _ask(self, name: str, kind: str) -> list[Any]:
        if self._resolver is None:
            raise UnansweredError
        try:
            return list(self._resolver.resolve(ascii_name(name), kind, lifetime=self._seconds, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError, ValueError):
            raise UnansweredError from None


def ascii_name(name: str) -> str:
    """As name servers know it (IDNA 2008); what is no name stays as it is and is not found."""
    try:
        return name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        return name


def _resolver(server: str) -> dns.resolver.Resolver | None:
    if not server:
        try:
            return dns.resolver.Resolver()
        except (dns.exception.DNSException, OSError):
            return None
    bracketed = re.fullmatch(r"\[([^]]+)\](?::(\d{1,5}))?|([^:]+):(\d{1,5})", server)
    host, port = ((bracketed[1] or bracketed[3]), (bracketed[2] or bracketed[4] or "53")) if bracketed else (server, "53")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise UsageError(
            f'--dns: "{server}" is not a name server.', fix="Write its address, as 9.9.9.9 or 127.0.0.1:5353."
        ) from None
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [host], number
    return resolver


def _shown(data: bytes) -> str:
    text = data[:_LONGEST].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
