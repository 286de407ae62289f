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


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message for one recipient. ``data`` has CRLF lines and no dot-stuffing.

    ``key`` is stable across retries of the same mail (the left part of its Message-ID). ``plain``: whoever made it knows that
    it is ASCII, that its line ends are CRLF alone and that no line begins with a dot, so that nobody need look again.
    """

    key: str
    envelope_from: str
    recipient: str
    data: bytes
    plain: bool = False


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
