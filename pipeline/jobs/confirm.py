"""Confirming a sign-up with the token of its mail: looking at it changes nothing, saying yes twice does no more than once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pipeline.compose.links import CONFIRM
from pipeline.config import FeedSettings
from pipeline.jobs.signups import begin, may_come, still_open
from pipeline.jobs.site import Site
from pipeline.models import Cadence, SignupStatus, SubscriptionStatus
from pipeline.store import Tx, signups, subscribers
from pipeline.store.signups import Signup

_HAS_IT = (SubscriptionStatus.ACTIVE, SubscriptionStatus.SNOOZED)


class State(StrEnum):
    """How a sign-up stands for whoever holds its token; ``gone``: used too late, not whole, or what it led to has ended."""

    WAITS = "waits"
    DONE = "done"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Standing:
    """A sign-up as its page shows it. ``also``: feeds asked for since, not in the mail, so nobody agreed to them yet."""

    state: State
    language: str
    name: str = ""
    cadence: Cadence | None = None
    topics: tuple[str, ...] = ()
    feeds: tuple[FeedSettings, ...] = ()
    also: tuple[FeedSettings, ...] = ()
    pages: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Title and page with preferences of each subscription, once it is done."""


def look(site: Site, token: str, now: datetime) -> Standing | None:
    """What the token is about; None for one that was not made here for this purpose."""
    identity = site.links.identity(CONFIRM, token)
    if identity is None:
        return None
    with site.store.read() as tx:
        return _standing(site, tx, signups.find(tx, identity), now)


def confirm(
    site: Site, token: str, chosen: Collection[str] | None, how: Callable[[Standing], dict[str, str]], now: datetime
) -> Standing | None:
    """Subscribe whoever holds the token; None as above. ``chosen``: slugs that were ticked, None where nothing was to be.

    ``how`` gives the evidence of this step from what the page showed. Raises StoreError.
    """
    identity = site.links.identity(CONFIRM, token)
    if identity is None:
        return None
    with site.store.write() as tx:
        signup = signups.find(tx, identity, take=True)
        found = _standing(site, tx, signup, now)
        if found.state is not State.WAITS or signup is None:
            return found
        offered = (*found.feeds, *found.also)
        chosen = None if chosen is None else {site.settings.current_slug(slug) for slug in chosen}
        wanted = [feed for feed in offered if (feed in found.feeds if chosen is None else feed.slug in chosen)]
        if not wanted:
            return found
        begin(site, tx, signup, wanted, how(found), now, greet=False)
        return _standing(site, tx, signups.find(tx, identity), now)


def _standing(site: Site, tx: Tx, signup: Signup | None, now: datetime) -> Standing:
    if signup is None:
        return Standing(State.GONE, site.settings.site.language)
    if signup.status is SignupStatus.CONFIRMED:
        return _done(site, tx, signup)
    feeds = still_open(site, signup.feeds)
    waits = signup.status is SignupStatus.TOLD and signup.expires_at > now and bool(feeds)
    if not waits or not may_come(site, tx, signup.address):
        return Standing(State.GONE, signup.language)
    cadence = Cadence(signup.wish["cadence"]) if signup.wish.get("cadence") else None
    also = still_open(site, signups.also_asked(tx, signup))
    topics = tuple(signup.wish.get("topics", ()))
    return Standing(State.WAITS, signup.language, signup.name, cadence, topics, tuple(feeds), tuple(also))


def _done(site: Site, tx: Tx, signup: Signup) -> Standing:
    """Who has left since is not told that they are subscribed."""
    pages = []
    for one in signups.made_of(signup):
        standing = subscribers.standing(tx, one.subscription)
        if standing is not None and standing.status in _HAS_IT:
            feed = site.settings.feeds.get(standing.feed)
            page = site.links.preferences_url(site.settings.site.url, one.subscription)
            pages.append((feed.title if feed else standing.feed, page))
    return Standing(State.DONE if pages else State.GONE, signup.language, pages=tuple(pages))
