"""``gazet suppressions``: the addresses that are never written to. They are kept as keyed hashes, so nobody can read them."""

from __future__ import annotations

import contextlib
import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, local, open_site, print_json, say, warn
from pipeline.errors import GazetError, UsageError

app = typer.Typer(help="Who is never written to.\n\nExample: `gazet suppressions add ann@example.org`", no_args_is_help=True)


@app.command("list")
def list_suppressions(site: SiteOption = None, as_json: JsonOption = False) -> None:
    """List them: the beginning of each hash, since when, and why. Addresses are not stored: "gazet explain" looks one up.

    Example: `gazet suppressions list`
    """
    from pipeline.store import suppressions

    opened = open_site(site)
    with opened.store.read() as tx:
        found = suppressions.listed(tx)
    if as_json:
        print_json(found)
        return
    for one in found:
        say(f"{one.address_hash[:16]}  {local(one.created_at, opened.settings.site.timezone)}  {one.reason}")
    if not found:
        say("nobody is suppressed")


@app.command()
def add(
    what: Annotated[str, typer.Argument(metavar="ADDRESS|FILE", help="An address, or a file with one on each line.")],
    reason: Annotated[str, typer.Option(help="Why; shown in the list.")] = "added by hand",
    now: NowOption = "",
    site: SiteOption = None,
) -> None:
    """Never write to an address again, or to those in a file; their subscriptions end, and no import brings them back.

    Example: `gazet suppressions add bounces.txt --reason "from the former provider"`
    """
    from pipeline.jobs import suppress

    opened = open_site(site)
    file = Path(what)
    moment = clock_of(opened.settings, now)()
    if "@" in what and not file.is_file():
        lines = [what]
    else:
        try:
            lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        except (OSError, ValueError) as error:
            text = getattr(error, "strerror", None) or "is no file name"
            raise UsageError(f"{what}: {text}.", fix="Name an address, or a file with one on each line.") from None
    done = suppress.add(opened, lines, reason, moment)
    for number, said in done.refused:
        if lines == [what]:
            raise UsageError(f"{said}.")
        warn(f"{what}:{number}: {said}")
    say(f"suppressed: {done.added} new, {done.known} known before, {done.ended} subscriptions ended")
    raise typer.Exit(1 if done.refused else 0)


@app.command()
def remove(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The mail address.")],
    site: SiteOption = None,
) -> None:
    """Take an address off the list, so that it may be subscribed again. It subscribes nobody, and who left stays away.

    Example: `gazet suppressions remove ann@example.org`
    """
    from pipeline.store import suppressions

    opened = open_site(site)
    with opened.store.write() as tx:
        removed = suppressions.remove(tx, opened.links.address_hash(address))
    if not removed:
        raise UsageError(f"{address} is not on the list.", fix=f'"gazet explain {address}" says what is known of it.')
    say(f"{address} is no longer suppressed")


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; default: standard output.", show_default=False)
    ] = None,
    site: SiteOption = None,
) -> None:
    """Write the list as a CSV of hashes, which only this site (or one restored from its backup) can use again.

    Example: `gazet suppressions export suppressions.csv`
    """
    from pipeline.jobs import suppress

    opened = open_site(site)
    try:
        with file.open("w", encoding="utf-8", newline="") if file else contextlib.nullcontext(sys.stdout) as target:
            csv.writer(target, lineterminator="\n").writerows(suppress.listed(opened))
    except OSError as error:
        raise GazetError(f"{file}: {error.strerror}.") from None


@app.command("import")
def import_list(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What export wrote.")],
    now: NowOption = "",
    site: SiteOption = None,
) -> None:
    """Put what export wrote back on the list. For a list of addresses: "gazet suppressions add FILE".

    Example: `gazet suppressions import suppressions.csv`
    """
    from pipeline.jobs import suppress

    opened = open_site(site)
    try:
        with file.open(encoding="utf-8", errors="replace", newline="") as lines:
            done = suppress.take_back(opened, csv.reader(lines), clock_of(opened.settings, now)())
    except (OSError, csv.Error) as error:
        raise UsageError(f"{file}: {getattr(error, 'strerror', None) or error}.") from None
    for number, said in done.refused:
        warn(f"{file}:{number}: {said}")
    say(f"suppressed: {done.added} new, {done.known} known before")
    raise typer.Exit(1 if done.refused else 0)
