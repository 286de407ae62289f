"""Feeds as rows: what the settings name, what is published, what rests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import and_, select, update

from pipeline.store import upsert
from pipeline.store.database import Tx
from pipeline.store.schema import FeedRow, FeedSourceRow, SiteRow, SourceRow


@dataclass(frozen=True, slots=True)
class FeedState:
    """What the store knows of a feed; ``next_seq`` is the number the next released item gets."""

    slug: str
    next_seq: int
    paused: bool


def name_in_settings(tx: Tx, sources_by_feed: dict[str, tuple[str, ...]]) -> None:
    """Make the rows that the settings imply, and mark which (feed, source) pairs are in force. Deletes nothing."""
    upsert.ignore(tx, SiteRow, [{"id": 1, "paused": False}])
    upsert.ignore(tx, FeedRow, [{"slug": slug} for slug in sources_by_feed])
    urls = {url for listed in sources_by_feed.values() for url in listed}
    upsert.ignore(tx, SourceRow, [{"url": url} for url in sorted(urls)])
    ids = {url: source_id for source_id, url in tx.execute(select(SourceRow.id, SourceRow.url).where(SourceRow.url.in_(urls)))}
    wanted = {(slug, ids[url]) for slug, listed in sources_by_feed.items() for url in listed}
    upsert.ignore(tx, FeedSourceRow, [{"feed": slug, "source_id": source_id} for slug, source_id in sorted(wanted)])
    for slug, source_id, active in tx.execute(select(FeedSourceRow.feed, FeedSourceRow.source_id, FeedSourceRow.active)).all():
        if active is not ((slug, source_id) in wanted):
            pair = and_(FeedSourceRow.feed == slug, FeedSourceRow.source_id == source_id)
            tx.execute(update(FeedSourceRow).where(pair).values(active=not active))
            # A feed that comes back needs the whole document: a 304 would hide what another feed has collected meanwhile.
            tx.execute(update(SourceRow).where(SourceRow.id == source_id).values(settings_hash=""))


def exists(tx: Tx, slug: str) -> bool:
    """Whether the feed has a row: it gets one at the first run after its file appeared."""
    return tx.execute(select(FeedRow.slug).where(FeedRow.slug == slug)).first() is not None


def state(tx: Tx, slug: str) -> FeedState:
    """The feed's row."""
    return _feed_state(tx, slug, lock=False)


def lock(tx: Tx, slug: str) -> FeedState:
    """The feed's row, locked until the transaction ends: its numbers and its editions are given out under it.

    Rows that name the feed may be added meanwhile: PostgreSQL would otherwise have those who join and those who choose wait
    for whoever holds this, and two who come to hold it after that for each other.
    """
    return _feed_state(tx, slug, lock=True)


def _feed_state(tx: Tx, slug: str, *, lock: bool) -> FeedState:
    query = select(FeedRow.slug, FeedRow.next_seq, FeedRow.paused).where(FeedRow.slug == slug)
    return FeedState(*tx.execute(query.with_for_update(key_share=True) if lock else query).one())


def set_next_seq(tx: Tx, slug: str, next_seq: int) -> None:
    """Only under ``lock``."""
    tx.execute(update(FeedRow).where(FeedRow.slug == slug).values(next_seq=next_seq))


def intro_hash(tx: Tx, slug: str) -> str:
    """Which intro a digest of this feed began with last; empty for none."""
    return tx.execute(select(FeedRow.intro_hash).where(FeedRow.slug == slug)).scalar() or ""


def set_intro(tx: Tx, slug: str, intro_hash: str) -> None:
    """A digest begins with this intro: it is never used again."""
    tx.execute(update(FeedRow).where(FeedRow.slug == slug).values(intro_hash=intro_hash))


def set_paused(tx: Tx, slug: str, paused: bool) -> None:
    """A paused feed is neither collected, published nor mailed; what is already being sent goes on."""
    tx.execute(update(FeedRow).where(FeedRow.slug == slug).values(paused=paused))


def paused(tx: Tx) -> set[str]:
    """The slugs that are paused."""
    return set(tx.execute(select(FeedRow.slug).where(FeedRow.paused)).scalars())


def site_paused(tx: Tx) -> bool:
    """Whether the whole site rests."""
    return bool(tx.execute(select(SiteRow.paused)).scalar())


def set_site_paused(tx: Tx, paused: bool) -> None:
    """Stop or go on with everything."""
    tx.execute(update(SiteRow).values(paused=paused))


def orphans(tx: Tx, slugs: Iterable[str]) -> list[str]:
    """Feeds that have run but are not among these: their file is gone."""
    return list(tx.execute(select(FeedRow.slug).where(FeedRow.slug.not_in(list(slugs))).order_by(FeedRow.slug)).scalars())
