"""Before anything is sent: preview, send --test, doctor."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, folder_of, local, open_site, print_json, say, warn
from pipeline.errors import GazetError

if TYPE_CHECKING:
    from pipeline.jobs.doctor import Check
    from pipeline.jobs.sample import Sample
    from pipeline.jobs.try_relay import Tried

FeedArgument = Annotated[str, typer.Argument(metavar="FEED", help="The feed.")]
_NOBODYS = "the one to unsubscribe belongs to nobody, and its page on the web is not there"
ForOption = Annotated[str, typer.Option("--for", metavar="ADDRESS", help="The mail that this subscriber would get.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (preview, send, doctor):
        app.command()(command)


def preview(
    feed: FeedArgument,
    address: ForOption = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the files there.")] = None,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the exact mail as it would be now, when it would be sent and to how many. Sends nothing, settles nothing.

    With --out it writes mail.eml, mail.html, mail.txt, headers.txt and the feed as feed.rss, .atom, .json and .html;
    copies of images go into media/, where both pages find them.

    Example: `gazet preview samen-opleiden --for ann@example.org --out preview`
    """
    from pipeline.jobs import sample

    opened = open_site(site)
    clock = clock_of(opened.settings, now)
    made = sample.sample(opened, feed, address, clock(), stand_in=not address)
    files = sample.files(opened, made, clock())
    written = _write(files, out) if out else []
    if as_json:
        print_json(_preview(made, files) | {"written": written})
        return
    if out:
        for path in written:
            say(f"wrote {path}")
    else:
        say(f"{files['headers.txt'].decode()}\n{files['mail.txt'].decode()}")
    for line in _remarks(made, opened.settings.site.timezone):
        say(line)


def _preview(made: Sample, files: dict[str, bytes]) -> dict[str, Any]:
    return _about(made) | {
        "next_edition_at": made.forecast.at,
        "paused": made.forecast.paused,
        "intro": made.intro,
        "people": made.forecast.people,
        "headers": files["headers.txt"].decode(),
        "text": files["mail.txt"].decode(),
        "html": files.get("mail.html", b"").decode(),
    }


def _about(made: Sample) -> dict[str, Any]:
    return {
        "feed": made.feed.slug,
        "whose": made.whose,
        "stand_in": made.stand_in,
        "subject": made.rendered.subject,
        "items": [{"id": one.item.id, "title": one.item.title} for one in made.selection.items[: made.rendered.shown]],
        "more": made.selection.more + len(made.selection.items) - made.rendered.shown,
    }


def _remarks(made: Sample, zone: str) -> list[str]:
    """When, for whom, and whether its links work."""
    from pipeline.models import SubscriptionStatus

    people = f"{made.forecast.people} people" if made.forecast.people != 1 else "1 person"
    when = f"{local(made.forecast.at, zone)}, {people} as things stand" if made.forecast.at else "nobody waits for one"
    paused = " (but it is paused)" if made.forecast.paused else ""
    lines = [f"next edition  {when}{paused}", f"this mail     {_whose(made)}"]
    if made.intro:
        lines.append(f"its intro     {made.intro}")
    if made.person is None:
        return [*lines, f"its links     {_NOBODYS}; with --for ADDRESS the first is that subscriber's own"]
    if made.person.status is not SubscriptionStatus.ACTIVE:
        lines.append(f"              but nothing is sent there: the subscription is {made.person.status}")
    return [
        *lines,
        f"its links     the one to unsubscribe works: it is {made.person.address}'s own; its page on the web is not there yet",
    ]


def _whose(made: Sample) -> str:
    if made.stand_in:
        return f"nothing is new for {made.whose}, so this shows the newest items as a sample"
    return f"what {made.whose} would get"


def _write(files: dict[str, bytes], folder: Path) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    except OSError as error:
        raise GazetError(f"{folder}: {error.strerror}.", fix="Name a folder that can be written with --out.") from None
    return [folder / name for name in files]


