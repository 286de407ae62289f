"""By hand: pause, resume, cancel, retry."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, open_site, print_json, say

TargetArgument = Annotated[
    str | None, typer.Argument(metavar="FEED|EDITION|RELAY", help="What; the whole site if left out.", show_default=False)
]
EditionArgument = Annotated[str, typer.Argument(metavar="EDITION", help="As in samen-opleiden/2026-11-24T08:00.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (pause, resume, cancel, retry):
        app.command()(command)


def pause(target: TargetArgument = None, site: SiteOption = None) -> None:
    """Stop a feed, an edition, a relay, or everything, until it is resumed. What is on the wire is finished.

    Example: `gazet pause samen-opleiden`
    """
    from pipeline.jobs import operate

    say(f"paused {operate.set_paused(open_site(site), target, True)}")


def resume(target: TargetArgument = None, site: SiteOption = None) -> None:
    """Go on with what was paused.

    Example: `gazet resume samen-opleiden/2026-11-24T08:00`
    """
    from pipeline.jobs import operate

    say(f"resumed {operate.set_paused(open_site(site), target, False)}")


def cancel(edition: EditionArgument, now: NowOption = "", site: SiteOption = None, as_json: JsonOption = False) -> None:
    """Send nothing more of an edition; its items come in the next one for those who did not get it. This is final.

    Example: `gazet cancel samen-opleiden/2026-11-24T08:00`
    """
    from pipeline.jobs import lines, operate

    opened = open_site(site)
    count = operate.cancel(opened, edition, clock_of(opened.settings, now)())
    if as_json:
        print_json({"edition": edition, "cancelled": count})
    else:
        say(f"cancelled {edition}: {lines.count(count, 'delivery')}")


def retry(
    edition: EditionArgument,
    from_outbox: Annotated[bool, typer.Option("--from-outbox", help="Those that only the outbox took, to the relay.")] = False,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue failed, expired and uncertain deliveries again, with the same Message-ID and bytes; never accepted ones.

    Example: `gazet retry samen-opleiden/2026-11-24T08:00 --from-outbox`
    """
    from pipeline.jobs import lines, operate

    opened = open_site(site)
    count = operate.retry(opened, edition, clock_of(opened.settings, now)(), from_outbox=from_outbox)
    remade = operate.is_remade(opened, edition)
    if as_json:
        print_json({"edition": edition, "queued": 0 if remade else count, "put_back": count if remade else 0})
    elif remade:
        say(f"the mails of {edition} are gone; its items come in the next digest of {lines.count(count, 'subscription')}")
    elif count:
        say(f'queued {lines.count(count, "delivery")} of {edition} again ("gazet deliver" or the next tick sends)')
    else:
        say(f"nothing of {edition} to send again")
