"""Where the items of a source went, for ``gazet check``: what the store remembers of it, and the settings that find them again."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from pipeline.config import FeedSettings, PageSettings, Settings, SourceSettings, quoted, value_text
from pipeline.errors import StoreError
from pipeline.http import Fetched
from pipeline.jobs import relocate
from pipeline.jobs.find_way import Found
from pipeline.jobs.lines import count
from pipeline.jobs.reach import order_for
from pipeline.jobs.relocate import Sought
from pipeline.jobs.site import Outside
from pipeline.models import CandidateItem, Proposal, SourceKind, SourceState
from pipeline.store import items, open_store, sources

_NEWEST = 20
_ENOUGH = 5
"""Of a source of which fewer items are remembered, that a page shows none of them says little."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the store knows of a source: its state, and title and address of its newest items."""

    state: SourceState
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """Where remembered items are shown now (``url`` of the source itself: on its page, in other blocks), and as what.

    ``settings``: lines of TOML that read them, which give ``items``, ``known`` of which are remembered; none where no list
    holds them. ``unaided``: without [source.page] the same items are found. ``looked``: where they were looked for.
    """

    remembered: int
    found: int
    url: str
    elsewhere: bool
    kind: SourceKind
    settings: tuple[str, ...]
    items: tuple[CandidateItem, ...]
    known: int
    unaided: bool
    had_selectors: bool
    looked: tuple[str, ...]


def remembered(settings: Settings, urls: Collection[str]) -> dict[str, Remembered]:
    """What the store knows of these sources, by address; a store that is not there is not made for this."""
    scheme, _, path = settings.store.url.partition(":///")
    if scheme.startswith("sqlite") and not settings.path(path).is_file():
        return {}
    with contextlib.suppress(StoreError), contextlib.closing(open_store(settings)) as store, store.read() as tx:
        known = [one for one in sources.sources(tx) if one.url in urls]
        return {one.url: Remembered(one.state, tuple(items.newest_of(tx, one.id, _NEWEST))) for one in known}
    return {}


def of_unread(
    outside: Outside, feed: FeedSettings, source: SourceSettings, page: Fetched | None, known: Remembered, now: datetime
) -> Moved | None:
    """Where the items are of a source that cannot be read; ``page`` None: it is not there any more."""
    if not known.items:
        return None
    order = order_for(outside.settings, feed, source, now)
    return _moved(source, relocate.relocate(outside, source, order, page, known.items))


def of_read(
    outside: Outside,
    feed: FeedSettings,
    source: SourceSettings,
    page: Fetched,
    found: Found,
    known: Remembered,
    now: datetime,
) -> Moved | None:
    """The same for a source that reads oddly: in attention, or a page that shows none of its items. None: they are there."""
    candidates = found.reading.candidates
    shown = relocate.shown_in(candidates, known.items)
    strange = found.way.kind is SourceKind.PAGE and not shown and len(known.items) >= _ENOUGH
    if not known.items or not (strange or known.state is SourceState.ATTENTION):
        return None
    order = order_for(outside.settings, feed, source, now)
    sought = relocate.relocate(outside, source, order, page, known.items)
    if shown and not relocate.better(sought, candidates, known.items):
        return None
    return _moved(source, sought)


def _moved(source: SourceSettings, sought: Sought) -> Moved:
    if sought.proposal is not None and not _valid(sought.proposal):  # it comes from the process that read a stranger's page
        sought = replace(sought, proposal=None)
    proposal = sought.proposal
    return Moved(
        remembered=sought.remembered,
        found=sought.found,
        url=sought.url,
        elsewhere=sought.url != source.url,
        kind=sought.kind,
        settings=tuple(_settings(source, sought)) if sought.readable else (),
        items=proposal.reading.candidates if proposal is not None else (),
        known=proposal.known if proposal is not None else sought.found,
        unaided=proposal.unaided if proposal is not None else False,
        had_selectors=bool(source.page.model_dump(exclude_defaults=True)),
        looked=sought.looked,
    )


def _selectors(proposal: Proposal) -> dict[str, str]:
    named = {part: getattr(proposal, part) for part in ("item", "title", "link", "date", "teaser")}
    return {part: selector for part, selector in named.items() if selector}


def _valid(proposal: Proposal) -> bool:
    try:
        return bool(PageSettings.model_validate(_selectors(proposal)))
    except ValidationError:
        return False


def _settings(source: SourceSettings, sought: Sought) -> list[str]:
    """What differs from the source's settings; nothing where its items are found without selectors."""
    changes = [f"url = {quoted(sought.url)}"] if sought.url != source.url else []
    if source.kind not in (SourceKind.AUTO, sought.kind):
        changes.append(f"kind = {quoted(sought.kind)}")
    selectors = _selectors(sought.proposal) if sought.proposal is not None else {}
    page = ["[source.page]", *(f"{part} = {value_text(selector)}" for part, selector in selectors.items())]
    return [*changes, *(page if selectors else ())]


def lines(moved: Moved, slug: str) -> list[str]:
    """What a person is told, and above the items that the settings give."""
    if not moved.found:
        return [f"none of the {count(moved.remembered, 'newest item')} that Gazet remembers was found:", *_looked(moved)]
    share = f"{moved.found} of the {count(moved.remembered, 'newest item')} that Gazet remembers"
    readable = bool(moved.items or moved.settings)
    where = f"{moved.url} ({moved.kind})" if moved.elsewhere else "the page"
    told = [f"{where} shows {share}{'' if readable else ', but in no list that could be told from the rest'}"]
    if not readable or moved.elsewhere:
        told += _looked(moved)
    told += _advice(moved, slug)
    if moved.items:
        told.append(f"this gives {count(len(moved.items), 'item')}, {moved.known} of them remembered:")
    return told


def _looked(moved: Moved) -> list[str]:
    return [f"  looked at {one}" for one in moved.looked]


def _advice(moved: Moved, slug: str) -> list[str]:
    page = "[source.page]" in moved.settings
    told = []
    if moved.had_selectors and not page and moved.items:
        told.append(f"take its [source.page] out of feeds/{slug}.toml: its items are found without")
    if moved.settings:
        place = ", in place of its [source.page]" if page and moved.had_selectors else ""
        told += [f"write in feeds/{slug}.toml for this source{place}:", *(f"    {line}" for line in moved.settings)]
    if page and moved.unaided:
        told.append("(without [source.page] the same items are found: leave it out if you can do without)")
    return told
