"""The welcome mail: what somebody subscribed to just now, and with ``digest.welcome`` the latest items at once.

Items that it shows are settled, as in a digest, so that the first digest goes on from there; when the mail cannot be
delivered, the cursor goes back and the first digest shows them (promise 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parseaddr

from pipeline.compose import joining
from pipeline.compose.joining import Letterhead, WelcomeDocument, WelcomeFeed
from pipeline.compose.select import select
from pipeline.config import FeedSettings
from pipeline.jobs import notices, slots
from pipeline.jobs.open_edition import sender_of
from pipeline.jobs.people import WantedSubscription
from pipeline.jobs.site import Site, feed_url
from pipeline.models import Cadence, Choice, Selection
from pipeline.store import Tx, feed_items, feeds, subscribers
from pipeline.store.signups import Made, Signup

_PATIENCE = timedelta(days=1)
"""A welcome that comes later than this is none; the first digest then brings what it would have shown."""


def letterhead(site: Site, language: str) -> Letterhead:
    """What mails to those who sign up show of the site."""
    about = site.settings.site
    return Letterhead(about.title, about.url, about.contact, about.postal_address, about.timezone, language)


def sender(site: Site, about: Sequence[FeedSettings]) -> str:
    """The feed's own sender; for several feeds the site's name before the address of the first."""
    own = sender_of(site.settings, about[0])
    if len(about) == 1:
        return own
    title = site.settings.site.title.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{title}" <{parseaddr(own)[1]}>'


def welcome(
    site: Site, tx: Tx, signup: Signup, begun: Sequence[tuple[WantedSubscription, int]], now: datetime, *, greet: bool
) -> list[Made]:
    """Queue one mail about the subscriptions that begin now; returns whose cursors it moved.

    Without ``greet`` only where a feed wants one that has items to show. Raises TemplateFault.
    """
    made: list[Made] = []
    shown = []
    for wish, identity in sorted(begun, key=lambda one: one[0].feed):
        feed = site.feed(wish.feed)
        selection = _latest(tx, feed, wish.choice, identity, made)
        if greet or selection is not None:
            shown.append((feed, _shown(site, feed, wish, identity, selection, now)))
    if shown:
        _post(site, tx, signup, shown, begun, now)
    return made


def _latest(tx: Tx, feed: FeedSettings, choice: Choice, identity: int, made: list[Made]) -> Selection | None:
    """What a digest would bring now, settled; None where the feed wants no such mail, or nothing matches."""
    if not feed.digest.welcome:
        return None
    top = feeds.lock(tx, feed.slug).next_seq - 1  # nothing is numbered between reading and settling
    cursor = subscribers.settled(tx, identity)
    stream = feed_items.mailable_after(tx, feed.slug, cursor, up_to=top)
    selection = select(stream, choice, max_items=feed.digest.max_items, min_items=1)
    if selection is not None and subscribers.settle(tx, identity, cursor, top):
        made.append(Made(identity, cursor, top))
    return selection


def _shown(
    site: Site, feed: FeedSettings, wish: WantedSubscription, identity: int, selection: Selection | None, now: datetime
) -> WelcomeFeed:
    url = site.settings.site.url
    instant = wish.rhythm.cadence is Cadence.INSTANT
    return WelcomeFeed(
        title=feed.title,
        items=tuple(joining.entry(one) for one in selection.items) if selection else (),
        more=selection.more if selection else 0,
        url=feed_url(site.settings, feed.slug, "html"),
        first_at=None if instant else slots.next_slot(wish.rhythm, now),
        unsubscribe_url=site.links.unsubscribe_url(url, identity),
        preferences_url=site.links.preferences_url(url, identity),
    )


def _post(
    site: Site,
    tx: Tx,
    signup: Signup,
    shown: Sequence[tuple[FeedSettings, WelcomeFeed]],
    begun: Sequence[tuple[WantedSubscription, int]],
    now: datetime,
) -> None:
    document = WelcomeDocument(letterhead(site, signup.language), tuple(one for _, one in shown))
    notices.post(
        site,
        tx,
        kind=notices.WELCOME,
        dedupe_key=f"{notices.WELCOME}:{signup.id}",
        sender=sender(site, [feed for feed, _ in shown]),
        recipient=signup.address,
        words=joining.words(notices.WELCOME, document, site.texts),
        language=signup.language,
        now=now,
        deadline_at=now + _PATIENCE,
        unsubscribe=_one_click(site, shown, begun),
    )


def _one_click(
    site: Site, shown: Sequence[tuple[FeedSettings, WelcomeFeed]], begun: Sequence[tuple[WantedSubscription, int]]
) -> tuple[str, str]:
    """For a header that can name only one subscription."""
    if len(shown) != 1:
        return "", ""
    feed, one = shown[0]
    identity = next(identity for wish, identity in begun if wish.feed == feed.slug)
    to = feed.digest.unsubscribe_mail or site.settings.site.contact
    return one.unsubscribe_url, site.links.unsubscribe_mailto(to, identity)
