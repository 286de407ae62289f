"""What is sent, and what came of it: ``RenderedVariant`` ──splice──▶ ``OutgoingMessage`` ──relay──▶ ``RelayAnswer``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.models.words import DeliveryStatus


@dataclass(frozen=True, slots=True)
class RenderedVariant:
    """A variant before it is stored. ``data`` is a wire-ready RFC 5322 message with slots (see compose/message).

    ``shown``: how many items of its selection it shows; those that would make it too large are counted as more.
    """

    subject: str
    html: str
    text: str
    data: bytes
    shown: int


@dataclass(frozen=True, slots=True)
class Personal:
    """What is spliced into a variant for one delivery. All values are raw text; splice escapes them per slot."""

    address: str
    name: str
    message_id: str
    unsubscribe_url: str
    unsubscribe_mailto: str
    preferences_url: str = ""


class EvenBytes(bytes):
    """Bytes that are known to end lines with CRLF only and to begin none with a dot, so that SMTP needs to change nothing.

    What was found out once about a variant need not be looked for in each of its messages.
    """

    @staticmethod
    def holds(data: bytes) -> bool:
        """Whether that is true of these bytes; then it is of any of them put behind one another, too."""
        lines = data.count(b"\r\n")
        return data.count(b"\n") == data.count(b"\r") == lines and not data.startswith(b".") and b"\r\n." not in data


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message for one recipient. ``data`` has CRLF lines and no dot-stuffing.

    ``key`` is stable across retries of the same mail (the left part of its Message-ID).
    """

    key: str
    envelope_from: str
    recipient: str
    data: bytes


class Stage(StrEnum):
    """The point of an SMTP session at which something was answered, or not."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class RelayAnswer:
    """What a relay said, a fact that is always recorded.

    ``code`` None: no answer (line lost, time limit, garbage), ``text`` then says what happened. ``handed_over``: the
    final dot was handed to the kernel, so the message may have been kept.
    """

    stage: Stage
    code: int | None
    enhanced: str
    text: str
    handed_over: bool = False

    @property
    def accepted(self) -> bool:
        """250 to the final dot, or stored in the outbox; never means delivered."""
        return self.stage is Stage.DOT and self.code is not None and 200 <= self.code < 300


class Blame(StrEnum):
    """Whom a refusal concerns."""

    NOBODY = "nobody"
    RECIPIENT = "recipient"
    DELIVERY = "delivery"
    POLICY = "policy"
    EDITION = "edition"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What becomes of a delivery after an answer.

    ``status`` QUEUED means: not this delivery's doing, no attempt is counted. ``next_at`` is set for DEFERRED only.
    ``suppress``: the address goes on the suppression list. ``reason`` is one readable line.
    """

    status: DeliveryStatus
    blame: Blame
    reason: str
    next_at: datetime | None = None
    suppress: bool = False
    count_attempt: bool = True
