"""How a source is best read, found out once: it is a feed, it links to one, WordPress, schema.org, sitemap, or its own listing.

document ──survey──▶ items of its own? ─┐
└─────▶ offers ──fetch, weigh──▶ do they tell the page's news? ──▶ Way
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from pipeline.collect.offers import SPEAKS, sitemaps_of, well_known
from pipeline.config import SourceSettings
from pipeline.errors import FetchError, ReadError
from pipeline.http import Accept, Fetched
from pipeline.jobs.apart_names import READ_DOCUMENT, SURVEY, WEIGH
from pipeline.jobs.site import Outside
from pipeline.models import Offer, Order, Reading, SourceKind, Survey, Way

_MAX_OFFERS = 8
_MAX_SITEMAPS = 2
_NAME_ONE = "Give the address of one of its sitemaps."
_OF_ITSELF = "it is what the address leads to"
BY_INDEX = "the sitemap index names it first"
"""The reason of a way that is looked for again daily: the index may name a newer one by then."""
BY_ROBOTS = "robots.txt names it"
"""The reason of a way that tells of the whole site, of which only what lies below the source's own address is wanted."""

_IN_PLACE = "; in place of "
AGAIN = timedelta(days=7)
"""So often a source that is read in another way because its own failed looks whether that is back."""
_RANKS = (SourceKind.FEED, SourceKind.WORDPRESS, SourceKind.SITEMAP, SourceKind.PAGE)
"""Ways, the best first: what a feed says of its news no listing says."""


@dataclass(frozen=True, slots=True)
class Found:
    """A way with the document that was read in it; ``tried`` says what else was looked at, and why it was not taken."""

    way: Way
    fetched: Fetched
    reading: Reading
    tried: tuple[str, ...] = ()


def find_way(outside: Outside, wanted: SourceSettings, order: Order, fetched: Fetched) -> Found:
    """The best way to read what ``fetched`` is the first document of. Raises ReadError, the page's own, where there is none.

    In this order: a feed; one that the page names, or that is where feeds usually are; WordPress's interface; what the page
    says of itself (schema.org); a sitemap with news in it; the listing in the page.
    """
    arguments = (fetched.body, fetched.final_url, dict(fetched.headers))
    seen: Survey = outside.reading.call(SURVEY, *arguments, order, about=wanted.url)
    own = seen.reading
    if own is not None and own.parsed.children:
        return follow_index(outside, wanted, order, own)
    if own is not None and (own.parsed.kind is not SourceKind.PAGE or wanted.page.item):
        reason = "its selectors are in the settings" if wanted.page.item else _OF_ITSELF
        return Found(Way(own.parsed.kind, wanted.url, reason), fetched, own)
    if wanted.robots and (own is not None or seen.offers or seen.links):
        outside.robots.check(fetched.final_url)
    tried: list[str] = []
    for offer in _candidates(outside, wanted, seen, fetched.final_url):
        if (found := _try(outside, wanted, order, seen, offer, tried)) is not None:
            return replace(found, tried=tuple(tried))
    if own is None:
        raise ReadError(wanted.url, seen.problem, fix=seen.fix)
    reason = "it describes its news itself" if own.parsed.structured else "no feed or sitemap tells its news"
    return Found(Way(SourceKind.PAGE, wanted.url, reason), fetched, own, tuple(tried))


def is_stopgap(way: Way | None) -> bool:
    """Whether it was taken because a better way failed, which may be back."""
    return way is not None and _IN_PLACE in way.reason


def after_failure(way: Way, former: Way) -> Way:
    """A way that was found because the former one failed, or while one like it was in force: it says so if it is no better."""
    if is_stopgap(former) and way.kind is former.kind:
        return replace(way, reason=former.reason)
    if way.kind not in _RANKS or former.kind not in _RANKS or _RANKS.index(way.kind) <= _RANKS.index(former.kind):
        return way
    return replace(way, reason=f"{way.reason}{_IN_PLACE}{former.url}, which failed: it is looked for again each week")


