"""Look for the items that are remembered of a source: on its page, else in the feeds and on the news pages that it names.

page ──look_for──▶ Whereabouts ─┬─ enough of them ──▶ Sought
                                └─ too few: feeds, links called news (of a page that is gone: the site's front page) ──▶ the same
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from urllib.parse import urljoin

from pipeline.collect.relocate import Memory, look_for, worth
from pipeline.config import SourceSettings
from pipeline.errors import FetchError, ReadError
from pipeline.http import Accept, Fetched
from pipeline.jobs.apart_names import READ_DOCUMENT
from pipeline.jobs.site import Outside
from pipeline.models import CandidateItem, Offer, Order, Proposal, Reading, SourceKind, Whereabouts

_ELSEWHERE = 3
"""So many other addresses are asked at most."""
_ACCEPT = {SourceKind.FEED: Accept.FEED, SourceKind.PAGE: Accept.PAGE, SourceKind.WORDPRESS: Accept.JSON}


@dataclass(frozen=True, slots=True)
class Sought:
    """What became of the search: ``found`` of ``remembered`` items are at ``url``, to be read as ``kind``; 0: nowhere.

    ``proposal``: how a page gives them, None for a feed and where no list holds them. ``looked``: where they were looked for,
    and what came of it.
    """

    remembered: int
    found: int = 0
    url: str = ""
    kind: SourceKind = SourceKind.PAGE
    proposal: Proposal | None = None
    looked: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether there is something to put into the settings."""
        return self.proposal is not None or (self.found > 0 and self.kind is not SourceKind.PAGE)


def relocate(
    outside: Outside, wanted: SourceSettings, order: Order, page: Fetched | None, remembered: Sequence[tuple[str, str]]
) -> Sought:
    """Where the remembered items (title, address) are shown now. ``page``: what the source answers, None where it is gone.

    Asks for at most three other addresses, as politely as always. Never raises for what they answer.
    """
    search = _Search(outside, wanted, order, remembered)
    best = Sought(len(remembered))
    if page is None:
        search.waiting.append(Offer(SourceKind.PAGE, urljoin(wanted.url, "/"), "the site's front page"))
    else:
        best = search.on_page(wanted.url, page)
    for _asked in range(_ELSEWHERE):
        if not search.waiting or (best.readable and best.found * 2 >= best.remembered):
            break
        best = max(best, search.at(search.waiting.popleft()), key=lambda one: (one.readable, one.found))  # of equals the first
    return replace(best, looked=tuple(search.looked))


def better(sought: Sought, candidates: Sequence[CandidateItem], remembered: Sequence[tuple[str, str]]) -> bool:
    """Whether the source shows more of the remembered items there, or more of them, than among these candidates."""
    memory = Memory(remembered)
    if sought.proposal is None:
        return sought.readable and sought.found > len(memory.known(candidates))
    return worth(sought.proposal.reading.candidates, memory) > worth(candidates, memory)


def shown_in(candidates: Sequence[CandidateItem], remembered: Sequence[tuple[str, str]]) -> int:
    """How many of the remembered items are among these."""
    return len(Memory(remembered).known(candidates))


class _Search:
    """One search: where is still to be looked, and what came of each look."""

    def __init__(self, outside: Outside, wanted: SourceSettings, order: Order, remembered: Sequence[tuple[str, str]]) -> None:
        self._outside, self._wanted, self._order, self._remembered = outside, wanted, order, list(remembered)
        self.waiting: deque[Offer] = deque()
        self.looked: list[str] = []

    def on_page(self, url: str, page: Fetched) -> Sought:
        """What a page shows; the feeds and pages that it names are to be looked at, too."""
        arguments = (page.body, page.final_url, dict(page.headers), self._order, self._remembered)
        try:
            seen: Whereabouts = self._outside.reading.call(look_for, *arguments, about=url)
        except ReadError as error:
            return self._in_vain(url, error.reason)
        leads = (Offer(SourceKind.PAGE, address, "the page links to it as news") for address in seen.leads)
        self.waiting.extend(offer for offer in chain(*zip_longest(seen.offers, leads)) if offer is not None)
        listed = ", in no list that could be told from the rest" if seen.found and seen.proposal is None else ""
        self.looked.append(f"{url}: {self._of(seen.found)}{listed}")
        return Sought(len(self._remembered), seen.found, url, SourceKind.PAGE, seen.proposal)

    def at(self, offer: Offer) -> Sought:
        """What is at another address. robots.txt is for pages and their programs, not for feeds."""
        permit = self._outside.robots.check if self._wanted.robots and offer.kind is not SourceKind.FEED else None
        try:
            accept = _ACCEPT.get(offer.kind, Accept.ANY)
            fetched = self._outside.fetcher.fetch(offer.url, accept=accept, permit=permit, source=self._wanted.url)
            if offer.kind is SourceKind.PAGE:
                return self.on_page(offer.url, fetched)
            arguments = (fetched.body, fetched.final_url, dict(fetched.headers), replace(self._order, kind=offer.kind))
            reading: Reading = self._outside.reading.call(READ_DOCUMENT, *arguments, about=offer.url)
        except (FetchError, ReadError) as error:
            return self._in_vain(offer.url, error.reason)
        found = shown_in(reading.candidates, self._remembered)
        self.looked.append(f"{offer.url}: {self._of(found)}")
        return Sought(len(self._remembered), found, offer.url, offer.kind)

    def _in_vain(self, url: str, reason: str) -> Sought:
        self.looked.append(f"{url}: {reason}")
        return Sought(len(self._remembered))

    def _of(self, found: int) -> str:
        return f"{found or 'none'} of the {len(self._remembered)}"
