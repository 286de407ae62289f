"""The tables, one schema for SQLite and PostgreSQL (DESIGN §5).

Status words are text with CHECK; times go through ``UtcDateTime``. Editions, variants, subscribers and subscriptions have
random 63-bit identities, never counters: after a restore a new row can never be taken for one that a mail already names.
"""

from __future__ import annotations

from pipeline.store.schema.collected import (
    ArticleRow,
    FeedSourceRow,
    ItemOriginRow,
    ItemRow,
    LikenessRow,
    MergeRow,
    PollRow,
    SourceRow,
    VersionRow,
)
from pipeline.store.schema.columns import Base, Id, UtcDateTime, new_id
from pipeline.store.schema.feedback import FeedbackFolderRow, FeedbackRow
from pipeline.store.schema.front_door import ImageRow, OutputRow, SignupRow
from pipeline.store.schema.mailed import DeliveryRow, EditionRow, NoticeRow, RelayRow, VariantRow
from pipeline.store.schema.people import ChoiceRow, ConsentRow, ScheduleRow, SubscriberRow, SubscriptionRow, SuppressionRow
from pipeline.store.schema.published import FeedItemRow, FeedRow, RestoredNumberRow, SiteRow
from pipeline.store.schema.upkeep import ProblemRow, RecoveryRow, RunRow

__all__ = [
    "ArticleRow",
    "Base",
    "ChoiceRow",
    "ConsentRow",
    "DeliveryRow",
    "EditionRow",
    "FeedItemRow",
    "FeedRow",
    "FeedSourceRow",
    "FeedbackFolderRow",
    "FeedbackRow",
    "Id",
    "ImageRow",
    "ItemOriginRow",
    "ItemRow",
    "LikenessRow",
    "MergeRow",
    "NoticeRow",
    "OutputRow",
    "PollRow",
    "ProblemRow",
    "RecoveryRow",
    "RelayRow",
    "RestoredNumberRow",
    "RunRow",
    "ScheduleRow",
    "SignupRow",
    "SiteRow",
    "SourceRow",
    "SubscriberRow",
    "SubscriptionRow",
    "SuppressionRow",
    "UtcDateTime",
    "VariantRow",
    "VersionRow",
    "new_id",
]