def follow_index(outside: Outside, wanted: SourceSettings, order: Order, index: Reading) -> Found:
    """The first sitemap of an index that holds something, the newest first. Raises ReadError where none does."""
    order = replace(order, kind=SourceKind.SITEMAP)
    permit = outside.robots.check if wanted.robots else None
    tried: list[str] = []
    for address in index.parsed.children[:_MAX_SITEMAPS]:
        try:
            fetched = outside.fetcher.fetch(address, accept=Accept.ANY, permit=permit, source=wanted.url)
            arguments = (fetched.body, fetched.final_url, dict(fetched.headers), order)
            reading: Reading = outside.reading.call(READ_DOCUMENT, *arguments, about=address)
        except (FetchError, ReadError) as error:
            tried.append(f"{address}: {error.reason}")
            continue
        if reading.candidates:
            return Found(Way(SourceKind.SITEMAP, address, BY_INDEX), fetched, reading, tuple(tried))
        tried.append(f"{address}: it is empty")
    raise ReadError(wanted.url, f"is a sitemap index, and nothing is in its sitemaps ({'; '.join(tried)[:300]})", fix=_NAME_ONE)


def _candidates(outside: Outside, wanted: SourceSettings, seen: Survey, url: str) -> Iterator[Offer]:
    """What may tell the page's news, the best first, each address once; sitemaps only where the page does not say more itself."""
    told = [offer for offer in seen.offers if offer.kind is SourceKind.FEED]
    told += [Offer(SourceKind.FEED, address, "feeds are often there") for address in well_known(url)]
    told += [offer for offer in seen.offers if offer.kind is not SourceKind.FEED]
    yield from list({offer.url: offer for offer in reversed(told)}.values())[::-1][:_MAX_OFFERS]
    if seen.reading is None or not seen.reading.parsed.structured:
        yield from _sitemaps(outside, wanted, url)


def _sitemaps(outside: Outside, wanted: SourceSettings, url: str) -> Iterator[Offer]:
    """Those with news in their name that the site's robots.txt names."""
    named = sitemaps_of(outside.robots.sitemap_lines(url)) if wanted.robots else ()
    listed = [address for address in named if "news" in address.lower() or "nieuws" in address.lower()]
    yield from (Offer(SourceKind.SITEMAP, address, BY_ROBOTS) for address in listed[:_MAX_SITEMAPS])


def _try(outside: Outside, wanted: SourceSettings, order: Order, seen: Survey, offer: Offer, tried: list[str]) -> Found | None:
    """The offer as a way, if it can be read and tells the news that the page shows."""
    own = seen.reading
    listed = [one.url for one in own.candidates] if own is not None else []
    scope = wanted.url if offer.kind is SourceKind.SITEMAP else ""
    permit = outside.robots.check if wanted.robots and offer.kind is not SourceKind.FEED else None
    accept = Accept.FEED if offer.kind is SourceKind.FEED else Accept.ANY
    try:
        fetched = outside.fetcher.fetch(offer.url, accept=accept, permit=permit, source=wanted.url)
        arguments = (fetched.body, fetched.final_url, dict(fetched.headers), replace(order, kind=offer.kind, scope=scope))
        reading, share = outside.reading.call(WEIGH, *arguments, seen.links, listed, about=offer.url)
    except (FetchError, ReadError) as error:
        tried.append(f"{offer.url} ({offer.reason}): {error.reason}")
        return None
    if not reading.candidates or any(one.title in ("", one.url) for one in reading.candidates):
        tried.append(f"{offer.url} ({offer.reason}): it has no items with titles")
    elif share < SPEAKS and (listed or seen.links):
        tried.append(f"{offer.url} ({offer.reason}): {share:.0%} of it is what the page shows")
    else:
        return Found(Way(offer.kind, offer.url, offer.reason), fetched, reading)
    return None
