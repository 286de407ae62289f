"""A feed with items, people and editions, written by the store's own functions; name only what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from pipeline.models import (
    Blame,
    Cadence,
    CandidateItem,
    Choice,
    DeliveryStatus,
    ItemStatus,
    RelayAnswer,
    RetryDecision,
    Rhythm,
    Stage,
    SubscriptionStatus,
)
from pipeline.store import Store, Tx, deliveries, editions, feed_items, feeds, items, new_id, sources, subscribers
from pipeline.store.deliveries import Claim
from pipeline.store.editions import NewEdition, NewVariant
from pipeline.store.schema import SubscriberRow, SubscriptionRow

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
SOURCE = "https://www.example.org/nieuws/"
DAILY = Rhythm(Cadence.DAILY, time="08:00", zone="Europe/Amsterdam")
WEEKLY = Rhythm(Cadence.WEEKLY, weekday=1, time="08:00", zone="Europe/Amsterdam")
INSTANT = Rhythm(Cadence.INSTANT)

TAKEN = RelayAnswer(Stage.DOT, 250, "2.0.0", "queued", handed_over=True)
BUSY = RelayAnswer(Stage.RCPT, 450, "4.2.0", "try later")


def decided(status: DeliveryStatus, **changes: Any) -> RetryDecision:
    """A decision of that status, nobody to blame."""
    return RetryDecision(status, Blame.NOBODY, f"it became {status}", **changes)


ACCEPTED = decided(DeliveryStatus.ACCEPTED)


def candidate(number: int = 1, **changes: Any) -> CandidateItem:
    """Item ``number`` of a source, undated."""
    url = f"https://www.example.org/nieuws/bericht-{number}/"
    made = CandidateItem(
        keys=(f"guid:{number}", f"url:{url}"),
        url=url,
        title=f"Bericht {number}: “Zo’n 100 bestuurders”",
        kicker="",
        summary="",
        content_html="",
        published=None,
        updated=None,
        authors=(),
        categories=(),
        image=None,
        attachments=(),
        language="nl",
        content_hash=f"{number:064x}",
    )
    return replace(made, **changes)


def add_feed(tx: Tx, slug: str = "po", url: str = SOURCE) -> int:
    """A feed with one source; returns the source's id."""
    feeds.name_in_settings(tx, {slug: (url,)})
    return sources.sources(tx, slug)[0].id


def add_items(tx: Tx, numbers: Sequence[int], *, slug: str = "po", mailed: bool = True) -> list[int]:
    """Released items with the next numbers of the feed; returns their ids."""
    source = sources.sources(tx, slug)[0]
    made = [items.add(tx, source.id, source.url, candidate(n), status=ItemStatus.RELEASED, now=NOW) for n in numbers]
    feed_items.release(tx, slug, made, set(made) if mailed else set(), NOW)
    return made


def subscribe(
    tx: Tx,
    address: str,
    *,
    slug: str = "po",
    settled_seq: int = 0,
    rhythm: Rhythm = DAILY,
    choice: Choice = Choice(),  # noqa: B008
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE,
) -> int:
    """One subscription, due at NOW; returns its id."""
    next_due_at = None if rhythm.cadence is Cadence.INSTANT else NOW
    return subscribers.subscribe(
        tx,
        subscriber_id=subscribers.subscriber(tx, address, address.partition("@")[0].title(), NOW),
        feed=slug,
        schedule_id=subscribers.schedule(tx, slug, rhythm, next_due_at),
        choice_id=subscribers.choice(tx, choice),
        status=status,
        settled_seq=settled_seq,
        now=NOW,
    )


def crowd(tx: Tx, count: int, *, slug: str = "po") -> None:
    """That many active daily subscriptions at cursor 0, written at once."""
    people = [(new_id(), f"p{number}@example.org") for number in range(count)]
    rows = [{"id": one, "address": address, "folded": address, "name": "", "created_at": NOW} for one, address in people]
    tx.execute(insert(SubscriberRow), rows)
    same = {"feed": slug, "schedule_id": subscribers.schedule(tx, slug, DAILY, NOW), "choice_id": subscribers.choice(tx, Choice())}
    same |= {"status": SubscriptionStatus.ACTIVE, "settled_seq": 0, "changed_at": NOW}
    tx.execute(insert(SubscriptionRow), [{"id": new_id(), "subscriber_id": one, **same} for one, _ in people])


