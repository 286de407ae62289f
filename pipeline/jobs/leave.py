"""Leaving with the token that stands in every mail: signed, for this purpose alone, valid for ever.

token ─Links─▶ subscription ─▶ status and evidence, one transaction ─▶ queued deliveries become suppressed when claimed
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.compose.links import UNSUBSCRIBE
from pipeline.jobs.site import Site
from pipeline.models import SubscriptionStatus
from pipeline.store import record, subscribers
from pipeline.store.subscribers import OPTED_OUT, Standing


class How(StrEnum):
    """On which way somebody left; kept as evidence."""

    ONE_CLICK = "one-click"
    PAGE = "page"
    MAIL = "mail"
    PREFERENCES = "preferences page"


@dataclass(frozen=True, slots=True)
class Left:
    """A subscription that a token names, without its person.

    ``feed`` is its title, "" where the store does not know the subscription: it was restored from a time before.
    ``gone``: nothing is sent to it any more. ``now``: this call ended it.
    """

    feed: str
    language: str
    gone: bool
    now: bool = False


def who(site: Site, token: str) -> Left | None:
    """What the token names, changing nothing; None for a token that was not made here for this purpose."""
    identity = site.links.identity(UNSUBSCRIBE, token)
    if identity is None:
        return None
    with site.store.read() as tx:
        return _left(site, subscribers.standing(tx, identity))


def leave(site: Site, token: str, now: datetime, how: How) -> Left | None:
    """End the subscription that the token names; None for a token that was not made here for this purpose.

    Asking again changes nothing, and whoever bounced or complained stays what they are.
    """
    identity = site.links.identity(UNSUBSCRIBE, token)
    found = who(site, token)
    if identity is None or found is None or found.gone:
        return found
    if not found.feed:
        with site.store.write() as tx:  # a store that is restored once more may know who that is
            record.note(tx, record.Left(identity, SubscriptionStatus.UNSUBSCRIBED, ""))
        return found
    with site.store.write() as tx:
        standing = subscribers.standing(tx, identity, take=True)
        if standing is None or standing.status in OPTED_OUT:
            return _left(site, standing)
        subscribers.leave(tx, identity, SubscriptionStatus.UNSUBSCRIBED, now)
        subscribers.add_consent(tx, identity, "left", str(how), now)
    return Left(found.feed, found.language, gone=True, now=True)


def _left(site: Site, standing: Standing | None) -> Left:
    if standing is None:
        return Left("", site.settings.site.language, gone=False)
    feed = site.settings.feeds.get(standing.feed)
    language = standing.language or (feed.language if feed else "") or site.settings.site.language
    return Left(feed.title if feed else standing.feed, language, gone=standing.status in OPTED_OUT)
