"""How a source is best read, found out once: it is a feed, it links to one, WordPress, schema.org, sitemap, or its own listing.

    document ──survey──▶ items of its own? ─┐
                 └─────▶ offers ──fetch, read──▶ do they tell the page's news? ──▶ Way
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipeline.collect import offers
from pipeline.collect.document import Order, Survey, read_document, survey
from pipeline.errors import FetchError, ReadError
from pipeline.http import Fetched
from pipeline.jobs.site import Site
from pipeline.models import Offer, Reading, SourceKind, Way

_MAX_OFFERS = 8
_OF_ITSELF = "it is what the address leads to"


@dataclass(frozen=True, slots=True)
class Found:
    """A way with the document that was read in it; ``tried`` says what else was looked at, and why it was not taken."""

    way: Way
    fetched: Fetched
    reading: Reading
    tried: tuple[str, ...] = ()


def find_way(site: Site, order: Order, fetched: Fetched) -> Found:
    """The best way to read what ``fetched`` is the first document of. Raises ReadError, the page's own, where there is none."""
    seen: Survey = site.reading.call(survey, fetched.body, fetched.final_url, dict(fetched.headers), order)
    own = seen.reading
    if own is not None and (own.parsed.kind is not SourceKind.PAGE or order.source.page.item):
        reason = "its selectors are in the settings" if order.source.page.item else _OF_ITSELF
        return Found(Way(own.parsed.kind, order.source.url, reason), fetched, own)
    tried: list[str] = []
    for offer in _in_order(site, seen, fetched.final_url):
        if own is not None and own.parsed.structured and offer.kind is SourceKind.SITEMAP:
            break
        if (found := _try(site, order, seen, offer, tried)) is not None:
            return replace(found, tried=tuple(tried))
    if own is None:
        raise seen.problem or ReadError(order.source.url, "holds no news")
    reason = "it describes its news itself" if own.parsed.structured else "no feed or sitemap tells its news"
    return Found(Way(SourceKind.PAGE, order.source.url, reason), fetched, own, tuple(tried))


def _in_order(site: Site, seen: Survey, url: str) -> Iterable[Offer]:
    """What the page links to, then the usual places, then sitemaps; each address once."""
    listed = [offer for offer in seen.offers if offer.kind is SourceKind.FEED]
    listed += offers.well_known(url)
    listed += [offer for offer in seen.offers if offer.kind is not SourceKind.FEED]
    listed += [Offer(SourceKind.SITEMAP, address, "robots.txt names it") for address in site.robots.sitemaps(url)]
    return {offer.url: offer for offer in reversed(listed)} and list({offer.url: offer for offer in listed}.values())[:_MAX_OFFERS]


def _try(site: Site, order: Order, seen: Survey, offer: Offer, tried: list[str]) -> Found | None:
    """The offer as a way, if it can be read and tells the news that the page shows."""
    try:
        fetched = site.fetcher.fetch(offer.url)
        reading = site.reading.call(
            read_document, fetched.body, fetched.final_url, dict(fetched.headers), replace(order, kind=offer.kind)
        )
    except (FetchError, ReadError) as error:
        tried.append(f"{offer.url} ({offer.reason}): {error.reason}")
        return None
    if not (reading.candidates and all(one.title for one in reading.candidates)):
        tried.append(f"{offer.url} ({offer.reason}): it has no items with titles")
        return None
    if seen.reading is not None and not offers.tells(reading.candidates, seen.links):
        tried.append(f"{offer.url} ({offer.reason}): it tells other news than the page")
        return None
    return Found(Way(offer.kind, offer.url, offer.reason), fetched, reading)
