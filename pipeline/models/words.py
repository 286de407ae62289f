"""The words that rows and settings hold, and what they mean."""

from __future__ import annotations

from enum import StrEnum


class SourceKind(StrEnum):
    """How a source is read; ``auto`` finds out from its bytes."""

    AUTO = "auto"
    FEED = "feed"
    WORDPRESS = "wordpress"
    SITEMAP = "sitemap"
    PAGE = "page"


class SourceState(StrEnum):
    """``attention`` always has a reason."""

    OK = "ok"
    ATTENTION = "attention"
    PAUSED = "paused"
    GONE = "gone"


class ItemStatus(StrEnum):
    """``held`` waits for a person; only ``released`` items have a number in a feed and are published."""

    HELD = "held"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    DISCARDED = "discarded"


class Cadence(StrEnum):
    """How often a subscription is due."""

    INSTANT = "instant"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class SubscriptionStatus(StrEnum):
    """Only ``active`` ones are sent to."""

    PENDING = "pending"
    ACTIVE = "active"
    SNOOZED = "snoozed"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class SignupStatus(StrEnum):
    """asked → told (a mail with the link to confirm was queued) → confirmed; or silent: no mail is sent, for a reason."""

    ASKED = "asked"
    TOLD = "told"
    SILENT = "silent"
    CONFIRMED = "confirmed"


class ImageState(StrEnum):
    """``waiting`` to be fetched, ``kept`` as a copy of our own, or ``failed`` and not shown."""

    WAITING = "waiting"
    KEPT = "kept"
    FAILED = "failed"


class PartKind(StrEnum):
    """By what the items of a feed are taken into a feed of their own; the word is part of its address."""

    TOPIC = "topic"
    CATEGORY = "category"
    SOURCE = "source"


class EditionStatus(StrEnum):
    """*Finished* is derived: no delivery queued, sending or deferred."""

    SENDING = "sending"
    PAUSED = "paused"
    CANCELLED = "cancelled"


class DeliveryStatus(StrEnum):
    """queued → sending → accepted, deferred (again sending later), or one of the final ones."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNCERTAIN = "uncertain"


OPEN_DELIVERIES = (DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.DEFERRED)
"""An edition with none of these is finished."""


class Confidence(StrEnum):
    """How sure a date is: written for machines, one clear reading, or a reading that filled a gap (a year, a century)."""

    CERTAIN = "certain"
    LIKELY = "likely"
    GUESSED = "guessed"


class Precision(StrEnum):
    """Whether a date was read with a time of day. ``day``: 12:00 in the source's zone, shown without a time."""

    TIME = "time"
    DAY = "day"


class FeedbackKind(StrEnum):
    """What a mail that came back says. Only bounces, complaints and unsubscribes can change anything."""

    BOUNCE = "bounce"
    DELAY = "delay"
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    REPORT = "report"
    UNSUBSCRIBE = "unsubscribe"
    AUTO_REPLY = "auto-reply"
    UNKNOWN = "unknown"


class Weight(StrEnum):
    """What a bounce says of its address: there is none (hard), not now (soft), nothing (policy), or that we did wrong (ours)."""

    NONE = "none"
    HARD = "hard"
    SOFT = "soft"
    POLICY = "policy"
    OURS = "ours"


class FeedbackDone(StrEnum):
    """What was done about it. ``unmatched``: it names no mail of ours, or not its recipient; perhaps it is forged."""

    NOTHING = "nothing"
    UNMATCHED = "unmatched"
    NOTED = "noted"
    BOUNCED = "bounced"
    SUPPRESSED = "suppressed"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