def new_edition(*, slug: str = "po", due_at: datetime = NOW, **changes: Any) -> NewEdition:
    """An edition of that moment that is not written yet."""
    made = NewEdition(
        id=new_id(),
        feed=slug,
        due_at=due_at,
        opened_at=due_at,
        deadline_at=due_at + timedelta(hours=24),
        label=f"{slug}/{due_at:%Y-%m-%dT%H:%M:%S.%f}",
        base_url="https://nieuws.example.org",
        message_id_domain="nieuws.example.org",
        envelope_from="nieuws@example.org",
        unsubscribe_mail="redactie@example.org",
        uncertain="resend",
    )
    return replace(made, **changes)


def new_variant(key: str = "a", **changes: Any) -> NewVariant:
    """A variant that is not written yet."""
    made = NewVariant(
        id=new_id(),
        content_key=key,
        items=(1,),
        more=0,
        language="nl",
        format="html",
        subject="Nieuws",
        html="<p>Nieuws</p>",
        data=b"Subject: Nieuws\r\n\r\n\x00\xff",
        archived=False,
    )
    return replace(made, **changes)


def due_ids(tx: Tx, now: datetime = NOW, slug: str = "po") -> list[int]:
    """The schedules of the feed that are due, instant ones too."""
    top = feeds.state(tx, slug).next_seq - 1
    return [one.id for one in [*editions.due_schedules(tx, slug, now), *editions.instant_schedules(tx, slug, top)]]


def open_edition(tx: Tx, *, due_at: datetime = NOW, **changes: Any) -> NewEdition:
    """An edition for everybody on a due schedule with items above the cursor, one variant for all."""
    edition, variant = new_edition(due_at=due_at, **changes), new_variant()
    schedules, top = due_ids(tx, due_at, edition.feed), feeds.lock(tx, edition.feed).next_seq - 1
    found = editions.groups(tx, schedules, top, Cadence.WEEKLY)
    editions.add(tx, edition, [variant])
    for group in found:
        editions.queue(tx, edition, group, variant.id, schedules, top)
    return edition


def an_edition(store: Store, people: int = 1, *, top: int = 3, **changes: Any) -> NewEdition:
    """A feed with ``top`` items, that many people p0@…, p1@… who have none of them yet, and an edition for them."""
    with store.write() as tx:
        add_feed(tx)
        add_items(tx, range(1, top + 1))
        crowd(tx, people)
        return open_edition(tx, **changes)


def claim(store: Store, edition: NewEdition, *, lease: str = "one", now: datetime = NOW) -> Claim | None:
    """Claim the next delivery in a transaction of its own."""
    with store.write() as tx:
        return deliveries.claim(tx, edition.id, relay="provider", lease=lease, now=now)


def must_claim(store: Store, edition: NewEdition, *, lease: str = "one", now: datetime = NOW) -> Claim:
    """The same where one must be there."""
    taken = claim(store, edition, lease=lease, now=now)
    assert taken is not None
    return taken


def settle(store: Store, taken: Claim, decision: RetryDecision, answer: RelayAnswer | None = None, now: datetime = NOW) -> None:
    """Settle a claim in a transaction of its own."""
    with store.write() as tx:
        deliveries.settle(tx, taken, decision, answer, now)


def statuses(store: Store, edition: NewEdition) -> dict[str, DeliveryStatus]:
    """What became of each address."""
    with store.read() as tx:
        return {record.address: record.status for record in deliveries.of_edition(tx, edition.id)}


def cursors(store: Store) -> dict[str, int]:
    """Each address's ``settled_seq``."""
    with store.read() as tx:
        return {record.address: record.settled_seq for record in subscribers.records(tx)}


def run_out(store: Store) -> None:
    """All leases end a minute ago."""
    with store.write() as tx:
        past = "datetime('now', '-1 minute')" if store.is_sqlite else "now() - interval '1 minute'"
        tx.execute(text(f"UPDATE deliveries SET lease_until = {past} WHERE lease_until IS NOT NULL"))
