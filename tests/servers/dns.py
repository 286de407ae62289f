"""A small name server on loopback (UDP): it answers what it was told, or any bytes at all.

with DnsServer() as dns:
    dns.add("example.nl", "TXT", '"v=spf1 -all"')
    dns.address                                     # "127.0.0.1:PORT"

A name that was not told of is NXDOMAIN; one told of with other types only has no answer.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Behaviour = Callable[[dns.message.Message], bytes | None]


class DnsServer:
    """A name server inside ``with``. ``asked`` are the names and types in the order they came."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self._records: dict[tuple[str, str], list[str]] = {}
        self._behaviour: Behaviour | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> DnsServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def add(self, name: str, kind: str, *values: str) -> None:
        """Answer with these records, as a zone file writes them."""
        self._records[(name, kind)] = list(values)

    def behave(self, behaviour: Behaviour | None) -> None:
        """Answer every question with these bytes; None from it: say nothing."""
        self._behaviour = behaviour

    def _serve(self) -> None:
        while True:
            data, client = self._socket.recvfrom(65535)
            if not data:
                return
            with suppress(dns.exception.DNSException, OSError):
                answer = self._answer(dns.message.from_wire(data))
                if answer is not None:
                    self._socket.sendto(answer, client)

    def _answer(self, query: dns.message.Message) -> bytes | None:
        question = query.question[0]
        name, kind = question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self._behaviour is not None:
            return self._behaviour(query)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        if values := self._records.get((name, kind)):
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *values))
        elif not any(known == name for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire(max_size=65535)
