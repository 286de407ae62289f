"""What the store says: status, verify, explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import JsonOption, SiteOption, local, open_site, print_json, say

if TYPE_CHECKING:
    from pipeline.jobs.report import EditionReport, FeedReport, Status
    from pipeline.store.deliveries import DeliveryRecord
    from pipeline.store.feeds import SourceRecord

_NAMED = 5
EditionArgument = Annotated[str | None, typer.Argument(metavar="EDITION", help="One edition; default: all.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (status, verify, explain):
        app.command()(command)


def status(site: SiteOption = None, as_json: JsonOption = False) -> None:
    """Is it well, what is next, what is stuck: one screen.

    Example: `gazet status`
    """
    from pipeline.jobs import report

    opened = open_site(site)
    found = report.status(opened)
    if as_json:
        print_json(found)
    else:
        for line in _status_lines(found, opened.settings.site.timezone):
            say(line)
    raise typer.Exit(1 if found.problems else 0)


def _status_lines(found: Status, zone: str) -> list[str]:
    from pipeline.jobs.lines import problem

    lines = [f"{found.title}{': PAUSED' if found.paused else ''}", f"last run   {_last_run(found, zone)}"]
    lines += [f"source     {one.state:<9} {one.url}  {_source(one, zone)}" for one in found.sources]
    lines += [f"feed       {_feed(feed, zone)}" for feed in found.feeds]
    if not found.feeds:
        lines.append("feed       none yet: write feeds/<slug>.toml with a title and a [[source]], then gazet run --once")
    for edition in found.editions:
        first, *more = edition_lines(edition)
        lines += [f"edition    {first}", *(f"           {line}" for line in more)]
    for slug in found.orphans:
        lines.append(f"feed       {slug}: feeds/{slug}.toml is gone, so nothing is collected, published or sent for it")
    if found.next_attempt_at:
        lines.append(f"deferred   next attempt {local(found.next_attempt_at, zone)}")
    lines += [
        f"relay      {relay.name}: {'paused' if relay.paused else 'resting'}: {relay.reason}"
        for relay in found.relays
        if relay.reason
    ]
    if found.held_items:
        lines.append(f'items      {found.held_items} held: "gazet items list --status held" shows them')
    lines += [problem(one) for one in found.problems]
    if found.paused:
        lines.append('nothing is collected, published or sent until "gazet resume"')
    return lines if found.problems or found.paused else [*lines, "all is well"]


def _source(one: SourceRecord, zone: str) -> str:
    if one.next_poll_at is None:
        return one.reason or one.rule or "not read yet"
    return f"{one.reason or one.rule}, next poll {local(one.next_poll_at, zone)}"


def _feed(feed: FeedReport, zone: str) -> str:
    from pipeline.jobs.lines import count

    paused = f' ("gazet resume {feed.slug}" goes on)' if feed.paused else ""
    due = f"next edition {local(feed.next_edition_at, zone)}" if feed.next_edition_at else "no edition is due"
    counts = f"{count(feed.items, 'item')}, {count(feed.active, 'active subscription')}"
    return f"{feed.slug}: {'PAUSED, ' if feed.paused else ''}{counts}, {due}{paused}"


def _last_run(found: Status, zone: str) -> str:
    if found.last_tick is None:
        return 'none yet: "gazet run" begins'
    if found.last_tick.finished_at is None:
        return f"{local(found.last_tick.started_at, zone)}, not finished (it runs now, or was ended)"
    return local(found.last_tick.finished_at, zone)


def edition_lines(edition: EditionReport) -> list[str]:
    """An edition's sums, whether it was a rehearsal, and who may get it twice."""
    from pipeline.models import EditionStatus

    sums = ", ".join(f"{count} {status}" for status, count in edition.sums.items() if count)
    state = "finished" if edition.finished and edition.status is not EditionStatus.CANCELLED else edition.status
    lines = [f"{edition.label}: {state}, {edition.audience} = {sums or '0'}"]
    if edition.rehearsed:
        lines.append(
            f'  a rehearsal: {edition.rehearsed} only in the outbox ("gazet retry {edition.label} --from-outbox" sends them)'
        )
    if edition.maybe_twice:
        people = _names(edition.maybe_twice, edition.label)
        lines.append(f"  may get it twice, on the wire when a line or process broke and sent again: {people}")
    if edition.held:
        lines.append(
            f'  uncertain and held: {_names(edition.held, edition.label)} ("gazet retry {edition.label}" sends them again)'
        )
    return lines


def _names(addresses: tuple[str, ...], label: str) -> str:
    more = len(addresses) - _NAMED
    return ", ".join(addresses[:_NAMED]) + (f' and {more} more ("gazet verify {label} --json" names all)' if more > 0 else "")


def verify(edition: EditionArgument = None, site: SiteOption = None, as_json: JsonOption = False) -> None:
    """Check that every delivery of an edition is accounted for. Ends with 1 when it is not, or when some are held as uncertain.

    Example: `gazet verify samen-opleiden/2026-11-24T08:00`
    """
    from pipeline.jobs import report

    found = report.verify(open_site(site), edition)
    if as_json:
        print_json(found)
    else:
        for one in found:
            for line in [*edition_lines(one), *(f"  ! {fault}" for fault in one.faults)]:
                say(line)
        if not found:
            say('no edition yet: "gazet status" shows when the next one is due')
    raise typer.Exit(1 if any(one.faults or one.held for one in found) else 0)


def explain(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A subscriber's address.")],
    edition: Annotated[str | None, typer.Argument(metavar="EDITION", help="Only this edition.", show_default=False)] = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what an address got, when, through which relay and with which answer, or why it got nothing.

    Example: `gazet explain ann@example.org`
    """
    from pipeline.jobs import report

    opened = open_site(site)
    found = report.explain(opened, address, edition)
    if as_json:
        print_json(found)
        return
    zone = opened.settings.site.timezone
    if found.suppressed:
        say(f"{address} is on the suppression list")
    for remark in found.remarks:
        say(remark)
    for one, identity in zip(found.deliveries, found.message_ids, strict=True):
        say(_delivery(one, zone))
        say(f"  Message-ID {identity}")


def _delivery(one: DeliveryRecord, zone: str) -> str:
    relay = f" through {one.relay}" if one.relay else ""
    again = f", next attempt {local(one.next_at, zone)}" if one.next_at else ""
    doubt = ", may have come twice" if one.uncertain_at else ""
    when = f" {local(one.changed_at, zone)}" if one.changed_at else ""
    return f"{one.edition}: {one.status}{relay}{when}, numbers {one.from_seq + 1}–{one.to_seq}{again}{doubt}  {one.reply}".rstrip()
