"""Open an edition: schedules │ group │ select │ render │ write edition, variants, deliveries, cursors (DESIGN §5).

Rendering happens outside the transaction; the transaction then reads schedules, cursors and groups again, and when one of
them needs a variant that was not rendered, everything is begun anew. So nobody falls between reading and writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parseaddr
from hashlib import sha256
from zoneinfo import ZoneInfo

from pipeline.compose import digest
from pipeline.compose.intro import Intro
from pipeline.compose.select import select
from pipeline.config import FeedSettings, Settings
from pipeline.errors import StoreError
from pipeline.jobs import intro as intros
from pipeline.jobs import signing, slots
from pipeline.jobs.credits import credited
from pipeline.jobs.pictures import are_mailed, with_pictures
from pipeline.jobs.site import Site, feed_url, host_of
from pipeline.models import Choice, DigestDocument, FeedItem, RenderedVariant, Selection
from pipeline.store import Tx, editions, feed_items, feeds, new_id, replay
from pipeline.store.editions import DueSchedule, Group, NewEdition, NewVariant

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Opened:
    """An edition that now waits to be sent; ``late`` schedules were put off to another day instead."""

    feed: str
    label: str = ""
    audience: int = 0
    variants: int = 0
    items: int = 0
    late: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """What is due for one feed at one moment: schedules with the slot each has missed last, and those that must be moved.

    ``too_late`` ones come at their next hour, ``astray`` ones (a clock was ahead) at their next slot.
    """

    on_time: tuple[tuple[DueSchedule, datetime], ...]
    too_late: tuple[DueSchedule, ...]
    astray: tuple[DueSchedule, ...]
    top_seq: int

    @property
    def schedule_ids(self) -> tuple[int, ...]:
        """The schedules that this edition serves."""
        return tuple(schedule.id for schedule, _ in self.on_time)


def open_edition(site: Site, slug: str, now: datetime, *, held: bool = False) -> Opened:
    """Open what is due for the feed at ``now``. Raises TemplateFault or StoreError, and then nothing was opened.

    ``held``: after a restore all of it is uncertain from the start, however late it is and whatever is paused.
    """
    feed = _patient(site.feed(slug)) if held else site.feed(slug)
    rendered: dict[str, NewVariant] = {}
    edition = _new_edition(site, feed, now)
    words = intros.read_or_note(site, slug, now)
    for _ in range(_TRIES):
        _render_missing(site, feed, edition, rendered, words, now, held=held)
        try:
            with site.store.write(isolation="REPEATABLE READ") as tx:
                opened = _write(site, tx, feed, edition, rendered, words, now, held=held)
        except StoreError as error:
            if not error.retryable:
                raise
            continue
        if opened is not None:
            return opened
    raise StoreError(f"Subscriptions of {feed.slug} changed faster than its edition could be opened.", fix="It is tried again.")


def _patient(feed: FeedSettings) -> FeedSettings:
    """A feed for which nothing is too late."""
    return feed.model_copy(update={"digest": feed.digest.model_copy(update={"late_after": timedelta.max})})


def _new_edition(site: Site, feed: FeedSettings, now: datetime) -> NewEdition:
    """The frozen part of an edition; moment and label are set when it is written."""
    _, sender = parseaddr(sender_of(site.settings, feed))
    return NewEdition(
        id=new_id(),
        feed=feed.slug,
        due_at=now,
        opened_at=now,
        deadline_at=now + feed.digest.deadline,
        label="",
        base_url=site.settings.site.url,
        message_id_domain=site.host,
        envelope_from=sender,
        unsubscribe_mail=feed.digest.unsubscribe_mail or site.settings.site.contact,
        uncertain=feed.digest.uncertain,
        dkim=signing.mark(site.settings, sender),
    )


def sender_of(settings: Settings, feed: FeedSettings) -> str:
    """The From of a digest: the feed's own, else the site's title and contact address."""
    title = settings.site.title.replace("\\", "\\\\").replace('"', '\\"')
    return feed.digest.sender or f'"{title}" <{settings.site.contact}>'


def find_due(tx: Tx, feed: FeedSettings, now: datetime) -> Due:
    """The schedules due at ``now``: overdue ones join; later than ``late_after`` after their latest slot is too late."""
    top_seq = feeds.state(tx, feed.slug).next_seq - 1
    on_time: list[tuple[DueSchedule, datetime]] = [(instant, now) for instant in editions.instant_schedules(tx, feed.slug, top_seq)]
    too_late = []
    for schedule in editions.due_schedules(tx, feed.slug, now):
        assert schedule.next_due_at is not None
        slot = slots.latest_missed(schedule.rhythm, schedule.next_due_at, now)
        if now - slot > feed.digest.late_after:
            too_late.append(schedule)
        else:
            on_time.append((schedule, slot))
    return Due(tuple(on_time), tuple(too_late), tuple(editions.astray_schedules(tx, feed.slug, now)), top_seq)


def wanted_by(tx: Tx, feed: FeedSettings, due: Due) -> list[tuple[Group, Selection]]:
    """The groups that get a digest, with its items; groups with too few matching items keep their cursor."""
    found = editions.groups(tx, due.schedule_ids, due.top_seq, feed.digest.cadence)
    if not found:
        return []
    stream = credited(feed, feed_items.mailable_after(tx, feed.slug, min(group.settled_seq for group in found), up_to=due.top_seq))
    pairs = [(group, _select(feed, stream, group.settled_seq, group.choice)) for group in found]
    return [(group, selection) for group, selection in pairs if selection is not None]


def _select(feed: FeedSettings, stream: Sequence[FeedItem], settled_seq: int, choice: Choice) -> Selection | None:
    new = [item for item in stream if item.seq > settled_seq]
    return select(new, choice, max_items=feed.digest.max_items, min_items=feed.digest.min_items)


def content_key(feed: FeedSettings, group: Group, selection: Selection, intro: Intro | None) -> str:
    """Groups with the same key get the same bytes; an item that reads differently by now makes another key."""
    content = [(listed.seq, listed.item.content_hash) for listed in selection.items]
    language = group.choice.language or feed.language
    parts = (content, selection.more, language, group.choice.format, intro.hash if intro else "")
    return sha256(repr(parts).encode()).hexdigest()


def _render_missing(
    site: Site,
    feed: FeedSettings,
    edition: NewEdition,
    rendered: dict[str, NewVariant],
    words: Intro | None,
    now: datetime,
    *,
    held: bool,
) -> None:
    with site.store.read() as tx:
        if not held and (feeds.site_paused(tx) or feeds.state(tx, feed.slug).paused):
            return
        due = find_due(tx, feed, now)
        wanted = wanted_by(tx, feed, due) if due.on_time else []
        intro = intros.for_edition(tx, feed, [group for group, _ in wanted], words)
    moment = max((slot for _, slot in due.on_time), default=now)
    for group, selection in wanted:
        key = content_key(feed, group, selection, intro)
        if key not in rendered:
            rendered[key] = _variant(site, feed, edition, group.choice, selection, intro, key, moment)


def _variant(
    site: Site,
    feed: FeedSettings,
    edition: NewEdition,
    choice: Choice,
    selection: Selection,
    intro: Intro | None,
    key: str,
    due_at: datetime,
) -> NewVariant:
    identity = new_id()
    web_url = site.links.web_url(edition.base_url, identity)
    with site.store.read() as tx:
        shown = with_pictures(site, tx, selection.items, copies=feed.digest.images)
    selection = replace(selection, items=tuple(shown))
    document = document_for(
        site.settings, feed, choice, selection, web_url=web_url, due_at=due_at, opened_at=edition.opened_at, intro=intro
    )
    made: RenderedVariant = digest.render(document, site.texts)
    return NewVariant(
        id=identity,
        content_key=key,
        items=tuple(item.seq for item in selection.items[: made.shown]),
        more=selection.more + len(selection.items) - made.shown,
        language=document.language,
        format=choice.format,
        subject=made.subject,
        html=made.html,
        data=made.data,
        archived=False,
    )


def document_for(
    settings: Settings,
    feed: FeedSettings,
    choice: Choice,
    selection: Selection,
    *,
    web_url: str,
    due_at: datetime,
    opened_at: datetime,
    intro: Intro | None = None,
) -> DigestDocument:
    """Everything a digest shows; ``gazet preview`` uses it for an edition that nobody opens."""
    site, host = settings.site, host_of(settings)
    return DigestDocument(
        feed_slug=feed.slug,
        feed_title=feed.title,
        site_title=site.title,
        language=choice.language or feed.language,
        timezone=site.timezone,
        base_url=site.url,
        feed_url=feed_url(settings, feed.slug, "html"),
        web_url=web_url,
        contact=site.contact,
        postal_address=site.postal_address,
        sender=sender_of(settings, feed),
        due_at=due_at,
        opened_at=opened_at,
        message_id_domain=host,
        list_id=f"{feed.slug}.{host}",
        unsubscribe_mail=feed.digest.unsubscribe_mail or site.contact,
        selection=selection,
        format=choice.format,
        intro_html=intro.html if intro else "",
        intro_text=intro.text if intro else "",
    )


def _write(
    site: Site,
    tx: Tx,
    feed: FeedSettings,
    edition: NewEdition,
    rendered: dict[str, NewVariant],
    words: Intro | None,
    now: datetime,
    *,
    held: bool,
) -> Opened | None:
    """Everything in one transaction under the feed's lock; None when a variant is missing and must be rendered first."""
    paused = feeds.lock(tx, feed.slug).paused or feeds.site_paused(tx)
    if paused and not held:
        return Opened(feed.slug, paused=True)
    due = find_due(tx, feed, now)
    wanted = wanted_by(tx, feed, due) if due.on_time else []
    intro = intros.for_edition(tx, feed, [group for group, _ in wanted], words)
    by_key = [(group, selection, content_key(feed, group, selection, intro)) for group, selection in wanted]
    if any(key not in rendered for _, _, key in by_key):
        return None
    _move_schedules(tx, due, now)
    if not by_key:
        return Opened(feed.slug, late=len(due.too_late))
    if intro is not None:
        feeds.set_intro(tx, feed.slug, intro.hash)
    opened = _write_edition(site, tx, feed, edition, rendered, due, by_key)
    if held:
        replay.hold_edition(tx, edition.id, now)
    return opened


