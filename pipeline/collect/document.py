"""One document from bytes to candidates, as one call that can be made in a process of its own (see ``apart``).

    bytes ──read──▶ ParsedSource ──normalise──▶ CandidateItems ──conditions, topics──▶ Reading
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.collect import filters, offers
from pipeline.collect.normalise import normalise
from pipeline.collect.read import read
from pipeline.config import SourceSettings
from pipeline.errors import ReadError
from pipeline.models import Offer, Reading, SourceKind


@dataclass(frozen=True, slots=True)
class Order:
    """How a document is to be read: as what, by which settings, with the language and zone (IANA name) of its source."""

    kind: SourceKind
    source: SourceSettings
    language: str
    zone: str
    max_items: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Survey:
    """A document looked at for the first time: what it holds itself, or why nothing, and where else its news may be read."""

    reading: Reading | None
    problem: ReadError | None
    offers: tuple[Offer, ...]
    links: frozenset[str]


def read_document(body: bytes, url: str, headers: Mapping[str, str], order: Order) -> Reading:
    """What a document yields. ``url`` is its final address, header names are in lower case. Raises ReadError."""
    parsed = read(
        body,
        url=url,
        content_type=headers.get("content-type", ""),
        kind=order.kind,
        page=order.source.page,
        language=order.language,
        zone=order.zone,
        now=order.now,
        max_items=order.max_items,
    )
    candidates, remarks = normalise(parsed, base_url=url, language=order.language, now=order.now)
    kept, left_out = filters.apply(candidates, order.source, order.now)
    # What only discovery needs does not travel: a page may hold thousands of links.
    return Reading(replace(parsed, links=frozenset(), offers=()), kept, (*parsed.skipped, *remarks, *left_out))


def survey(body: bytes, url: str, headers: Mapping[str, str], order: Order) -> Survey:
    """The same for a document of which nothing is known; never raises ReadError."""
    reading, problem = None, None
    try:
        reading = read_document(body, url, headers, order)
    except ReadError as error:
        problem = error
    page = offers.look(body, url=url, headers=headers)
    return Survey(reading, problem, page.offers, page.links)
