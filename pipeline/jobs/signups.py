"""Signing up: the web stores one row and says the same to everybody; later a job decides which mail that is worth.

    form ─ask─▶ a row, "asked" ─answer─┬─▶ told: a mail with the link to confirm ─▶ jobs/confirm.py
                                       ├─▶ silent, and a mail that says "you have it already"
                                       └─▶ silent: no mail

So the answer, and the time that it takes, tells nobody who is known here. Limits are counted in these rows: per network and in
total before one is stored, per mailbox before a mail is.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pipeline import config
from pipeline.compose import joining
from pipeline.compose.joining import ConfirmDocument, KnownDocument
from pipeline.config import FeedSettings
from pipeline.errors import SendRefusedError, StoreError
from pipeline.jobs import notices, trust, welcome
from pipeline.jobs.people import WantedSubscription, come
from pipeline.jobs.site import Site
from pipeline.jobs.take_settings import name_feeds
from pipeline.models import Cadence, Choice, SignupStatus, SubscriptionStatus
from pipeline.store import Tx, signups, subscribers
from pipeline.store.signups import Made, NewSignup, Signup

AN_HOUR = timedelta(hours=1)
_BATCH = 50
_NO_WILL = (SubscriptionStatus.BOUNCED, SubscriptionStatus.COMPLAINED)
_HAS_IT = (SubscriptionStatus.ACTIVE, SubscriptionStatus.SNOOZED)
_DOTLESS = ("gmail.com", "googlemail.com")
_ODD_START = "-|/"
_ODD = frozenset("%!|")


class Asked(StrEnum):
    """What became of asking: stored, or too many of late from that network, or in total."""

    STORED = "stored"
    NETWORK = "network"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Wish:
    """A filled-in form. ``network`` is shortened, "" where it is not known; ``page``, ``wording`` and ``said`` are evidence."""

    address: str
    name: str
    feeds: tuple[str, ...]
    cadence: str
    topics: tuple[str, ...]
    language: str
    network: str
    page: str
    wording: str
    said: str


def written_address(value: str) -> str:
    """The mail address in a form field. Raises ValueError for what is none, or what some mail server may take for a command."""
    address = config.valid_address(value)
    local = address.rpartition("@")[0]
    if local.startswith(tuple(_ODD_START)) or _ODD & set(local):
        raise ValueError("such an address is not written to")
    return address


def mailbox(address: str) -> str:
    """The mailbox that an address very likely leads to: without what follows a plus sign, and Gmail's dots."""
    local, _, domain = subscribers.fold(address).rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTLESS:
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def shortened(address: str) -> str:
    """The network of a visitor: IPv4 /24, IPv6 /48; "" for what is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False))


def ask(site: Site, wish: Wish, now: datetime) -> Asked:
    """Store a sign-up, the same work for every address. Raises StoreError."""
    limits = site.settings.subscribe
    new = NewSignup(
        address=wish.address,
        mailbox=_mailbox_hash(site, wish.address),
        name=wish.name,
        feeds=wish.feeds,
        wish={"cadence": wish.cadence, "topics": list(wish.topics)},
        language=wish.language,
        evidence={"asked": now.isoformat(timespec="seconds"), "page": wish.page, "wording": wish.wording, "said": wish.said},
        network=wish.network,
        asked_at=now,
        expires_at=now + limits.expire,
    )
    with site.store.write() as tx:
        if wish.network and _reached(tx, now, limits.per_network, wish.network):
            return Asked.NETWORK
        if _reached(tx, now, limits.per_hour):
            return Asked.TOTAL
        signups.add(tx, new)
    if config.names_other_store(site.settings):
        raise StoreError("store.url was edited, so nobody can subscribe here.", fix="Restart gazet.")
    return Asked.STORED


def _reached(tx: Tx, now: datetime, most: int, network: str | None = None) -> bool:
    return signups.count_since(tx, now - AN_HOUR, most, network) >= most


def _mailbox_hash(site: Site, address: str) -> str:
    return site.links.mailbox_hash(mailbox(address))


def answer(site: Site, now: datetime) -> int:
    """Decide on every sign-up that waits, and queue the mails; returns how many sign-ups there were. Raises TemplateFault.

    Nothing is decided while links would lead to an example: such a link would be frozen in a mail to a stranger.
    """
    try:
        trust.expect_address(site)
    except SendRefusedError:
        return 0
    with site.store.read() as tx:
        if not signups.any_asked(tx):
            return 0
    done = 0
    while found := _answer_some(site, now):
        done += found
    return done


def _answer_some(site: Site, now: datetime) -> int:
    with site.store.write() as tx:
        found = signups.next_asked(tx, _BATCH)
        if found:
            name_feeds(tx, site)
        for signup in found:
            _answer(site, tx, signup, now)
    return len(found)


def _answer(site: Site, tx: Tx, signup: Signup, now: datetime) -> None:
    signup = _as_known(tx, signup)
    feeds = still_open(site, signup.feeds)
    known = subscribers.statuses(tx, signup.address)
    missing = [feed for feed in feeds if known.get(feed.slug, (0, None))[1] not in _HAS_IT]
    told_enough = _told_enough(site, tx, signup, now, is_known=not missing)
    if not feeds or signup.expires_at <= now or told_enough or not may_come(site, tx, signup.address):
        signups.silent(tx, signup.id)
        return
    if not missing:
        signups.silent(tx, signup.id, told_at=now)
        _say_known(site, tx, signup, feeds, now)
    elif site.settings.subscribe.confirm or _has_left(site, tx, signup.address):
        signups.told(tx, signup.id, [feed.slug for feed in missing], now)
        _ask_to_confirm(site, tx, signup, missing, now)
    else:
        begin(site, tx, signup, missing, {"how": "the form alone; subscribe.confirm is false"}, now, greet=True)


def _as_known(tx: Tx, signup: Signup) -> Signup:
    """With the address that is stored, where that is spelled otherwise: ``a@straße.de`` may be another mailbox than
    ``a@strasse.de``, and a mail with links to somebody's subscriptions must not go there.
    """
    known = subscribers.person_at(tx, signup.address)
    return replace(signup, address=known.address) if known else signup


def still_open(site: Site, slugs: Sequence[str]) -> list[FeedSettings]:
    """Those of the feeds that strangers may still subscribe to; former slugs count."""
    current = dict.fromkeys(site.settings.current_slug(slug) for slug in slugs)
    by_slug = {feed.slug: feed for feed in site.settings.open_feeds()}
    return [by_slug[slug] for slug in current if slug in by_slug]


def _told_enough(site: Site, tx: Tx, signup: Signup, now: datetime, *, is_known: bool) -> bool:
    """One mail while a sign-up is open, and a few in a month, whoever asks how often.

    That somebody has what they asked for, and was told so, does not stand in the way of another feed.
    """
    is_open, mails = signups.told_lately(tx, signup.mailbox, now)
    in_the_way = is_open if is_known else is_open - {SignupStatus.SILENT}
    return bool(in_the_way) or mails >= site.settings.subscribe.per_address


def may_come(site: Site, tx: Tx, address: str) -> bool:
    """Whether this address may be written to by its person's will: not after a bounce, a complaint, or the operator's word."""
    reason = subscribers.suppression(tx, site.links.address_hash(address))
    known = subscribers.statuses(tx, address).values()
    return reason in (None, *subscribers.BY_PERSON) and not any(status in _NO_WILL for _, status in known)


def _has_left(site: Site, tx: Tx, address: str) -> bool:
    """Nobody who left is subscribed again by somebody else, whatever the settings say."""
    left = subscribers.suppressed(tx, site.links.address_hash(address))
    known = subscribers.statuses(tx, address).values()
    return left or any(status is SubscriptionStatus.UNSUBSCRIBED for _, status in known)


def begin(
    site: Site, tx: Tx, signup: Signup, feeds: Sequence[FeedSettings], how: dict[str, Any], now: datetime, *, greet: bool
) -> list[Made]:
    """Make the subscriptions of a sign-up, with the evidence for each; ``greet``: a welcome mail in any case."""
    signup = _as_known(tx, signup)
    subscribers.lift(tx, site.links.address_hash(signup.address))
    wishes = [wanted(site, signup, feed, how) for feed in feeds]
    begun = come(site, tx, wishes, now)
    new = [(wish, identity) for wish, (identity, now_begun) in zip(wishes, begun, strict=True) if now_begun]
    made = welcome.welcome(site, tx, signup, new, now, greet=greet)
    kept = {one.subscription: one for one in made}
    all_made = [kept.get(identity, Made(identity, 0, 0)) for identity, _ in begun]
    signups.confirmed(tx, signup.id, all_made, now)
    return all_made


def wanted(site: Site, signup: Signup, feed: FeedSettings, how: dict[str, Any]) -> WantedSubscription:
    """One subscription of a sign-up; the consent is JSON: asked, page, wording, said, network, and how it was confirmed."""
    cadence = Cadence(signup.wish["cadence"]) if signup.wish.get("cadence") else None
    topics = tuple(sorted({topic.casefold() for topic in signup.wish.get("topics", ())}))
    evidence = {**signup.evidence, "network": signup.network or "unknown", **how}
    return WantedSubscription(
        address=signup.address,
        name=signup.name,
        feed=feed.slug,
        status=SubscriptionStatus.ACTIVE,
        rhythm=feed.digest.rhythm(site.settings.site.timezone, cadence=cadence),
        choice=Choice(topics=topics, language="" if signup.language == feed.language else signup.language),
        consent=json.dumps(evidence, ensure_ascii=False),
    )


def _ask_to_confirm(site: Site, tx: Tx, signup: Signup, feeds: Sequence[FeedSettings], now: datetime) -> None:
    document = ConfirmDocument(
        site=welcome.letterhead(site, signup.language),
        feeds=tuple(feed.title for feed in feeds),
        url=site.links.confirm_url(site.settings.site.url, signup.id),
        asked_at=signup.asked_at,
        until=signup.expires_at,
    )
    _post(site, tx, signup, notices.CONFIRM, joining.words(notices.CONFIRM, document, site.texts), feeds, now)


def _say_known(site: Site, tx: Tx, signup: Signup, feeds: Sequence[FeedSettings], now: datetime) -> None:
    known, url = subscribers.statuses(tx, signup.address), site.settings.site.url
    pages = tuple((feed.title, site.links.preferences_url(url, known[feed.slug][0])) for feed in feeds)
    document = KnownDocument(welcome.letterhead(site, signup.language), pages)
    _post(site, tx, signup, notices.KNOWN, joining.words(notices.KNOWN, document, site.texts), feeds, now)


def _post(
    site: Site, tx: Tx, signup: Signup, kind: str, words: tuple[str, str], feeds: Sequence[FeedSettings], now: datetime
) -> None:
    notices.post(
        site,
        tx,
        kind=kind,
        dedupe_key=f"{kind}:{signup.id}",
        sender=welcome.sender(site, feeds),
        recipient=signup.address,
        words=words,
        language=signup.language,
        now=now,
        deadline_at=signup.expires_at,
    )
