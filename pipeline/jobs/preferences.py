"""What a person chooses on the page behind the link in every digest: rhythm, choice, a pause, and leaving.

token ─Links─▶ subscription ─▶ person ─▶ all their subscriptions │ read the fields │ one transaction, everything or nothing

A change moves no cursor, so that nothing is lost or repeated (promise 4): what the former topics left out since the last
digest counts with the new ones, and nothing from before it does (docs/decisions/0035).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.compose.links import PREFERENCES
from pipeline.config import FeedSettings
from pipeline.deliver.relay import mask
from pipeline.jobs import my_data, slots
from pipeline.jobs.leave import How
from pipeline.jobs.preference_fields import Fault, Values, Wish, offered_languages, offered_topics, read, shown, time_zones
from pipeline.jobs.site import Site
from pipeline.models import Cadence, SubscriptionStatus
from pipeline.store import Tx, snoozing, subscribers, suppressions
from pipeline.store.subscribers import OPTED_OUT, Person, SubscriptionRecord

MISTAKE = timedelta(days=1)
"""For so long after leaving one click brings a person back: a link may be forwarded, so later they sign up anew."""
_CHOOSING = (SubscriptionStatus.ACTIVE, SubscriptionStatus.SNOOZED)


class Fields(Protocol):
    """What somebody typed into the page's form."""

    def one(self, name: str) -> str:
        """The first value of that name, or ""."""
        ...

    def many(self, name: str) -> list[str]:
        """Its values that are not empty."""
        ...

    def has(self, name: str) -> bool:
        """Whether it was sent at all."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One subscription as the page shows it; ``values`` are those stored, or those just typed where ``faults`` say why not.

    ``back``: they left so lately that one click brings them back. ``editable`` is False where the feed has no settings now.
    """

    slug: str
    title: str
    feed_language: str
    status: SubscriptionStatus
    values: Values
    topics: tuple[tuple[str, str], ...] = ()
    languages: tuple[str, ...] = ()
    next_due_at: datetime | None = None
    paused_until: datetime | None = None
    zone: str = "UTC"
    editable: bool = False
    back: bool = False
    faults: dict[str, Fault] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page. ``done``: what a POST did: saved, left, back, mailed; "" for a look or where ``faulty``."""

    address: str
    language: str
    entries: tuple[Entry, ...]
    zones: tuple[str, ...]
    done: str = ""
    feed: str = ""

    @property
    def faulty(self) -> bool:
        """Whether something typed could not be taken, so that nothing was saved."""
        return any(entry.faults for entry in self.entries)

    @property
    def choosing(self) -> bool:
        """Whether there is anything to choose."""
        return any(entry.editable for entry in self.entries)

    @property
    def subscribed(self) -> int:
        """How many can be left."""
        return sum(entry.status not in OPTED_OUT for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Nobody:
    """The link was made here, but nothing is stored about its person any more."""


def look(site: Site, token: str, now: datetime) -> Page | Nobody | None:
    """What the link shows, changing nothing; None for a token that was not made here for this."""
    identity = site.links.identity(PREFERENCES, token)
    if identity is None:
        return None
    with site.store.read() as tx:
        person = subscribers.person_behind(tx, identity)
        return _page(site, tx, person, identity, now) if person else Nobody()


def act(site: Site, token: str, fields: Fields, now: datetime) -> Page | Nobody | None:
    """Do what the form asks for: ``do`` is save, "leave SLUG", leave-all, "back SLUG" or my-data."""
    identity = site.links.identity(PREFERENCES, token)
    if identity is None:
        return None
    word, _, slug = fields.one("do").partition(" ")
    with site.store.write() as tx:
        person = subscribers.person_behind(tx, identity, take=True)
        if person is None:
            return Nobody()
        records = list(subscribers.records(tx, subscriber_id=person.id))
        if word in ("", "save"):
            return _save(site, tx, person, identity, records, fields, now)
        slug = site.settings.current_slug(slug)  # a page may be older than a feed's new name
        meant = [one for one in records if one.feed == slug or word == "leave-all"]
        done = ""
        if word in ("leave", "leave-all") and meant:
            _leave(tx, meant, now)
            done = "left" if word == "leave" else "left all"
        if word == "back" and _come_back(site, tx, person, meant, now):
            done = "back"
        page = _page(site, tx, person, identity, now)
    if word == "my-data":
        feed = next((one.feed for one in records if one.id == identity), "")
        my_data.mail_link(site, person, feed, page.language, now)
        done = "mailed"
    return replace(page, done=done, feed=next((entry.title for entry in page.entries if entry.slug == slug), ""))


def _page(site: Site, tx: Tx, person: Person, identity: int, now: datetime) -> Page:
    records = list(subscribers.records(tx, subscriber_id=person.id))
    suppressed = suppressions.find(tx, site.links.address_hash(person.address)) is not None
    entries = tuple(_entry(site, one, now, suppressed=suppressed) for one in records)
    entries = tuple(sorted(entries, key=lambda entry: (entry.status in OPTED_OUT, entry.title.casefold())))
    return Page(mask(person.address), _language(site, records, identity), entries, time_zones())


def _language(site: Site, records: list[SubscriptionRecord], identity: int) -> str:
    """That of the subscription whose mail the link stands in."""
    for one in records:
        feed = site.settings.feeds.get(one.feed)
        if one.id == identity:
            return one.choice.language or (feed.language if feed else "") or site.settings.site.language
    return site.settings.site.language


def _entry(site: Site, one: SubscriptionRecord, now: datetime, *, suppressed: bool) -> Entry:
    feed = site.settings.feeds.get(one.feed)
    resting = one.status is SubscriptionStatus.SNOOZED and one.snoozed_until is not None and one.snoozed_until > now
    status = SubscriptionStatus.ACTIVE if one.status is SubscriptionStatus.SNOOZED and not resting else one.status
    if feed is None:
        return Entry(one.feed, one.feed, "", status, Values())
    lately = one.changed_at is not None and now - one.changed_at <= MISTAKE
    return Entry(
        slug=one.feed,
        title=feed.title,
        feed_language=feed.language,
        status=status,
        values=shown(site, feed, one, now),
        topics=offered_topics(feed, one),
        languages=offered_languages(site, feed, one),
        next_due_at=one.next_due_at if status is SubscriptionStatus.ACTIVE else None,
        paused_until=one.snoozed_until if resting else None,
        zone=one.rhythm.zone or site.settings.site.timezone,
        editable=status in _CHOOSING,
        back=status is SubscriptionStatus.UNSUBSCRIBED and lately and not suppressed,
    )


def _save(
    site: Site, tx: Tx, person: Person, identity: int, records: list[SubscriptionRecord], fields: Fields, now: datetime
) -> Page:
    """All subscriptions that the form names, or none of them when one value cannot be taken."""
    faults: dict[str, dict[str, Fault]] = {}
    typed: dict[str, Values] = {}
    wishes: list[tuple[SubscriptionRecord, FeedSettings, Wish]] = []
    for one in records:
        feed = site.settings.feeds.get(one.feed)
        called = next((slug for slug in (one.feed, *(feed.aliases if feed else ())) if fields.has(f"cadence.{slug}")), "")
        if feed is None or one.status not in _CHOOSING or not called:
            continue
        values = _typed(fields, called)
        wish, wrong = read(site, feed, one, values, now)
        if wrong:
            faults[one.feed], typed[one.feed] = wrong, values
        elif wish is not None:
            typed[one.feed] = values
            wishes.append((one, feed, wish))
    if faults:
        page = _page(site, tx, person, identity, now)
        kept = (replace(entry, values=typed.get(entry.slug, entry.values), faults=faults.get(entry.slug)) for entry in page.entries)
        return replace(page, entries=tuple(kept))
    for one, feed, wish in wishes:
        _apply(tx, one, feed, wish, now)
    return replace(_page(site, tx, person, identity, now), done="saved" if typed else "")


def _typed(fields: Fields, slug: str) -> Values:
    single = {name: fields.one(f"{name}.{slug}") for name in Values.__dataclass_fields__ if name != "topics"}
    return Values(**single, topics=tuple(fields.many(f"topics.{slug}")))


def _apply(tx: Tx, one: SubscriptionRecord, feed: FeedSettings, wish: Wish, now: datetime) -> None:
    """The pause first: it takes its locks in the order of whatever else moves cursors."""
    if wish.until is not None and wish.until != one.snoozed_until:
        snoozing.snooze(tx, one.id, feed.slug, wish.until, now)
    elif wish.until is None:
        snoozing.end_snooze(tx, one.id, now)
    due = None if wish.rhythm.cadence is Cadence.INSTANT else slots.next_slot(wish.rhythm, now)
    schedule, choice = subscribers.schedule(tx, feed.slug, wish.rhythm, due), subscribers.choice(tx, wish.choice)
    subscribers.rearrange(tx, one.id, schedule_id=schedule, choice_id=choice, now=now)


def _leave(tx: Tx, records: list[SubscriptionRecord], now: datetime) -> None:
    for one in records:
        standing = subscribers.standing(tx, one.id, take=True)
        if standing is not None and standing.status not in OPTED_OUT:
            subscribers.leave(tx, one.id, SubscriptionStatus.UNSUBSCRIBED, now)
            subscribers.add_consent(tx, one.id, "left", str(How.PREFERENCES), now)


def _come_back(site: Site, tx: Tx, person: Person, records: list[SubscriptionRecord], now: datetime) -> bool:
    """As if they had not left: the cursor is where it was, before what was withheld meanwhile. Whether any came back."""
    back = False
    suppressed = suppressions.find(tx, site.links.address_hash(person.address)) is not None
    for one in records:
        standing = subscribers.standing(tx, one.id, take=True)
        if standing and standing.status is SubscriptionStatus.UNSUBSCRIBED and _entry(site, one, now, suppressed=suppressed).back:
            subscribers.activate(tx, one.id, snoozing.cursor_before_withheld(tx, one.id), now)
            subscribers.add_consent(tx, one.id, "joined", "came back by a button on the preferences page", now)
            back = True
    return back
