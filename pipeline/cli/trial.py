"""Trying without storing or sending: what sources yield (check) and what would be published and mailed (preview)."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.cli.options import local, say, warn
from pipeline.compose import digest, message
from pipeline.compose.select import select
from pipeline.config import FeedSettings, Settings, SourceSettings
from pipeline.errors import FetchError, GazetError, ReadError, UsageError
from pipeline.http import Fetcher
from pipeline.jobs.collect_source import read_source
from pipeline.jobs.lines import count
from pipeline.jobs.open_edition import document_for
from pipeline.jobs.publish_feed import document_of
from pipeline.jobs.site import Site
from pipeline.models import (
    Attachment,
    CandidateItem,
    Choice,
    FeedItem,
    Image,
    Item,
    ItemStatus,
    Personal,
    Precision,
    Selection,
)
from pipeline.publish import render_all
from pipeline.store import Tx, items, subscribers
from pipeline.store.subscribers import SubscriptionRecord
from pipeline.texts import Texts


@dataclass(frozen=True, slots=True)
class Finding:
    """What one source yields now; ``problem`` empty when it can be read."""

    feed: str
    url: str
    rule: str
    items: tuple[CandidateItem, ...]
    remarks: tuple[str, ...]
    problem: str


def sources(settings: Settings, target: str | None) -> list[tuple[FeedSettings, SourceSettings]]:
    """The sources of a feed, of all feeds, or a single URL, read as the feed that names it would read it."""
    feeds = settings.feeds.values()
    if target and "://" in target:
        known = [(feed, source) for feed in feeds for source in feed.source if source.url == target]
        return known[:1] or [_stranger(settings, target)]
    chosen = [settings.feed(target)] if target else feeds
    return [(feed, source) for feed in chosen for source in feed.source]


def _stranger(settings: Settings, url: str) -> tuple[FeedSettings, SourceSettings]:
    """A URL that no feed names, read with the defaults."""
    try:
        source = SourceSettings(url=url)
    except ValueError:
        raise UsageError(f'"{url}" is not an http or https URL.') from None
    return FeedSettings(slug="-", title=url, language=settings.site.language, source=(source,)), source


def finding(settings: Settings, fetcher: Fetcher, feed: FeedSettings, source: SourceSettings, now: datetime) -> Finding:
    """What one source yields now; a source that cannot be read is a finding too."""
    try:
        reading = read_source(settings, feed, source, fetcher.fetch(source.url), now)
    except (FetchError, ReadError) as error:
        fix = error.fix or "Is the address right, and does its server answer?"
        return Finding(feed.slug, source.url, "", (), (), f"{error.reason}. {fix}")
    return Finding(feed.slug, source.url, reading.parsed.rule, reading.candidates, reading.remarks, "")


def check_templates(settings: Settings, texts: Texts, now: datetime) -> None:
    """Render every template for every feed, so that a mistake is found here and not at eight o'clock. Raises TemplateFault."""
    shown = [_sample(number, now) for number in (2, 1)]
    selection, web_url = Selection(tuple(shown), more=1), f"{settings.site.url}/read/sample"
    for feed in settings.feeds.values():
        mail = document_for(settings, feed, Choice(), selection, web_url=web_url, due_at=now, opened_at=now)
        digest.render(mail, texts)
        render_all(document_of(settings, feed, shown, now.replace(microsecond=0)), texts)


def _sample(number: int, now: datetime) -> FeedItem:
    """An item with everything that a template may show."""
    url = f"https://www.example.org/{number}/"
    item = Item(
        id=number,
        identity=f"urn:uuid:00000000-0000-0000-0000-{number:012}",
        url=url,
        title=f"Item {number}",
        kicker="News",
        summary="A summary.",
        content_html="<p>A summary.</p>",
        published_at=now,
        published_precision=Precision.TIME if number % 2 else Precision.DAY,
        updated_at=now,
        first_seen_at=now,
        authors=("Ann",),
        categories=("Topic",),
        image=Image(f"{url}picture.jpg", "A picture", 640, 360),
        attachments=(Attachment(f"{url}paper.pdf", "application/pdf", 1000, "Paper"),),
        language="",
        status=ItemStatus.RELEASED,
        content_hash="",
    )
    return FeedItem(seq=number, mailed=True, released_at=now, item=item)


