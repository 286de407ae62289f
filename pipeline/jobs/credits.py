"""Whose text an item is, as readers see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from pipeline.config import FeedSettings
from pipeline.models import Credit, FeedItem, SourceKind


def credited(feed: FeedSettings, listed: Iterable[FeedItem]) -> list[FeedItem]:
    """The items with the titles of their sources; without, where the feed has one source and everybody knows it."""
    if len(feed.source) < 2:
        return [replace(one, credit=None) for one in listed]
    known = {source.url: source for source in feed.source}

    def named(credit: Credit) -> Credit:
        source = known.get(credit.url)
        title = (source.title if source else "") or credit.title or host_of(credit.url)
        return Credit(title, _public(credit.url), credit.is_feed or (source is not None and source.kind is SourceKind.FEED))

    return [replace(one, credit=named(one.credit)) if one.credit else one for one in listed]


def _public(url: str) -> str:
    """The address without its query, which may hold a key that only this site was given (promise 7)."""
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))


def host_of(url: str) -> str:
    """The host of a source, without "www."."""
    return (urlsplit(url).hostname or url).removeprefix("www.")
