"""What a relay is to the rest of Gazet, and how its words are made fit to be kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from pipeline.deliver.ledger import Ledger
from pipeline.models import OutgoingMessage, RelayAnswer

MAX_TEXT = 300


def always() -> bool:
    """Nothing stands in the way of this message."""
    return True


# Anchored at the start of a word and possessive, so that no reply takes quadratic time.
_ADDRESS = re.compile(r'(?:"[^"]*+"|(?<![^\s<>()\[\],;:"@])[^\s<>()\[\],;:"@]++)@')


class Session(Protocol):
    """One connection to a relay, used by one thread."""

    def send(self, message: OutgoingMessage, wanted: Callable[[], bool] = always) -> RelayAnswer:
        """Send one message and say what the relay answered.

        Never raises for anything a server or a line does: such an answer has no code, ``handed_over`` tells whether the
        message may have been kept, and the session is no longer usable. ``wanted`` is asked before content goes out; when
        it says no, or raises, the connection is closed instead, and the relay surely has no whole message.
        """
        ...

    def deliver(self, ledger: Ledger) -> None:
        """Send what the ledger gives until it gives no more, or the session is over. Raises only what the ledger raises."""
        ...

    @property
    def usable(self) -> bool:
        """Whether the next message may go through this session; when False, close it and connect again."""
        ...

    def close(self) -> None:
        """Say goodbye where that still makes sense, and close the connection. May be called twice."""
        ...


class Relay(Protocol):
    """A server that accepts messages, or the outbox. ``rate`` in messages per second, None: no limit."""

    @property
    def name(self) -> str:
        """The relay's name in the settings."""
        ...

    @property
    def connections(self) -> int:
        """How many sessions may be open at the same time."""
        ...

    @property
    def rate(self) -> float | None:
        """Messages per second over all sessions together; None: as fast as it goes."""
        ...

    def connect(self) -> Session | RelayAnswer:
        """A session ready to send, or the answer (stage connect, ehlo, starttls or auth) that stood in the way."""
        ...


def mask(text: str) -> str:
    """A relay's words as they may be stored and shown: one printable line of at most 300 characters.

    Of a mail address only the first letter and the domain are kept (``a…@example.org``): promise 7.
    """
    if len(text) <= MAX_TEXT and "@" not in text and "%" not in text and text.isascii() and text.isprintable():
        return " ".join(text.split())
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    masked = _ADDRESS.sub(lambda address: address[0].lstrip('"')[:1] + "…@", line.replace("%40", "@"))
    return masked if len(masked) <= MAX_TEXT else masked[: MAX_TEXT - 1] + "…"