def show_finding(finding: Finding, zone: str) -> None:
    """A finding for a person: the rule, then an item a line with its date and where that came from."""
    if finding.problem:
        warn(f"! {finding.url}: {finding.problem}")
        return
    say(f"{finding.url}\n  {count(len(finding.items), 'item')} by: {finding.rule}")
    for item in finding.items:
        say(f"  {_date(item, zone):<16}  {item.title}\n                    {item.url}")
    for remark in finding.remarks:
        say(f"  note: {remark}")


def _date(item: CandidateItem, zone: str) -> str:
    if item.published is None:
        return "no date"
    text = local(item.published.at, zone)[4:]
    return text[:10] if item.published.precision is Precision.DAY else text


@dataclass(frozen=True, slots=True)
class Preview:
    """The files a preview writes by name, and the mail as text for a terminal."""

    files: dict[str, bytes]
    readable: str


def preview(site: Site, slug: str, address: str, now: datetime) -> Preview:
    """The feed and the mail that ``address`` (or a new subscriber) would get now. Raises UsageError with nothing to show."""
    feed = site.feed(slug)
    with site.store.read() as tx:
        someone = _subscription(tx, slug, address) if address else None
        newest = items.newest(tx, slug, feed.publish.items)
        top = max((item.seq for item in newest), default=0)
        cursor = someone.settled_seq if someone else items.seq_before_newest_mailed(tx, slug, feed.digest.first_items)
        stream = items.mailable_after(tx, slug, cursor, up_to=top)
    if not newest:
        raise GazetError(f"Feed {slug} has no items yet.", fix=f'"gazet collect {slug}" brings them.')
    choice = someone.choice if someone else Choice()
    selection = select(stream, choice, max_items=feed.digest.max_items, min_items=feed.digest.min_items)
    if selection is None:
        waiting = f"{count(len(stream), 'item')} after the last digest, {feed.digest.min_items} that match are needed"
        raise GazetError(f"No mail is due for {address or 'a new subscriber'} in {slug}: {waiting}.")
    mail = _mail(site, feed, choice, selection, someone, now)
    feeds = render_all(document_of(site.settings, feed, newest, now.replace(microsecond=0)), site.texts)
    files = {f"{slug}.{extension}": data for extension, data in feeds.items()} | {f"{slug}.eml": mail}
    parsed = email.message_from_bytes(mail, policy=email.policy.default)
    if (html := parsed.get_body(("html",))) is not None:
        files[f"{slug}.mail.html"] = html.get_content().encode()
    text = parsed.get_body(("plain",))
    assert text is not None
    readable = text.get_content().replace("\r\n", "\n")
    files[f"{slug}.mail.txt"] = readable.encode()
    headers = "\n".join(f"{name}: {value}" for name, value in parsed.items())
    return Preview(files, f"{headers}\n\n{readable}")


def _subscription(tx: Tx, slug: str, address: str) -> SubscriptionRecord:
    found = [*subscribers.records(tx, feed=slug, address=address)]
    if not found:
        raise UsageError(f"{address} is not subscribed to {slug}.", fix='"gazet subscribers list" shows who is.')
    return found[0]


def _mail(
    site: Site, feed: FeedSettings, choice: Choice, selection: Selection, someone: SubscriptionRecord | None, now: datetime
) -> bytes:
    web_url = site.links.web_url(site.settings.site.url, 0)
    document = document_for(site.settings, feed, choice, selection, web_url=web_url, due_at=now, opened_at=now)
    made = digest.render(document, site.texts)
    identity = someone.id if someone else 0
    unsubscribe_mail = feed.digest.unsubscribe_mail or site.settings.site.contact
    personal = Personal(
        address=someone.address if someone else site.settings.site.contact,
        name=someone.name if someone else "",
        message_id=message.message_id(0, identity, site.host),
        unsubscribe_url=site.links.unsubscribe_url(site.settings.site.url, identity),
        unsubscribe_mailto=site.links.unsubscribe_mailto(unsubscribe_mail, identity),
    )
    return message.splice(made.data, personal)


def write_preview(made: Preview, folder: Path) -> list[Path]:
    """Write the files of a preview; returns their paths."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in made.files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise GazetError(f"{folder}: {error.strerror}.", fix="Name a folder that can be written with --out.") from None
    return [folder / name for name in made.files]
