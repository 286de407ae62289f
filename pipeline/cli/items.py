"""``gazet items``: look through what was collected, hold, release, discard, withdraw, and part what was taken for one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, local, open_site, print_json, say
from pipeline.errors import UsageError
from pipeline.models import ItemStatus, PastVersion

if TYPE_CHECKING:
    from pipeline.store.merges import MergeRecord

app = typer.Typer(
    help="Look through items; hold, release, discard, withdraw, omit or part them.\n\nExample: `gazet items list --status held`",
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
        title = item.title or f"{item.url} (shown once its article told its title)"
        say(f"{item.id:>6}  {date}  {item.status:<9}  {title}  {numbers}")
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
def withdraw(item: ItemArgument, now: NowOption = "", site: SiteOption = None, as_json: JsonOption = False) -> None:
    """Take a released item out of the feeds and of coming digests, also when people have had it; the archive marks it.

    Example: `gazet items withdraw 17`
    """
    from pipeline.jobs import operate

    opened = open_site(site)
    done = operate.withdraw(opened, item, clock_of(opened.settings, now)())
    if as_json:
        print_json(done)
        return
    sent = f"; it was in {', '.join(done.sent_in)}, which the archive marks" if done.sent_in else ""
    say(f"withdrew item {item}; the next publish leaves it out of {', '.join(done.numbers) or 'its feeds'}{sent}")
    for label in done.on_the_way:
        say(f'note: {label} is still being sent, with it; "gazet cancel {label}" stops that')
    say(f'"gazet items restore {item}" shows it again')


@app.command()
def restore(
    item: ItemArgument,
    no_mail: Annotated[bool, typer.Option("--no-mail", help="In the feeds only: no digest shows it.")] = False,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a withdrawn item again. It has kept its numbers: who had it, or is past it, is not mailed it again.

    Example: `gazet items restore 17`
    """
    from pipeline.jobs import operate

    done = operate.restore(open_site(site), item, mailed=not no_mail)
    if as_json:
        print_json(done)
        return
    say(f"restored item {item}; the next publish shows it in {', '.join(done.numbers) or 'no feed'}")


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
        done = operate.release_held(opened, source, clock_of(opened.settings, now)(), mailed=not no_mail)
        say(f"released {count(done.items, 'item')} of {source} in {', '.join(done.feeds)}{', published only' if no_mail else ''}")
    else:
        done = operate.release(opened, item, clock_of(opened.settings, now)(), mailed=not no_mail)
        say(f"released item {item} in {', '.join(done.feeds) or 'no feed: none reads its source now'}")
    if done.waiting:
        say(f"{count(done.waiting, 'item')} without a title: shown once the article was read")
    if done.joined:
        say(f"{count(done.joined, 'item')} told by another source since: part of what that one shows")


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


@app.command()
def unmerge(
    item: ItemArgument,
    merge: Annotated[int, typer.Option("--merge", metavar="N", help="Undo this one; needed where there are several.")] = 0,
    only_list: Annotated[bool, typer.Option("--list", help="Only list what was merged into the item.")] = False,
    no_mail: Annotated[bool, typer.Option("--no-mail", help="Publish the parted item only.")] = False,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an entry that was taken for this item an item of its own; lists them where there are several.

    Example: `gazet items unmerge 17 --merge 3`
    """
    from pipeline.jobs import operate

    opened = open_site(site)
    found = operate.merges_of(opened, item)
    undoable = [one for one in found if one.undone_at is None]
    if only_list or (not merge and len(undoable) != 1):
        _show_merges(item, found, opened.settings.site.timezone, as_json=as_json)
        return
    done = operate.unmerge(opened, item, merge or undoable[0].id, clock_of(opened.settings, now)(), mailed=not no_mail)
    if as_json:
        print_json(done)
        return
    where = f"released in {', '.join(done.feeds)}" if done.feeds else "held, or no feed reads its source now"
    rest = [slug for slug in done.feeds if slug not in done.mailed]
    unmailed = f'; not mailed in {", ".join(rest)} ("gazet items omit --undo {done.other}" mails it)' if rest else ""
    say(f"item {done.other} is parted from item {item}: {where}{unmailed}")


def _show_merges(item: int, found: list[MergeRecord], zone: str, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for one in found:
        undone = f"  (undone: item {one.other})" if one.undone_at else ""
        say(f"{one.id:>6}  {local(one.at, zone)}  {one.reason}: {one.title}  {one.url or one.keys[0]}  from {one.source}{undone}")
    if not found:
        say(f"nothing was merged into item {item}")
    elif any(one.undone_at is None for one in found):
        say(f'"gazet items unmerge {item} --merge N" makes one of them an item of its own')


@app.command()
def versions(item: ItemArgument, site: SiteOption = None, as_json: JsonOption = False) -> None:
    """Show how an item read before it was changed, and what changed.

    Example: `gazet items versions 17`
    """
    from pipeline.jobs import operate

    opened = open_site(site)
    found = operate.versions_of(opened, item)
    changes = [(one, _changes(one, after)) for one, after in pairwise(found)]
    if as_json:
        print_json([{"version": one, "changed": list(changed)} for one, changed in changes])
        return
    for one, changed in changes:
        say(f"{one.number:>6}  until {local(one.until, opened.settings.site.timezone)}  {'; '.join(changed)}")
    if not changes:
        say(f"item {item} was never changed")


def _changes(one: PastVersion, after: PastVersion) -> tuple[str, ...]:
    """What is different in the later reading, for a person."""
    changed = [
        f'{name}: "{getattr(one, field)}" → "{getattr(after, field)}"'
        for name, field in (("title", "title"), ("address", "url"), ("summary", "summary"))
        if getattr(one, field) != getattr(after, field)
    ]
    if one.content_html != after.content_html:
        changed.append(f"text: {len(one.content_html):,} → {len(after.content_html):,} characters")
    return tuple(changed) or ("date, authors, topics, picture or files",)
