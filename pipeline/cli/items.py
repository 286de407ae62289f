"""``gazet items``: look through what was collected, hold, release and discard."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, local, open_site, print_json, say
from pipeline.errors import UsageError
from pipeline.models import ItemStatus

app = typer.Typer(
    help="Look through items; hold, release, discard or omit them.\n\nExample: `gazet items list --status held`",
    no_args_is_help=True,
)
ItemArgument = Annotated[int, typer.Argument(metavar="ID", help="The item's id, as items list shows it.")]


MaybeItem = Annotated[int | None, typer.Argument(metavar="[ID]", help="The item's id, as items list shows it.", show_default=False)]
SourceOption = Annotated[str, typer.Option("--source", metavar="URL", help="All that is held of this source.")]


def _one_of(item: int | None, source: str) -> None:
    if (item is None) is (not source):
        raise UsageError("Name one item, or one source.", fix='"gazet items list --status held" shows what is held.')


@app.command("list")
def list_items(
    feed: Annotated[str | None, typer.Argument(metavar="FEED", help="Only of this feed.", show_default=False)] = None,
    status: Annotated[str, typer.Option(help="Only held, released, withdrawn or discarded ones.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """List items, newest first.

    Example: `gazet items list samen-opleiden --status held`
    """
    from pipeline.store import items

    if status and status not in tuple(ItemStatus):
        raise UsageError(f'--status: "{status}" is not one of {", ".join(ItemStatus)}.')
    opened = open_site(site)
    if feed:
        feed = opened.feed(feed).slug
    with opened.store.read() as tx:
        found = items.listing(tx, slug=feed, status=ItemStatus(status) if status else None, limit=limit)
    if as_json:
        print_json(found)
        return
    for item in found:
        numbers = " ".join(f"{slug}#{seq}" for slug, seq in item.numbers.items())
        date = local(item.published_at, opened.settings.site.timezone)[4:14]
        say(f"{item.id:>6}  {date}  {item.status:<9}  {item.title}  {numbers}")
    if not found:
        say("no items")


@app.command()
def hold(item: ItemArgument, now: NowOption = "", site: SiteOption = None) -> None:
    """Take an item that no digest has shown yet out of its feeds until it is released.

    Example: `gazet items hold 17`
    """
    from pipeline.jobs import operate

    opened = open_site(site)
    operate.hold(opened, item, clock_of(opened.settings, now)())
    say(f"held item {item}; the next publish leaves it out")


@app.command()
def omit(
    items: Annotated[list[int], typer.Argument(metavar="ID...", help="The items' ids, as items list and the eve mail show them.")],
    feed: Annotated[str | None, typer.Option("--feed", metavar="FEED", help="Only there.", show_default=False)] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Show them in coming digests after all.")] = False,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave items out of coming digests; the feeds go on showing them.

    Example: `gazet items omit 17 18 --feed samen-opleiden`
    """
    from pipeline.jobs import operate

    opened = open_site(site)
    if feed:
        feed = opened.feed(feed).slug
    done = operate.omit(opened, items, slug=feed, undo=undo)
    if as_json:
        print_json({"undo": undo, "items": done})
        return
    for one in done:
        some = f"; some {'are past it since' if undo else 'had it in'} {one.sent_in}" if one.sent_in else ""
        say(f"item {one.item}: coming digests of {one.feed} {'show it' if undo else 'leave it out'}{some}")
    if not done:
        say("nothing changed: no feed shows these items")


@app.command()
def release(
    item: MaybeItem = None,
    source: SourceOption = "",
    no_mail: Annotated[bool, typer.Option("--no-mail", help="Publish it only: people have had it, as before a restore.")] = False,
    now: NowOption = "",
    site: SiteOption = None,
) -> None:
    """Publish and mail a held or discarded item, or with --source all that is held of one source.

    Example: `gazet items release 17`
    """
    from pipeline.jobs import operate
    from pipeline.jobs.lines import count

    _one_of(item, source)
    opened = open_site(site)
    if item is None:
        number, slugs = operate.release_held(opened, source, clock_of(opened.settings, now)(), mailed=not no_mail)
        say(f"released {count(number, 'item')} of {source} in {', '.join(slugs)}{', published only' if no_mail else ''}")
        return
    slugs = operate.release(opened, item, clock_of(opened.settings, now)(), mailed=not no_mail)
    say(f"released item {item} in {', '.join(slugs) or 'no feed: none reads its source now'}")


@app.command()
def discard(item: MaybeItem = None, source: SourceOption = "", now: NowOption = "", site: SiteOption = None) -> None:
    """Drop a held item, withdraw a released one from the published feeds, or with --source drop all that is held of one source.

    Example: `gazet items discard 17`
    """
    from pipeline.jobs import operate
    from pipeline.jobs.lines import count

    _one_of(item, source)
    opened = open_site(site)
    if item is None:
        number = operate.discard_held(opened, source, clock_of(opened.settings, now)())
        say(f"discarded {count(number, 'item')} of {source}")
        return
    say(f"item {item} is {operate.discard(opened, item, clock_of(opened.settings, now)())}")
