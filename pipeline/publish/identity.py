"""The permanent names of feeds and entries. They must never change: a reader shows a renamed entry as a new one."""

from __future__ import annotations

from uuid import NAMESPACE_URL, UUID, uuid5

from pipeline.models import Credit, FeedDocument, Item


def entry_id(item: Item) -> str:
    """The item's ``urn:uuid:`` (RFC 4122 §4.3, version 5), the same in every format and feed and on every host.

    It depends on ``item.identity`` alone, so neither a new address of this site nor of the article changes it.
    """
    return uuid5(NAMESPACE_URL, item.identity).urn


def source_id(credit: Credit) -> str:
    """The ``urn:uuid:`` of a source. Its own id is not known; an address need not be canonical, an id must (RFC 4287 §4.2.6.1)."""
    return uuid5(NAMESPACE_URL, credit.url).urn


def feed_id(document: FeedDocument) -> str:
    """The feed's ``urn:uuid:``. It was given when the feed was published first; a feed of a part is another feed."""
    own = document.identity or first_identity(document.base_url, document.slug)
    return uuid5(UUID(own), "/".join(document.path.split("/")[2:])).urn if document.whole else own


def first_identity(base_url: str, slug: str) -> str:
    """What a feed is called from now on that was never published, from the site's address and its slug."""
    return uuid5(NAMESPACE_URL, f"{base_url}/feeds/{slug}").urn
