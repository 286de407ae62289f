"""The mail as it would be now, for looking at and for a test: nothing is stored, no cursor moves (preview, send --test)."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.message import EmailMessage
from email.utils import parseaddr

from pipeline.compose import digest, message
from pipeline.compose.intro import Intro
from pipeline.compose.select import select
from pipeline.config import FeedSettings
from pipeline.errors import GazetError, UsageError
from pipeline.jobs import intro as intros
from pipeline.jobs import open_edition, signing, slots
from pipeline.jobs.credits import credited
from pipeline.jobs.lines import count
from pipeline.jobs.pictures import beside, with_pictures
from pipeline.jobs.publish_feed import document_of
from pipeline.jobs.site import Site
from pipeline.models import Choice, FeedItem, OutgoingMessage, Personal, RenderedVariant, Selection
from pipeline.publish import render_all
from pipeline.store import Tx, editions, feed_items, feeds, new_id, subscribers
from pipeline.store.editions import Group
from pipeline.store.subscribers import SubscriptionRecord

NOBODY = 0
"""No subscription has this identity, so a link that names it unsubscribes nobody."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next edition as things stand: ``at`` None when nobody waits for one, ``people`` who would get it.

    ``paused``: none is opened until the feed or the site is resumed.
    """

    at: datetime | None
    people: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """A mail that belongs to no edition.

    ``whose`` says whose mail it is like; ``stand_in``: nothing is new, so the newest items stand in. ``person`` is the
    subscriber it was asked for. ``intro`` says what becomes of the feed's intro, empty where there is none.
    """

    feed: FeedSettings
    person: SubscriptionRecord | None
    selection: Selection
    rendered: RenderedVariant
    whose: str
    stand_in: bool
    forecast: Forecast
    intro: str


@dataclass(frozen=True, slots=True)
class _Reader:
    """For whom items are selected."""

    choice: Choice
    cursor: int
    whose: str


def sample(site: Site, slug: str, address: str, now: datetime, *, stand_in: bool) -> Sample:
    """The mail that ``address`` would get next, or without one that which most people would, or else a new subscriber.

    ``stand_in``: when nothing is new for them, the newest items are shown instead. Raises UsageError for an unknown address
    and GazetError when there is nothing to show.
    """
    feed = site.feed(slug)
    slug = feed.slug  # the operator may have named a former one
    words, complaint = _intro(site, slug)
    with site.store.read() as tx:
        person = _subscription(tx, slug, address) if address else None
        if not feeds.exists(tx, slug) or not (newest := credited(feed, feed_items.newest(tx, slug, feed.publish.items))):
            raise GazetError(f"Feed {slug} has no items yet.", fix=f'"gazet collect {slug}" brings them.')
        groups, forecast = _next_edition(tx, feed, now)
        reader = _reader(tx, feed, person, groups)
        stream = credited(feed, feed_items.mailable_after(tx, slug, reader.cursor, up_to=feeds.state(tx, slug).next_seq - 1))
        intro = intros.for_edition(tx, feed, groups, words) if groups else intros.unused(tx, slug, words)
        used = words is not None and intros.unused(tx, slug, words) is None
    selection = select(stream, reader.choice, max_items=feed.digest.max_items, min_items=feed.digest.min_items)
    if selection is None and not stand_in:
        waiting = f"{count(len(stream), 'item')} after the last digest, {feed.digest.min_items} that match are needed"
        raise GazetError(f"No mail is due for {reader.whose} in {slug}: {waiting}.")
    shown = selection or _newest(feed, newest)
    rendered = _render(site, feed, reader.choice, shown, intro, forecast.at or now, now)
    fate = complaint or _fate(slug, words, intro, used=used)
    return Sample(feed, person, shown, rendered, reader.whose, selection is None, forecast, fate)


def _intro(site: Site, slug: str) -> tuple[Intro | None, str]:
    """The editor's words, or why they cannot be used."""
    try:
        return intros.read(site, slug), ""
    except GazetError as error:
        return None, str(error)


def _fate(slug: str, words: Intro | None, intro: Intro | None, *, used: bool) -> str:
    if words is None:
        return ""
    if intro is not None:
        return f"feeds/{slug}.intro.md: the next digest begins with it, and no later one"
    why = "was used already; change it to use it again" if used else "waits for a digest of the feed's own rhythm"
    return f"feeds/{slug}.intro.md {why}"


def _next_edition(tx: Tx, feed: FeedSettings, now: datetime) -> tuple[list[Group], Forecast]:
    """Who gets the next edition. People on ``instant`` wait for no hour: they count only where no schedule is due later."""
    slot = editions.next_due(tx, feed.slug)
    at = max(slot, now) if slot else now
    found = open_edition.find_due(tx, feed, at)
    if found.too_late and not found.on_time:  # after a long rest: what was missed comes the next time its hour comes
        hours = [(one, slots.next_same_time(one.rhythm, now)) for one in found.too_late]
        slot = at = min(hour for _, hour in hours)
        found = replace(found, on_time=tuple((one, hour) for one, hour in hours if hour == at))
    groups = [group for group, _ in open_edition.wanted_by(tx, feed, found)] if found.on_time else []
    people = sum(group.size for group in groups)
    paused = feeds.site_paused(tx) or feeds.state(tx, feed.slug).paused
    return groups, Forecast(at if slot or people else None, people, paused)


