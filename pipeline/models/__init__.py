"""What flows between the stages: frozen values, one type per moment of life.

    ParsedItem ──normalise──▶ CandidateItem ──decide──▶ CollectPlan ──store──▶ Item
    Item + seq = FeedItem ──select──▶ Selection ──digest, message──▶ Variant ──splice──▶ OutgoingMessage
    OutgoingMessage ──relay──▶ RelayAnswer ──retry.decide──▶ RetryDecision

Times are aware UTC datetimes; a ``seq`` is an item's number in one feed, from 1.
"""

from __future__ import annotations

from pipeline.models.known import CollectPlan, ItemUpdate, KnownItem, Merge, PastVersion, Theirs
from pipeline.models.read import (
    Article,
    Attachment,
    CandidateItem,
    Image,
    ImageCopy,
    Offer,
    Order,
    ParsedItem,
    ParsedSource,
    PollHints,
    Proposal,
    ReadDate,
    Reading,
    Survey,
    Way,
    Whereabouts,
)
from pipeline.models.sent import Blame, OutgoingMessage, Personal, RelayAnswer, RenderedVariant, RetryDecision, Stage
from pipeline.models.shown import Choice, Credit, DigestDocument, FeedDocument, FeedItem, Item, Part, Picture, Rhythm, Selection
from pipeline.models.words import (
    OPEN_DELIVERIES,
    Cadence,
    Confidence,
    DeliveryStatus,
    EditionStatus,
    FeedbackDone,
    FeedbackKind,
    ImageState,
    ItemStatus,
    PartKind,
    Precision,
    SignupStatus,
    SourceKind,
    SourceState,
    SubscriptionStatus,
    Weight,
)

__all__ = [
    "OPEN_DELIVERIES",
    "Article",
    "Attachment",
    "Blame",
    "Cadence",
    "CandidateItem",
    "Choice",
    "CollectPlan",
    "Confidence",
    "Credit",
    "DeliveryStatus",
    "DigestDocument",
    "EditionStatus",
    "FeedDocument",
    "FeedItem",
    "FeedbackDone",
    "FeedbackKind",
    "Image",
    "ImageCopy",
    "ImageState",
    "Item",
    "ItemStatus",
    "ItemUpdate",
    "KnownItem",
    "Merge",
    "Offer",
    "Order",
    "OutgoingMessage",
    "ParsedItem",
    "ParsedSource",
    "Part",
    "PartKind",
    "PastVersion",
    "Personal",
    "Picture",
    "PollHints",
    "Precision",
    "Proposal",
    "ReadDate",
    "Reading",
    "RelayAnswer",
    "RenderedVariant",
    "RetryDecision",
    "Rhythm",
    "Selection",
    "SignupStatus",
    "SourceKind",
    "SourceState",
    "Stage",
    "SubscriptionStatus",
    "Survey",
    "Theirs",
    "Way",
    "Weight",
    "Whereabouts",
]
