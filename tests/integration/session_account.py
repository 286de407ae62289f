"""A ledger that believes nothing, and a line that notes what is written: the tests' side of ``SmtpSession.deliver``."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from pipeline.deliver import smtp
from pipeline.deliver.line import Line
from pipeline.models import DeliveryStatus, OutgoingMessage, RelayAnswer
from tests.integration.smtp_sessions import decide, message

LETTERS = {
    DeliveryStatus.ACCEPTED: "A",
    DeliveryStatus.DEFERRED: "D",
    DeliveryStatus.FAILED: "F",
    DeliveryStatus.UNCERTAIN: "U",
    DeliveryStatus.QUEUED: "Q",
}


def row_of(count: int) -> list[OutgoingMessage]:
    """Messages that differ, from a sender of their own each, with lines that begin with dots."""
    return [_numbered(number) for number in range(count)]


def _numbered(number: int) -> OutgoingMessage:
    data = f"Subject: {number}\r\nMessage-ID: <m{number}@x.example>\r\n\r\n..{number}\r\n.\r\nend\r\n".encode()
    return message(f"reader{number}@example.org", data, f"news+{number}@example.org")


def marker(outgoing: OutgoingMessage) -> bytes:
    """What only this message's content holds."""
    return outgoing.data.partition(b"Message-ID: ")[2].partition(b"\r\n")[0]


@dataclass
class Account:
    """A ledger that believes nothing: it keeps what was asked, in order, and fails at once where the order is wrong."""

    row: list[OutgoingMessage]
    written: list[bytes]
    unwanted: frozenset[str] = frozenset()
    usable: bool | None = None
    answers: dict[str, RelayAnswer] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    intended: list[str] = field(default_factory=list)

    def take(self) -> OutgoingMessage | None:
        """The next one that nothing was settled of; at most two are in the session's hands."""
        assert len(self._held()) <= 1
        waiting = [one for one in self.row if one.recipient not in self.taken]
        if not waiting:
            return None
        self.taken.append(waiting[0].recipient)
        return waiting[0]

    def wanted(self, one: OutgoingMessage) -> bool:
        """As the test says."""
        assert one.recipient in self._held()
        return one.recipient not in self.unwanted

    def intend(self, one: OutgoingMessage) -> None:
        """Once for each message, and before a byte of its content left."""
        assert one.recipient in self._held()
        assert one.recipient not in self.intended
        assert marker(one) not in b"".join(self.written)
        self.intended.append(one.recipient)

    def settle(self, one: OutgoingMessage, answer: RelayAnswer) -> None:
        """Once for each message taken."""
        assert one.recipient in self._held()
        assert answer.text or answer.code, "an answer that says nothing"
        assert one.recipient in self.intended or not answer.handed_over
        self.answers[one.recipient] = answer

    def hand_back(self, one: OutgoingMessage) -> None:
        """Only of what the relay surely has nothing."""
        assert one.recipient in self._held()
        assert one.recipient not in self.intended
        self.back.append(one.recipient)

    def _held(self) -> list[str]:
        return [name for name in self.taken if name not in self.answers and name not in self.back]

    def letter(self, recipient: str) -> str:
        """The message's end state as the table writes it."""
        assert recipient not in self._held(), "taken, and never settled or handed back"
        if recipient in self.answers:
            return LETTERS[decide(self.answers[recipient]).status]
        return "B" if recipient in self.back else "."

    def letters(self) -> str:
        return "".join(self.letter(one.recipient) for one in self.row)


class RecordedSocket(socket.socket):
    """A socket that notes what is written before it is."""

    written: list[bytes]

    def sendall(self, data: bytes, flags: int = 0, /) -> None:  # type: ignore[override]
        self.written.append(bytes(data))
        super().sendall(data, flags)

    def send(self, data: bytes, flags: int = 0, /) -> int:  # type: ignore[override]
        sent = super().send(data, flags)
        self.written.append(bytes(data[:sent]))
        return sent


@contextmanager
def recorded_lines() -> Iterator[list[bytes]]:
    """What all sessions made meanwhile wrote in clear text, in order."""
    noted: list[bytes] = []

    class RecordedLine(Line):
        def dial(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
            super().dial(host, port, context)
            assert self.sock is not None
            timeout = self.sock.gettimeout()
            recorded = RecordedSocket(fileno=self.sock.detach())
            recorded.written = noted
            recorded.settimeout(timeout)
            self.sock = recorded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smtp, "Line", RecordedLine)
        yield noted
