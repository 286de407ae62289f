"""``gazet add URL``: what a page or feed yields, and the file that makes a feed of it."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, folder_of, print_json, say
from pipeline.errors import GazetError, StoreError, UsageError

if TYPE_CHECKING:
    from datetime import date, datetime

    from pipeline.cli.trial import Finding
    from pipeline.config import PageSettings, Settings, SourceSettings

_LONGEST_SUGGESTION = 30
_LONGEST_TITLE = 300


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(add)


def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="A feed, or any page with news.")],
    slug: Annotated[str, typer.Option(metavar="NAME", help="The feed's name: a-z, 0-9 and -.")] = "",
    title: Annotated[str, typer.Option(help="Its title; default: the source's.")] = "",
    item: Annotated[str, typer.Option(metavar="SELECTOR", help="CSS selector of one item, for a page that needs it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what is suggested.")] = False,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a page or feed yields, ask what to call it, and write feeds/NAME.toml. Nothing is collected or sent yet.

    Example: `gazet add https://www.example.org/nieuws/ --slug nieuws`
    """
    from pipeline import config
    from pipeline.cli import asking, trial
    from pipeline.jobs.lines import count

    settings = config.load(folder_of(site))
    ask = asking.may_ask(yes or as_json)
    if not (ask or yes or slug):
        raise UsageError("Nobody is here to ask for the feed's name.", fix="Say --slug NAME, or --yes to take what is suggested.")
    if slug:
        free_slug(settings, slug)
    moment = clock_of(settings, now)()
    source, found = _read(settings, url, item, moment)
    if not as_json:
        trial.show_finding(found, settings.site.timezone, closely=True)
        _notes(settings, found)
    title, slug = _names(settings, found, title, slug, ask=ask)
    path = settings.path(f"feeds/{free_slug(settings, slug)}.toml")
    write_feed(path, feed_text(title, source, f"{count(len(found.items), 'item')} by: {found.rule}", moment.date()))
    if as_json:
        print_json({"slug": slug, "title": title, "file": path, "found": found})
    else:
        _say_what_next(path, slug, settings)


def _read(settings: Settings, url: str, item: str, now: datetime) -> tuple[SourceSettings, Finding]:
    """What the address yields, read as a feed that names it already would. Raises GazetError when that is nothing."""
    from pipeline import app
    from pipeline.cli import trial

    if "://" not in url:
        raise UsageError(f'"{url}" is not an http or https URL.', fix=f"Did you mean https://{url} ?")
    [(feed, source)] = trial.sources(settings, url)
    if item:
        source = source.model_copy(update={"page": _page(item)})
    found = trial.finding(app.outside_of(settings), feed, source, now)
    if found.problem or not found.items:
        raise GazetError(f"{url}: {found.problem or f'no items: {found.rule}.'}", fix=f"{_hint(found)}Nothing was written.")
    return source, found


def _hint(found: Finding) -> str:
    """There is no file yet in which to follow the advice of a page without a list."""
    return "Here: --item SELECTOR. " if "[source.page]" in found.problem else ""


def _page(item: str) -> PageSettings:
    from pydantic import ValidationError

    from pipeline.config import PageSettings

    try:
        return PageSettings(item=item)
    except ValidationError:
        raise UsageError(f'--item: "{item}" is not a CSS selector.', fix='Write it as "article" or "ul.news > li".') from None


def _names(settings: Settings, found: Finding, title: str, slug: str, *, ask: bool) -> tuple[str, str]:
    """The title and the slug: as said, else as answered, else as suggested."""
    from pipeline.cli import asking

    if ask and not title:
        title = asking.ask("Title", suggested_title(found), _checked_title)
    title = clean_title(title) or suggested_title(found)
    suggestion = suggested_slug(settings, title, found.url)
    if ask and not slug:
        slug = asking.ask("Name, as in feeds/NAME.toml", suggestion, functools.partial(free_slug, settings))
    return title, slug or suggestion


def _checked_title(text: str) -> str:
    if not clean_title(text):
        raise ValueError("a feed needs a title")
    return text


def clean_title(text: str) -> str:
    """One line without what a settings file cannot hold, at most as long as a title may be."""
    from pipeline.shown import one_line

    return one_line(text)[:_LONGEST_TITLE].strip()


def suggested_title(found: Finding) -> str:
    """What the source calls itself, else its host."""
    return clean_title(found.title) or urlsplit(found.url).hostname or found.url


def suggested_slug(settings: Settings, title: str, url: str) -> str:
    """A name that is free, from the title or from the host."""
    name = slug_for(title, url)
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next(one for one in names if _is_free(settings, one))


