"""Trying without storing or sending: what sources yield (check) and what would be published and mailed (preview)."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline import config
from pipeline.cli.options import local, say, warn
from pipeline.compose import digest, message
from pipeline.compose.links import Links
from pipeline.compose.select import select
from pipeline.config import FeedSettings, Settings, SourceSettings
from pipeline.errors import ConfigError, FetchError, GazetError, Problem, ReadError, UsageError
from pipeline.http import from_settings
from pipeline.jobs.collect_source import read_source
from pipeline.jobs.open_edition import document_for
from pipeline.jobs.publish_feed import document_of
from pipeline.jobs.site import Site
from pipeline.models import CandidateItem, Choice, DigestDocument, Personal, Precision, Selection
from pipeline.publish import render_all
from pipeline.store import Store, items, subscribers
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


class _NoStore(Store):
    """Stands where a store would be for commands that must not make one."""

    def __init__(self) -> None:
        self.where = ""


def site_without_store(folder: Path) -> Site:
    """The site for reading only: no store is opened or made, no secret needed."""
    settings = config.load(folder)
    return Site(settings, _NoStore(), Texts(settings.folder), from_settings(settings), Links(b"nothing is signed here"))


def check(site: Site, target: str | None, now: datetime) -> list[Finding]:
    """Read the sources of a feed, of all feeds, or one URL; raises TemplateFault for a template that does not render."""
    chosen = _sources(site, target)
    if not chosen:
        raise ConfigError([Problem("feeds/", "there is no feed yet", "write feeds/<slug>.toml with a title and a [[source]]")])
    findings = [_finding(site, feed, source, now) for feed, source in chosen]
    _check_templates(site, now)
    return findings


def _sources(site: Site, target: str | None) -> list[tuple[FeedSettings, SourceSettings]]:
    feeds = site.settings.feeds.values()
    if target and "://" in target:
        known = [(feed, source) for feed in feeds for source in feed.source if source.url == target]
        return known[:1] or [_stranger(site.settings, target)]
    chosen = [site.feed(target)] if target else feeds
    return [(feed, source) for feed in chosen for source in feed.source]


def _stranger(settings: Settings, url: str) -> tuple[FeedSettings, SourceSettings]:
    """A URL that no feed names, read with the defaults."""
    try:
        source = SourceSettings(url=url)
    except ValueError:
        raise UsageError(f'"{url}" is not an http or https URL.') from None
    return FeedSettings(slug="-", title=url, language=settings.site.language, source=(source,)), source


def _finding(site: Site, feed: FeedSettings, source: SourceSettings, now: datetime) -> Finding:
    try:
        reading = read_source(site, feed, source, site.fetcher.fetch(source.url), now)
    except (FetchError, ReadError) as error:
        return Finding(feed.slug, source.url, "", (), (), f"{error.reason}. {error.fix}".strip())
    return Finding(feed.slug, source.url, reading.parsed.rule, reading.candidates, reading.remarks, "")


def _check_templates(site: Site, now: datetime) -> None:
    """Render every template in every language in use, so that a mistake is found here and not at eight o'clock."""
    for feed in site.settings.feeds.values():
        for form in ("html", "text"):
            choice = Choice(format=form)
            digest.render(_digest_of(site, feed, choice, Selection(()), now), site.texts)
        render_all(document_of(site, feed, [], now.replace(microsecond=0)), site.texts)


def show_finding(finding: Finding, zone: str) -> None:
    """A finding for a person: the rule, then an item a line with its date and where that came from."""
    if finding.problem:
        warn(f"! {finding.url}: {finding.problem}")
        return
    say(f"{finding.url}\n  {len(finding.items)} items by: {finding.rule}")
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
        someone = _subscription(subscribers.records(tx, feed=slug, address=address), slug, address) if address else None
        newest = items.newest(tx, slug, feed.publish.items)
        top = max((item.seq for item in newest), default=0)
        cursor = someone.settled_seq if someone else items.seq_before_newest_mailed(tx, slug, feed.digest.first_items)
        stream = items.after(tx, slug, cursor, up_to=top)
    if not newest:
        raise UsageError(f"Feed {slug} has no items yet.", fix=f'"gazet collect {slug}" brings them.')
    choice = someone.choice if someone else Choice()
    selection = select(stream, choice, max_items=feed.digest.max_items, min_items=feed.digest.min_items)
    if selection is None:
        raise UsageError(f"Nothing new waits for {address or 'a new subscriber'} in {slug}.", fix="Everything was sent already.")
    mail = _mail(site, feed, choice, selection, someone, now)
    feeds = render_all(document_of(site, feed, newest, now.replace(microsecond=0)), site.texts)
    files = {f"{slug}.{extension}": data for extension, data in feeds.items()} | {f"{slug}.eml": mail}
    parsed = email.message_from_bytes(mail, policy=email.policy.default)
    if (html := parsed.get_body(("html",))) is not None:
        files[f"{slug}.mail.html"] = html.get_content().encode()
    text = parsed.get_body(("plain",))
    assert text is not None
    files[f"{slug}.mail.txt"] = text.get_content().encode()
    headers = "\n".join(f"{name}: {value}" for name, value in parsed.items())
    return Preview(files, f"{headers}\n\n{text.get_content()}")


def _subscription(found: object, slug: str, address: str) -> SubscriptionRecord:
    for record in found:  # type: ignore[attr-defined]
        return record  # type: ignore[no-any-return]
    raise UsageError(f"{address} is not subscribed to {slug}.", fix='"gazet subscribers list" shows who is.')


def _digest_of(site: Site, feed: FeedSettings, choice: Choice, selection: Selection, now: datetime) -> DigestDocument:
    return document_for(site, feed, choice, selection, variant_id=0, due_at=now, opened_at=now)


def _mail(
    site: Site, feed: FeedSettings, choice: Choice, selection: Selection, someone: SubscriptionRecord | None, now: datetime
) -> bytes:
    made = digest.render(_digest_of(site, feed, choice, selection, now), site.texts)
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
