"""What the store says: status, verify, explain."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, local, open_site, print_json, say, showable

if TYPE_CHECKING:
    from pipeline.jobs.report import EditionReport, Judgement, Status
    from pipeline.store.deliveries import DeliveryRecord
    from pipeline.store.sources import SourceRecord

_NAMED = 5
_FOR_THE_NEXT_REQUEST = frozenset(("etag", "last_modified", "settings_hash", "body_hash", "repeats", "whole_at", "hints"))
EditionArgument = Annotated[str | None, typer.Argument(metavar="EDITION", help="One edition; default: all.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (status, verify, explain):
        app.command()(command)


def status(
    everything: Annotated[bool, typer.Option("--all", help="All of it, also what does not fit on one screen.")] = False,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Is it well, what is stuck, what is next, what happened last: one screen. Ends with 1 when something needs a person.

    Example: `gazet status`
    """
    from pipeline import app
    from pipeline.jobs import report

    opened = open_site(site)
    found = report.status(opened, app.is_running)
    judged = report.judge(found, clock_of(opened.settings, now)())
    if as_json:
        facts = {name: getattr(found, name) for name in found.__dataclass_fields__}
        facts["sources"] = [_source(one) for one in found.sources]
        print_json({"well": judged.well, "needs": judged.needs, "now": judged.now, **facts})
    else:
        _show(found, judged, opened.settings.site.timezone, everything=everything)
    raise typer.Exit(0 if judged.well else 1)


def _show(found: Status, judged: Judgement, zone: str, *, everything: bool) -> None:
    from pipeline.cli.screen import Paper, screen

    size = shutil.get_terminal_size()
    watched = sys.stdout.isatty() or "COLUMNS" in os.environ
    paper = Paper(zone, size.columns if watched else 1000, None if everything else max(size.lines, 24))
    headline, colour, lines = screen(found, judged, paper, everything=everything)
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    typer.echo(typer.style(showable(headline), fg=colour, bold=True) if colours else showable(headline))
    for line in lines:
        say(line)


def _source(one: SourceRecord) -> dict[str, Any]:
    """What is known of a source, without what only the next request needs."""
    return {name: value for name, value in asdict(one).items() if name not in _FOR_THE_NEXT_REQUEST}


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
        say(f"{address} is on the suppression list since {local(found.since, zone)}: {found.reason}")
        if found.reason == "erased":
            say("  all else about it was erased; imports and sign-ups by others do not bring it back")
    for remark in found.remarks:
        say(remark)
    for one, identity in zip(found.deliveries, found.message_ids, strict=True):
        say(_delivery(one, zone))
        say(f"  Message-ID {identity}")
    for back in found.feedback:
        weight = f" ({back.weight})" if back.weight != "none" else ""
        say(f"came back {local(back.at, zone)}: {back.kind}{weight} of {back.edition}: {back.done}  {back.reason}".rstrip())


def _delivery(one: DeliveryRecord, zone: str) -> str:
    relay = f" through {one.relay}" if one.relay else ""
    again = f", next attempt {local(one.next_at, zone)}" if one.next_at else ""
    doubt = ", may have come twice" if one.uncertain_at else ""
    when = f" {local(one.changed_at, zone)}" if one.changed_at else ""
    return f"{one.edition}: {one.status}{relay}{when}, numbers {one.from_seq + 1}–{one.to_seq}{again}{doubt}  {one.reply}".rstrip()