def send(
    feed: FeedArgument,
    test: Annotated[str, typer.Option("--test", metavar="ADDRESS", help="Your own address: the mail goes there.")],
    person: ForOption = "",
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send the feed's next mail to one address, through the real relay, and show what the relay says.

    Before its subject stands [Test], and its unsubscribe link belongs to nobody; all else is as subscribers get it. No edition
    is opened and no cursor moves. Once such a mail was accepted and site.url answers as this site, the relay writes to
    subscribers. Ends with 1 when the mail was not accepted.

    Example: `gazet send samen-opleiden --test you@example.org`
    """
    from pipeline.jobs import try_relay

    opened = open_site(site)
    clock = clock_of(opened.settings, now)
    tried = try_relay.send_test(opened, feed, test, person, clock(), standing_clock=bool(now))
    if as_json:
        print_json(_tried(tried))
    else:
        for line in _tried_lines(tried):
            (say if tried.answer.accepted else warn)(line)
    raise typer.Exit(0 if tried.answer.accepted else 1)


def _tried(tried: Tried) -> dict[str, Any]:
    return _about(tried.sample) | {
        "address": tried.address,
        "relay": tried.relay,
        "place": tried.place,
        "rehearsal": tried.rehearsal,
        "accepted": tried.answer.accepted,
        "answer": tried.answer,
        "tls": tried.offer.tls if tried.offer else "",
        "advice": tried.advice,
        "site": tried.web,
        "missing": str(tried.missing) if tried.missing else "",
    }


def _tried_lines(tried: Tried) -> list[str]:
    reply = " ".join(part for part in (str(tried.answer.code or ""), tried.answer.enhanced, tried.answer.text) if part)
    how = f", {tried.offer.tls or 'in clear text'}" if tried.offer else ""
    relay = f"{tried.relay} ({tried.place}{how})"
    if not tried.answer.accepted:
        doubt = "; nobody knows whether it kept the mail" if tried.answer.code is None and tried.answer.handed_over else ""
        return [f"! relay {relay} did not accept the test mail, at {tried.answer.stage}: {reply}{doubt}. {tried.advice}"]
    lines = [
        f"sent     [Test] {tried.sample.rendered.subject}",
        f"to       {tried.address}: {_whose(tried.sample)}",
        f"links    {_NOBODYS}",
    ]
    if tried.rehearsal:
        return [*lines, f"relay    none is named, so it is in {tried.place} and reached nobody: add [[relay]] to gazet.toml"]
    lines.append(f"relay    {relay} accepted it: {reply}")
    if tried.web is not None:
        lines.append(f"site     {tried.web.what}" + (f". {tried.web.fix}" if tried.web.fix else ""))
    lines.append(f"missing  {tried.missing}" if tried.missing else "ready    this relay writes to subscribers from now on")
    return lines


def doctor(
    selector: Annotated[str, typer.Option(metavar="S", help="The DKIM selector your provider signs with.")] = "",
    dns: Annotated[str, typer.Option(metavar="HOST:PORT", help="Ask this name server instead of this machine's own.")] = "",
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch every source, too.")] = False,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look after everything that a site needs: files, clock, disk, database, relay, site.url, sources, DNS. Sends no mail.

    Each line is ok, note or FAIL with what to do. Ends with 1 when something fails.

    Example: `gazet doctor --selector s1`
    """
    from pipeline import config
    from pipeline.jobs.doctor import Level, Wishes, examine

    settings = config.load(folder_of(site))
    checks = examine(settings, lambda: open_site(site), Wishes(selector, dns, fetch), datetime.now(UTC))
    healthy = all(check.level is not Level.FAIL for check in checks)
    if as_json:
        print_json({"healthy": healthy, "checks": checks})
    else:
        for check in checks:
            _show(check)
    raise typer.Exit(0 if healthy else 1)


def _show(check: Check) -> None:
    """One line, and below it what to do."""
    from pipeline.jobs.doctor import Level

    level = check.level.upper() if check.level is Level.FAIL else check.level
    say(f"{level:<4}  {check.name}: {check.text}")
    if check.fix:
        say(f"      → {check.fix}")
