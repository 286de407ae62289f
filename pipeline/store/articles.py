"""The articles behind teasers: which are still to be fetched, and what was read of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from pipeline.store.database import Tx
from pipeline.store.numbers import parts
from pipeline.store.schema import ArticleRow, FeedSourceRow, ItemRow

WAITING, READ, FAILED = "waiting", "read", "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an article: ``state`` read with its ``content``, waiting until ``next_at``, or failed with a reason."""

    state: str
    attempts: int = 0
    content: dict[str, Any] | None = None
    next_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WaitingArticle:
    """An article that is to be fetched; ``summary`` is the teaser that its text must tell more than."""

    item_id: int
    url: str
    summary: str
    attempts: int


def add_all(tx: Tx, source_id: int, outcomes: Mapping[int, Outcome], now: datetime) -> None:
    """Remember what became of the articles of new items, by item."""
    rows = [
        {
            "item_id": item_id,
            "source_id": source_id,
            "state": one.state,
            "attempts": one.attempts,
            "content": one.content,
            "next_at": one.next_at,
            "reason": one.reason,
            "fetched_at": now if one.attempts else None,
        }
        for item_id, one in outcomes.items()
    ]
    if rows:
        tx.execute(insert(ArticleRow), rows)


def adopt(tx: Tx, source_id: int, item_ids: Collection[int]) -> None:
    """Have this source fetch the articles of these items that are waited for by sources that nobody reads any more."""
    living = select(FeedSourceRow.source_id).where(FeedSourceRow.active)
    left = (ArticleRow.state == WAITING) & ArticleRow.source_id.not_in(living)
    for part in parts(sorted(item_ids)):
        tx.execute(update(ArticleRow).where(ArticleRow.item_id.in_(part), left).values(source_id=source_id))


def settle(tx: Tx, item_id: int, outcome: Outcome, now: datetime) -> None:
    """Remember what became of an article that had waited."""
    values = {"state": outcome.state, "attempts": outcome.attempts, "content": outcome.content, "next_at": outcome.next_at}
    values |= {"reason": outcome.reason, "fetched_at": now}
    tx.execute(update(ArticleRow).where(ArticleRow.item_id == item_id).values(values))


def waiting(tx: Tx, source_id: int, now: datetime, limit: int) -> list[WaitingArticle]:
    """Articles of this source that may be fetched now, those of the newest items first."""
    due = (ArticleRow.next_at.is_(None)) | (ArticleRow.next_at <= now)
    query = _waiting(source_id).where(due).order_by(ArticleRow.item_id.desc()).limit(limit)
    return [WaitingArticle(*row) for row in tx.execute(query)]


def _waiting(source_id: int) -> Any:
    query = select(ItemRow.id, ItemRow.url, ItemRow.summary, ArticleRow.attempts)
    query = query.join(ItemRow, ItemRow.id == ArticleRow.item_id)
    return query.where(ArticleRow.source_id == source_id, ArticleRow.state == WAITING)


def states(tx: Tx, item_ids: Collection[int]) -> tuple[set[int], set[int]]:
    """Those of the items whose article is waited for, and those where that has ended; items without one are in neither."""
    query = select(ArticleRow.item_id, ArticleRow.state).where(ArticleRow.item_id.in_(item_ids))
    found = {row.item_id: row.state for row in tx.execute(query)} if item_ids else {}
    waiting = {item_id for item_id, state in found.items() if state == WAITING}
    return waiting, found.keys() - waiting


def unnamed(tx: Tx, source_id: int) -> list[WaitingArticle]:
    """Articles of this source that are waited for by items without a title."""
    query = _waiting(source_id).where(ItemRow.title == "").order_by(ArticleRow.item_id)
    return [WaitingArticle(*row) for row in tx.execute(query)]


def contents(tx: Tx, item_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What was read of the articles of these items."""
    query = select(ArticleRow.item_id, ArticleRow.content).where(ArticleRow.item_id.in_(item_ids), ArticleRow.state == READ)
    return {row.item_id: row.content for row in tx.execute(query)} if item_ids else {}
