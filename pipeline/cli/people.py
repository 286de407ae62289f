"""``gazet subscribers``: add, import, export, list, unsubscribe, erase, form."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, local, open_site, print_json, say, warn
from pipeline.errors import GazetError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.jobs.erase import Erased
    from pipeline.jobs.site import Site
    from pipeline.store.subscribers import SubscriptionRecord

app = typer.Typer(help="Who gets a digest, and when.\n\nExample: `gazet subscribers import people.csv`", no_args_is_help=True)
FeedOption = Annotated[str | None, typer.Option("--feed", help="Only this feed.", show_default=False)]


@app.command()
def add(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The mail address.")],
    feed: Annotated[str, typer.Argument(metavar="FEED", help="The feed.")],
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    cadence: Annotated[str, typer.Option(help="instant, daily, weekly or monthly; default: the feed's.")] = "",
    weekday: Annotated[str, typer.Option(help="monday … sunday, for weekly.")] = "",
    day: Annotated[str, typer.Option(help="1 … 31, for monthly.")] = "",
    time: Annotated[str, typer.Option(help="HH:MM in the subscriber's zone.")] = "",
    timezone: Annotated[str, typer.Option(help="As Europe/Amsterdam; default: the site's.")] = "",
    language: Annotated[str, typer.Option(help="nl or en; default: the feed's.")] = "",
    topics: Annotated[str, typer.Option(help="Only items of these topics, separated by ;")] = "",
    consent: Annotated[str, typer.Option(help="How this person agreed: kept as evidence.")] = "",
    now: NowOption = "",
    site: SiteOption = None,
) -> None:
    """Subscribe one person, or change the rhythm of one who is subscribed.

    Example: `gazet subscribers add ann@example.org samen-opleiden --cadence daily --time 07:30`
    """
    from pipeline.jobs import people
    from pipeline.jobs.take_settings import name_feeds

    opened = open_site(site)
    feed = opened.feed(feed).slug
    given = {"email": address, "feed": feed, "name": name, "status": "", "cadence": cadence, "weekday": weekday, "day": day}
    given |= {"time": time, "timezone": timezone, "language": language, "topics": topics, "consent": consent or "added by hand"}
    try:
        wish = people.wanted(opened, given)
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    with opened.store.write() as tx:
        name_feeds(tx, opened)
        done = people.join(opened, tx, wish, clock_of(opened.settings, now)())
    if done == "left before":
        raise GazetError(f"{address} has left or is suppressed.", fix="Nobody who left is subscribed again by somebody else.")
    say(f"{done}: {address} → {feed}")


@app.command("import")
def import_csv(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV with a header: email, feed, and optionally the other columns.")
    ],
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a CSV. Lines that are wrong are named and left out; nobody who left comes back.

    Columns: email, feed, name, status, cadence, weekday, day, time, timezone, language, topics, consent, snoozed_until.

    Example: `gazet subscribers import people.csv`
    """
    from pipeline.jobs import people

    opened = open_site(site)
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            done = people.import_subscribers(opened, people.read_csv(opened, lines), clock_of(opened.settings, now)(), _progress)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}.") from None
    except UsageError as error:
        raise UsageError(f"{file}: {error.what}", fix=error.fix) from None
    if as_json:
        refused = [{"line": line, "reason": reason} for line, reason in done.refused]
        print_json({"counts": dict(done.counts), "refused": refused})
    else:
        for line, reason in done.refused:
            warn(f"{file}:{line}: {reason}")
        say(_counted(done.counts, len(done.refused)))
    raise typer.Exit(1 if done.refused else 0)


def _progress(done: int) -> None:
    if done and done % 10_000 == 0:
        warn(f"{done} lines done")


def _counted(counts: Counter[str], refused: int) -> str:
    words = {"added": "added", "changed": "changed", "unchanged": "unchanged", "opted out": "stored as opt-outs"}
    words["left before"] = "left before and stay so"
    said = [f"{counts[key]} {text}" for key, text in words.items() if counts[key]]
    if refused:
        said.append(f"{refused} refused")
    return "imported: " + (", ".join(said) or "nothing, the file has no lines")


@app.command("list")
def list_subscriptions(feed: FeedOption = None, site: SiteOption = None, as_json: JsonOption = False) -> None:
    """List subscriptions with their rhythm and when they are next due.

    Example: `gazet subscribers list --feed samen-opleiden`
    """
    from pipeline.store import subscribers

    opened = open_site(site)
    if feed:
        feed = opened.feed(feed).slug
    with opened.store.read() as tx:
        found = list(subscribers.records(tx, feed=feed))
    if as_json:
        print_json(found)
        return
    for one in found:
        say(f"{one.address:<32} {one.feed:<20} {one.status:<12} {_when(one, opened.settings.site.timezone)}")
    if not found:
        say("no subscriptions")


def _when(one: SubscriptionRecord, zone: str) -> str:
    """The rhythm in words, and for who is sent to also the next moment."""
    from pipeline.config import WEEKDAYS
    from pipeline.models import Cadence, SubscriptionStatus

    days = {Cadence.WEEKLY: WEEKDAYS[one.rhythm.weekday], Cadence.MONTHLY: f"day {one.rhythm.day}"}
    rhythm = " ".join(filter(None, [one.rhythm.cadence, days.get(one.rhythm.cadence), one.rhythm.time, one.rhythm.zone]))
    if one.status is not SubscriptionStatus.ACTIVE or one.next_due_at is None:
        return rhythm
    return f"{rhythm:<38} next {local(one.next_due_at, zone)}"


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; default: standard output.", show_default=False)
    ] = None,
    feed: FeedOption = None,
    site: SiteOption = None,
) -> None:
    """Export subscriptions and opt-outs as the CSV that import reads.

    Example: `gazet subscribers export people.csv`
    """
    from pipeline.jobs.people import COLUMNS, export_row
    from pipeline.store import subscribers

    opened = open_site(site)
    if feed:
        feed = opened.feed(feed).slug
    try:
        with opened.store.read() as tx, _private(file) if file else sys.stdout as target:
            writer = csv.DictWriter(target, COLUMNS)
            writer.writeheader()
            for record in subscribers.records(tx, feed=feed):
                writer.writerow(export_row(record))
    except OSError as error:
        raise GazetError(f"{file}: {error.strerror}.") from None


