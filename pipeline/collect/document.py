"""One document from bytes to candidates, as one call that can be made in a process of its own (see ``apart``).

bytes ──read──▶ ParsedSource ──normalise──▶ CandidateItems ──▶ Reading
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.collect.markup import TooComplexError, decode, parse
from pipeline.collect.normalise import normalise
from pipeline.collect.offers import offers, page_links, speaks_of
from pipeline.collect.read import read
from pipeline.errors import ReadError
from pipeline.models import Offer, Order, Reading, Survey


def read_document(body: bytes, url: str, headers: Mapping[str, str], order: Order) -> Reading:
    """What a document yields. ``url`` is its final address, header names are in lower case. Raises ReadError."""
    reading = _read(body, url, headers, order)
    # The entries as parsed, and what only a survey needs, do not travel: a page may hold thousands of links.
    return replace(reading, parsed=replace(reading.parsed, items=(), links=frozenset(), offers=()))


def _read(body: bytes, url: str, headers: Mapping[str, str], order: Order) -> Reading:
    parsed = read(
        body,
        url=url,
        content_type=headers.get("content-type", ""),
        headers=headers,
        kind=order.kind,
        page=order.page,
        language=order.language,
        zone=order.zone,
        now=order.now,
        max_items=order.max_items,
        scope=order.scope,
    )
    candidates, remarks = normalise(parsed, base_url=url, language=order.language, now=order.now)
    return Reading(parsed, candidates, (*parsed.skipped, *remarks))


def survey(body: bytes, url: str, headers: Mapping[str, str], order: Order) -> Survey:
    """The same for a document of which nothing is known; why it cannot be read is part of the answer."""
    try:
        found = _read(body, url, headers, order)
    except ReadError as error:
        return Survey(None, error.reason, error.fix, *_elsewhere(body, url, headers))
    parsed = found.parsed
    reading = replace(found, parsed=replace(parsed, items=(), links=frozenset(), offers=()))
    return Survey(reading, "", "", parsed.offers, parsed.links)


def _elsewhere(body: bytes, url: str, headers: Mapping[str, str]) -> tuple[tuple[Offer, ...], frozenset[str]]:
    """What a page without a listing of its own names and links to."""
    try:
        tree = parse(decode(body, headers.get("content-type", "")))
    except TooComplexError:
        return (), frozenset()
    return offers(tree, headers, url), page_links(tree, url)


def weigh(
    body: bytes, url: str, headers: Mapping[str, str], order: Order, links: frozenset[str], listed: Sequence[str]
) -> tuple[Reading, float]:
    """An offer, read, and how sure it is from 0 to 1 that it tells the news of the page with these links (``speaks_of``)."""
    found = _read(body, url, headers, order)
    share = speaks_of(found.parsed, links, listed, base_url=url)
    return replace(found, parsed=replace(found.parsed, items=(), links=frozenset(), offers=())), share