def _subscription(tx: Tx, slug: str, address: str) -> SubscriptionRecord:
    found = [*subscribers.records(tx, feed=slug, address=address)]
    if not found:
        raise UsageError(f"{address} is not subscribed to {slug}.", fix='"gazet subscribers list" shows who is.')
    return found[0]


def _reader(tx: Tx, feed: FeedSettings, person: SubscriptionRecord | None, groups: Sequence[Group]) -> _Reader:
    if person is not None:
        return _Reader(person.choice, person.settled_seq, person.address)
    if groups:
        largest = max(groups, key=lambda group: group.size)
        people = sum(group.size for group in groups)
        share = "everybody" if largest.size == people else f"{largest.size} of the {people} people"
        return _Reader(largest.choice, largest.settled_seq, f"{share} in the next edition")
    return _Reader(Choice(), feed_items.seq_before_newest_mailed(tx, feed.slug, feed.digest.first_items), "a new subscriber")


def _newest(feed: FeedSettings, newest: Sequence[FeedItem]) -> Selection:
    """The newest items whether they are mailed or not, as many as a new subscriber gets."""
    return Selection(tuple(newest[: max(min(feed.digest.first_items, feed.digest.max_items), 1)]))


def _render(
    site: Site, feed: FeedSettings, choice: Choice, selection: Selection, intro: Intro | None, due_at: datetime, now: datetime
) -> RenderedVariant:
    web_url = site.links.web_url(site.settings.site.url, NOBODY)
    with site.store.read() as tx:
        shown = with_pictures(site, tx, selection.items, copies=feed.digest.images)
    selection = replace(selection, items=tuple(shown))
    document = open_edition.document_for(
        site.settings, feed, choice, selection, web_url=web_url, due_at=due_at, opened_at=now, intro=intro
    )
    return digest.render(document, site.texts)


def mail(site: Site, made: Sample) -> bytes:
    """The exact mail as its subscriber would get it; without one it goes to ``site.contact`` and its links belong to nobody."""
    identity = made.person.id if made.person else NOBODY
    address = made.person.address if made.person else site.settings.site.contact
    name = made.person.name if made.person else ""
    data = message.splice(made.rendered.data, _personal(site, made.feed, identity, address, name, edition=NOBODY))
    return signing.signed(site.settings, sender_address(site, made.feed), data)


def files(site: Site, made: Sample, now: datetime) -> dict[str, bytes]:
    """By name: the mail whole and in parts, the feed in its four formats, and the copies of images that the pages show."""
    whole = mail(site, made)
    parsed = email.message_from_bytes(whole, policy=email.policy.default)
    found = {"mail.eml": whole, "headers.txt": _head(parsed).encode(), "mail.txt": _body(parsed, "plain").encode()}
    if html := _body(parsed, "html"):
        found["mail.html"] = html.encode()
    with site.store.read() as tx:
        newest = credited(made.feed, feed_items.newest(tx, made.feed.slug, made.feed.publish.items))
        newest = with_pictures(site, tx, newest, copies=made.feed.publish.images)
    document = document_of(site.settings, made.feed, newest, now.replace(microsecond=0))
    found |= {f"feed.{extension}": data for extension, data in render_all(document, site.texts).items()}
    return found | beside(site, {name: data for name, data in found.items() if name.endswith(".html")})


def _head(parsed: EmailMessage) -> str:
    return "".join(f"{name}: {value}\n" for name, value in parsed.items())


def _body(parsed: EmailMessage, subtype: str) -> str:
    """A part of the mail as text with plain line feeds; empty when it has none."""
    part = parsed.get_body((subtype,))
    return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""


def as_test(site: Site, made: Sample, address: str) -> OutgoingMessage:
    """The same to ``address``, with [Test] before its subject, a Message-ID of its own and links that unsubscribe nobody."""
    personal = _personal(site, made.feed, NOBODY, address, made.person.name if made.person else "", edition=new_id())
    data = message.splice(_marked(made.rendered.data), personal)
    key = personal.message_id.strip("<>").partition("@")[0]
    sender = sender_address(site, made.feed)
    return OutgoingMessage(key, sender, address, signing.signed(site.settings, sender, data))


def sender_address(site: Site, feed: FeedSettings) -> str:
    """Who the feed's mails come from, on the envelope and in From."""
    return parseaddr(open_edition.sender_of(site.settings, feed))[1]


def _personal(site: Site, feed: FeedSettings, identity: int, address: str, name: str, *, edition: int) -> Personal:
    unsubscribe_mail = feed.digest.unsubscribe_mail or site.settings.site.contact
    return Personal(
        address=address,
        name=name,
        message_id=message.message_id(edition, identity, site.host),
        unsubscribe_url=site.links.unsubscribe_url(site.settings.site.url, identity),
        unsubscribe_mailto=site.links.unsubscribe_mailto(unsubscribe_mail, identity),
        preferences_url=site.links.preferences_url(site.settings.site.url, identity),
    )


def _marked(data: bytes) -> bytes:
    """The word stands on the Subject's first line and the rest folded below it: no line grows too long (RFC 5322 §2.2.3)."""
    head, gap, body = data.partition(b"\r\n\r\n")
    return head.replace(b"\r\nSubject: ", b"\r\nSubject: [Test]\r\n ", 1) + gap + body