def _private(file: Path) -> TextIO:
    """A file that only its owner reads: it holds addresses."""
    return open(file, "w", encoding="utf-8", newline="", opener=lambda path, flags: os.open(path, flags, 0o600))


@app.command()
def unsubscribe(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The mail address.", show_default=False)] = "",
    feed: FeedOption = None,
    token: Annotated[str, typer.Option("--token", help="The subject of an unsubscribe mail, or the token in it.")] = "",
    now: NowOption = "",
    site: SiteOption = None,
) -> None:
    """End an address's subscription to one feed, or to all; nothing more is sent, imports do not revive it.

    With --token it ends the one subscription that the subject of an unsubscribe mail names, whoever it was sent by.

    Example: `gazet subscribers unsubscribe ann@example.org`
    """
    from pipeline.jobs import people
    from pipeline.store import subscribers

    opened = open_site(site)
    if bool(address) == bool(token):
        raise UsageError("Name either an address or a token.", fix='"gazet subscribers list" shows who is subscribed.')
    if token:
        _leave(opened, token, clock_of(opened.settings, now)())
        return
    if feed:
        feed = opened.feed(feed).slug
    with opened.store.read() as tx:
        known = any(True for _ in subscribers.records(tx, feed=feed, address=address))
    if not known:
        raise UsageError(f"{address} is not subscribed here.", fix='"gazet subscribers list" shows who is.')
    left = people.unsubscribe(opened, address, feed, clock_of(opened.settings, now)())
    say(f"{address} left {', '.join(left)}" if left else f"{address} had left already")


@app.command()
def erase(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The mail address.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: erase it.")] = False,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase everything about an address; a keyed hash remains, so that nobody imports it again. This is final.

    Subscriptions end, and what is left of them names nobody. Older copies of the store and mails in the outbox are looked
    through as well. Backups that lie elsewhere cannot be reached.

    Example: `gazet subscribers erase ann@example.org --yes`
    """
    from pipeline.cli import asking
    from pipeline.jobs import erase as job

    opened = open_site(site)
    if not yes and not asking.may_ask(as_json):
        raise UsageError("Nothing was erased: nobody is here to ask.", fix="Say --yes to erase it.")
    if not yes and asking.ask(f"Erase everything about {address}, for ever? yes or no", "no", asking.yes_or_no) != "yes":
        say("nothing was erased")
        return
    done = job.erase(opened, address, clock_of(opened.settings, now)())
    if as_json:
        print_json({name: getattr(done, name) for name in done.__dataclass_fields__})
    else:
        _show_erased(address, done)
    if not done.anything and not done.holding:
        raise UsageError(f"Nothing about {address} is stored here.", fix=f'"gazet suppressions add {address}" keeps it away.')
    raise typer.Exit(1 if done.holding or done.on_the_wire else 0)


def _show_erased(address: str, done: Erased) -> None:
    from pipeline.jobs.lines import count

    if done.anything:
        parts = [f"{number} in {name}" for name, number in done.rows.items()]
        parts += [count(done.mails, "mail") + " in the outbox"] if done.mails else []
        say(f"erased everything about {address}: {', '.join(parts) or 'older copies only'}")
        say("  kept: a keyed hash of the address, so that no import and no restore brings it back")
    for copy in done.copies:
        say(f"  erased in {copy} too")
    if done.on_the_wire:
        warn(f"{count(done.on_the_wire, 'mail')} to it was being sent; run this again in a minute")
    for file in done.holding:
        warn(f"{file} still holds the address: delete it, or what it holds")
    for backup in done.backups:
        say(f"  {backup} is a backup from before: it may hold the address until it is deleted")
    if done.anything:
        say("  backups and exports that lie elsewhere cannot be reached from here: delete those that hold this person")


@app.command()
def form(
    feed: Annotated[str, typer.Argument(metavar="FEED", help="The feed.")],
    site: SiteOption = None,
) -> None:
    """Print an HTML form for other websites, with which people subscribe to a feed. Without script, and without third parties.

    Example: `gazet subscribers form samen-opleiden > form.html`
    """
    opened = open_site(site)
    about = opened.feed(feed)
    if about not in opened.settings.open_feeds():
        raise UsageError(
            f"Feed {about.slug} is not open to sign-ups.", fix="open = true under [subscribe], and under its [digest]."
        )
    action = f"{opened.settings.site.url}/subscribe/{about.slug}"
    values = {"site": opened.settings.site, "feed": about.title, "slug": about.slug, "action": action}
    say(opened.texts.render("embed.html.j2", about.language, **values).strip())


def _leave(site: Site, subject: str, now: datetime) -> None:
    """What a mail to the unsubscribe address asks for; its subject is "unsubscribe TOKEN"."""
    from pipeline.jobs import leave

    words = subject.split()
    left = leave.leave(site, words[-1], now, leave.How.MAIL) if words else None
    if left is None:
        raise UsageError("This is not a token of this site.", fix="It stands behind the word unsubscribe in the mail's subject.")
    if not left.feed:
        say("This subscription is not known here, so nothing is sent to it.")
    else:
        say(f"left {left.feed}" if left.now else f"had left {left.feed} already")