def _move_schedules(tx: Tx, due: Due, now: datetime) -> None:
    for schedule, _ in due.on_time:
        if schedule.next_due_at is not None:
            editions.move_schedule(tx, schedule.id, slots.next_slot(schedule.rhythm, now))
    for schedule in due.astray:
        editions.move_schedule(tx, schedule.id, slots.next_slot(schedule.rhythm, now))
    for schedule in due.too_late:
        editions.move_schedule(tx, schedule.id, slots.next_same_time(schedule.rhythm, now))


def _write_edition(
    site: Site,
    tx: Tx,
    feed: FeedSettings,
    edition: NewEdition,
    rendered: dict[str, NewVariant],
    due: Due,
    by_key: list[tuple[Group, Selection, str]],
) -> Opened:
    due_at = max(slot for _, slot in due.on_time)
    while editions.taken(tx, feed.slug, due_at):
        due_at += due_at.resolution
    placed = replace(edition, due_at=due_at, label=_label(tx, feed.slug, due_at, site.settings.site.timezone))
    archived = _archived(feed, by_key)
    used = {key: replace(rendered[key], archived=key == archived) for _, _, key in by_key}
    editions.add(tx, placed, list(used.values()))
    if feed.digest.images:
        are_mailed(tx, [one for _, selection, _ in by_key for one in selection.items], edition.opened_at)
    audience = sum(editions.queue(tx, placed, group, used[key].id, due.schedule_ids, due.top_seq) for group, _, key in by_key)
    shown = {number for variant in used.values() for number in variant.items}
    return Opened(feed.slug, placed.label, audience, len(used), len(shown), len(due.too_late))


def _label(tx: Tx, slug: str, due_at: datetime, zone: str) -> str:
    """The name people see: the feed and the local minute, with -2, -3 … where that exists."""
    stem = f"{slug}/{due_at.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"
    label, count = stem, 1
    while editions.label_taken(tx, label):
        count += 1
        label = f"{stem}-{count}"
    return label


def _archived(feed: FeedSettings, by_key: list[tuple[Group, Selection, str]]) -> str:
    """The variant the archive shows: unfiltered, in the feed's language, the one most of the default cadence get."""
    plain: dict[str, int] = {}
    for group, _, key in by_key:
        choice = group.choice
        if (
            not choice.topics
            and not choice.words
            and (choice.language or feed.language) == feed.language
            and choice.format == "html"
        ):
            plain[key] = plain.get(key, 0) + group.of_default_cadence
    return max(plain, key=lambda key: (plain[key], key)) if plain else ""
