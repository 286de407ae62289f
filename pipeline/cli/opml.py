"""``gazet opml``: lists of feeds in and out."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import JsonOption, SiteOption, folder_of, print_json, say, warn
from pipeline.errors import GazetError, ReadError, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.config import Settings
    from pipeline.jobs.opml import ImportPlan, LeftOut, Opml
    from pipeline.models import SourceKind

_SHOWN = 5

app = typer.Typer(
    help="Lists of feeds, as feed readers exchange them (OPML).\n\nExample: `gazet opml import feeds.opml`", no_args_is_help=True
)


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; default: standard output.", show_default=False)
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="The feeds published here, instead of their sources.")] = False,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all sources as OPML, a folder for each feed; with --published the feeds of this site, for its readers.

    Example: `gazet opml export feeds.opml`
    """
    from pipeline import config
    from pipeline.jobs import opml
    from pipeline.jobs.lines import count

    settings = config.load(folder_of(site))
    document = opml.published_of(settings) if published else opml.sources_of(settings, _ways(settings))
    if file is not None:
        _write(file, opml.write_opml(document))
    if as_json:
        print_json({"file": file, "title": document.title, "folders": document.folders})
    elif file is None:
        typer.echo(opml.write_opml(document).decode(), nl=False)
    else:
        what = "feed" if published else "source"
        say(f"wrote {file}: {count(sum(len(folder.outlines) for folder in document.folders), what)}")


def _ways(settings: Settings) -> dict[str, tuple[SourceKind, str]]:
    """How sources with ``kind = "auto"`` were found to be read; a store that is not there is not made for this."""
    from pipeline.store import open_store, sources

    scheme, _, path = settings.store.url.partition(":///")
    if scheme.startswith("sqlite") and not settings.path(path).is_file():
        return {}
    with contextlib.suppress(StoreError), contextlib.closing(open_store(settings)) as store, store.read() as tx:
        return {one.url: (one.way.kind, one.way.url) for one in sources.sources(tx) if one.way is not None}
    return {}


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise GazetError(f"{file}: {error.strerror}.") from None


@app.command("import")
def import_list(
    file: Annotated[str, typer.Argument(metavar="FILE", help="OPML as a feed reader exports it; - is standard input.")],
    feed: Annotated[str, typer.Option("--feed", metavar="NAME", help="Put everything into one new feed of this name.")] = "",
    title: Annotated[str, typer.Option(help="Its title; default: the list's.")] = "",
    each: Annotated[bool, typer.Option("--each", help="Make a feed of each source, not of each folder.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: write it.")] = False,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make feeds of a feed reader's list: each folder becomes feeds/NAME.toml with its sources. Nothing is fetched or sent yet.

    It shows what it would write and asks. No file is overwritten; addresses that a feed of that name reads already are left out.

    Example: `gazet opml import feeds.opml`

    Example: `gazet opml import - --feed regio --title "Nieuws uit de regio" --yes < feeds.opml`
    """
    from pipeline import config
    from pipeline.cli import asking
    from pipeline.jobs import opml
    from pipeline.jobs.lines import count

    if feed and each:
        raise UsageError("--feed and --each exclude each other.", fix="Say one of them.")
    if title and not feed:
        raise UsageError("--title is the title of the one feed that --feed makes.", fix="Say --feed NAME, too.")
    settings = config.load(folder_of(site))
    try:
        document = opml.read_opml(*_read(file))
    except ReadError as error:
        raise GazetError(f"{error.what}.", fix=error.fix) from None
    planned = _plan(settings, document, feed, title, each=each)
    left_out = (*document.left_out, *planned.left_out)
    if not as_json:
        _show(planned, left_out)
    ask = asking.may_ask(yes or as_json)
    written = bool(planned.feeds) and (yes or (ask and _agreed(len(planned.feeds))))
    if written:
        _write_all(settings, planned)
    if written and not as_json:
        say(f"wrote {count(len(planned.feeds), 'file')}; a running Gazet takes them within half a minute, by hand: gazet collect")
    if as_json:
        print_json(_told(settings, planned, left_out, written=written))
    if planned.feeds and not yes and not ask:
        raise UsageError("Nothing was written: nobody is here to ask.", fix="Say --yes to write it.")
    raise typer.Exit(1 if any(one.fault for one in left_out) else 0)


def _read(file: str) -> tuple[bytes, str]:
    """The bytes, no more than the limit and one, and what errors call them."""
    from pipeline.jobs.opml import MAX_BYTES

    if file == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"
    try:
        with Path(file).open("rb") as source:
            return source.read(MAX_BYTES + 1), file
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: {getattr(error, 'strerror', None) or 'is no file name'}.") from None


def _plan(settings: Settings, document: Opml, feed: str, title: str, *, each: bool) -> ImportPlan:
    from pipeline.cli import add
    from pipeline.jobs import opml

    if feed:
        slug = add.free_slug(settings, feed)
        return opml.plan_one(settings, document.folders, slug, add.clean_title(title) or document.title or slug)
    folders = opml.singly(document.folders) if each else opml.named(document.folders, document.title)
    return opml.plan(settings, folders, base=add.slug_for, taken=add.taken_names(settings))


def _show(planned: ImportPlan, left_out: Sequence[LeftOut]) -> None:
    from pipeline.jobs.lines import count

    for one in left_out:
        (warn if one.fault else say)(f"left out: {' '.join(filter(None, (one.title, one.url))) or 'an outline'}: {one.reason}")
    for new in planned.feeds:
        say(f"feeds/{new.slug}.toml  {new.title}  ({count(len(new.sources), 'source')})")
        for source, name in new.sources[:_SHOWN]:
            say(f"    {source.url}  {name}".rstrip())
        if len(new.sources) > _SHOWN:
            say(f"    … and {len(new.sources) - _SHOWN} more")
    if not planned.feeds:
        say("nothing to write")


def _agreed(files: int) -> bool:
    from pipeline.cli import asking
    from pipeline.jobs.lines import count

    agreed = asking.ask(f"Write {count(files, 'file')}? yes or no", "yes", _yes_or_no) == "yes"
    if not agreed:
        say("nothing was written")
    return agreed


def _yes_or_no(text: str) -> str:
    answer = {"y": "yes", "yes": "yes", "n": "no", "no": "no"}.get(text.lower())
    if answer is None:
        raise ValueError("answer yes or no")
    return answer


def _write_all(settings: Settings, planned: ImportPlan) -> None:
    from pipeline.cli import add

    today = datetime.now(UTC).date()
    texts = {new.slug: add.feed_file(new.title, new.sources, "gazet opml import", today) for new in planned.feeds}
    add.write_feeds({settings.path(f"feeds/{slug}.toml"): text for slug, text in texts.items()})


def _told(settings: Settings, planned: ImportPlan, left_out: Sequence[LeftOut], *, written: bool) -> dict[str, Any]:
    feeds = [
        {
            "slug": new.slug,
            "title": new.title,
            "file": settings.path(f"feeds/{new.slug}.toml"),
            "sources": [source.url for source, _title in new.sources],
        }
        for new in planned.feeds
    ]
    return {"written": written, "feeds": feeds, "left_out": left_out}
