"""The feeds of a feed's parts that are there, for pages and reports."""

from __future__ import annotations

from pipeline.config import FeedSettings
from pipeline.jobs.parts import Planned
from pipeline.jobs.site import Site
from pipeline.models import Part, PartKind
from pipeline.store import Tx, outputs


def published_parts(site: Site, feed: FeedSettings) -> list[Part]:
    """As they were published last. Raises StoreError."""
    if not (feed.publish.topics or feed.publish.categories or feed.publish.sources):
        return []
    with site.store.read() as tx:
        return parts_of(tx, site, feed.slug)


def parts_of(tx: Tx, site: Site, slug: str) -> list[Part]:
    """The same, in a transaction."""
    known = sorted(outputs.parts(tx, slug), key=lambda one: list(PartKind).index(one.kind) if one.kind else 0)
    return [Planned(one.kind, one.word, one.title, one.path).as_part(site.settings) for one in known if one.kind]