def slug_for(title: str, url: str) -> str:
    """A short name from the title, or from the host where the title has no letter that a name may have."""
    from pipeline.config import slugify

    host = ""
    with contextlib.suppress(ValueError):  # an address from a list of feeds may be anything
        host = (urlsplit(url).hostname or "").removeprefix("www.").partition(".")[0]
    name = slugify(title) if any(char.isascii() and char.isalnum() for char in title) else slugify(host)
    if len(name) > _LONGEST_SUGGESTION:
        name = name[: _LONGEST_SUGGESTION + 1].rpartition("-")[0] or name[:_LONGEST_SUGGESTION]
    return name


def taken_names(settings: Settings) -> set[str]:
    """All names that no new feed can have."""
    files = {path.stem.lower() for path in settings.path("feeds").glob("*.toml")}
    aliases = {alias for feed in settings.feeds.values() for alias in feed.aliases}
    return {*settings.feeds, *aliases, *files, *_without_file(settings)}


def _is_free(settings: Settings, slug: str) -> bool:
    try:
        return bool(free_slug(settings, slug))
    except ValueError:
        return False


class _TakenError(UsageError, ValueError):
    """A name that cannot be given: asked again on a terminal, the end of the command elsewhere."""


def free_slug(settings: Settings, slug: str) -> str:
    """The name, if a feed may be called that. Raises ``_TakenError``."""
    from pipeline.config import valid_slug

    try:
        valid_slug(slug)
    except ValueError as error:
        raise _TakenError(f"{error}.") from None
    current = settings.current_slug(slug)
    if current in settings.feeds:
        how = "" if current == slug else f", a former name of {current}"
        raise _TakenError(f'"{slug}" is taken{how}.', fix="Choose another name.")
    if settings.path(f"feeds/{slug}.toml").exists() or slug in _without_file(settings):
        raise _TakenError(
            f'"{slug}" was a feed of this site.', fix=f"Put feeds/{slug}.toml back to go on with it, or choose another."
        )
    return slug


def _without_file(settings: Settings) -> list[str]:
    """Feeds that the store remembers: people may be subscribed to them. A store that is not there is not made for this."""
    from pipeline.store import feeds, open_store

    scheme, _, path = settings.store.url.partition(":///")
    if scheme.startswith("sqlite") and not settings.path(path).is_file():
        return []
    with contextlib.suppress(StoreError):
        store = open_store(settings)
        with contextlib.closing(store), store.read() as tx:
            return feeds.orphans(tx, settings.feeds)
    return []


def _notes(settings: Settings, found: Finding) -> None:
    if found.feed in settings.feeds:
        say(f"  note: the feed {found.feed} reads this address, too; it is polled once for both")
    spoken, ours = (language.partition("-")[0].lower() for language in (found.language, settings.site.language))
    if spoken and spoken != ours:
        say(f'  note: the source says that it is in "{spoken}", the site is in "{ours}"; add language = "{spoken}" if that is so')


def feed_text(title: str, source: SourceSettings, found: str, today: date) -> str:
    """The file of a feed of one source as a person would write it; ``found`` is a remark about it."""
    return feed_file(title, [(source, found)], "gazet add", today)


def feed_file(title: str, sources: Sequence[tuple[SourceSettings, str]], by: str, today: date) -> str:
    """The file as a person would write it: what differs from the defaults, a remark for each source, and where the rest is said."""
    from pipeline.config import quoted, source_lines
    from pipeline.shown import one_line

    lines = [
        f'# Written by "{by}" on {today}. Every key: docs/operations.md of Gazet; what all feeds share: ../gazet.toml.',
        f"title = {quoted(title)}",
    ]
    for source, remark in sources:
        lines += ["", *source_lines(source, one_line(remark))]
    return "\n".join([*lines, "", "# [digest]", '# from = "News <news@example.org>"', '# cadence = "daily"', ""])


def write_feed(path: Path, text: str) -> None:
    """Put the file there at once and whole, over nothing; if the settings are wrong with it, it is taken back.

    Raises UsageError or ConfigError.
    """
    write_feeds({path: text})


def write_feeds(texts: Mapping[Path, str]) -> None:
    """Like ``write_feed`` for several files of one site: all of them are there afterwards, or none."""
    from pipeline import config

    written: list[Path] = []
    try:
        for path, text in texts.items():
            _put(path, text)
            written.append(path)
        for folder in {path.parent.parent for path in texts}:
            config.load(folder)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _put(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            raise UsageError(f"{path} is there by now.", fix="Choose another name.")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}.", fix=f"Say it as who owns {path.parent} (sudo, perhaps).") from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _say_what_next(path: Path, slug: str, settings: Settings) -> None:
    where = f" --site {shlex.quote(str(settings.folder))}" if settings.folder != Path.cwd() else ""
    say(f"wrote {path}")
    say("A running Gazet takes it within half a minute. By hand:")
    say(f"  gazet collect {slug}{where}   stores its items")
    say(f"  gazet preview {slug}{where}   shows the mail that a new subscriber would get")
    say(f"  gazet subscribers add you@example.org {slug}{where}")
