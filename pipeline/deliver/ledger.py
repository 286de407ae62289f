"""What a session asks of the account that is kept of its messages, message by message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipeline.models import OutgoingMessage, RelayAnswer


class Ledger(Protocol):
    """Gives messages to one session and hears what became of each: every one taken is settled or handed back, once.

    A session that pipelines holds two messages at most: one whose content it sends, and the next, of which it has asked only
    whether it may be sent.
    """

    def take(self) -> OutgoingMessage | None:
        """The next message; None: there is none for now, or no more are to be begun."""
        ...

    def wanted(self, message: OutgoingMessage) -> bool:
        """Whether the message is still to be sent. Asked before its content goes out; where it is not, the line is closed."""
        ...

    def intend(self, message: OutgoingMessage) -> None:
        """The content is about to go out. Noted, so that it outlives this process, when this returns."""
        ...

    def settle(self, message: OutgoingMessage, answer: RelayAnswer) -> None:
        """What the relay, or the line, said of the message."""
        ...

    def hand_back(self, message: OutgoingMessage) -> None:
        """The relay surely has nothing of the message, and nobody is to blame for that: no attempt is counted."""
        ...


def in_lock_step(
    send: Callable[[OutgoingMessage, Callable[[], bool]], RelayAnswer], usable: Callable[[], bool], ledger: Ledger
) -> None:
    """One message after the other, until the session is over or the ledger gives no more."""
    while usable() and (message := ledger.take()) is not None:
        ledger.settle(message, send(message, _Gate(ledger, message)))


class _Gate:
    """``wanted`` of one message, with its intent before the first yes."""

    def __init__(self, ledger: Ledger, message: OutgoingMessage) -> None:
        self._ledger = ledger
        self._message = message
        self._intended = False

    def __call__(self) -> bool:
        wanted = self._ledger.wanted(self._message)
        if wanted and not self._intended:
            self._ledger.intend(self._message)
            self._intended = True
        return wanted
