"""What is stored about a person, for that person: asked for on the preferences page, shown behind a link that lasts a day.

The preferences link stands in every digest, and digests are forwarded; so what is personal needs a mail to the address.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline.compose import notice
from pipeline.compose.links import MY_DATA
from pipeline.compose.notice import MyDataDocument
from pipeline.config import WEEKDAYS
from pipeline.jobs import notices
from pipeline.jobs.erase import Erased, erase, report
from pipeline.jobs.open_edition import sender_of
from pipeline.jobs.site import Site
from pipeline.models import Cadence
from pipeline.store import notices as rows
from pipeline.store import personal, subscribers, suppressions
from pipeline.store.personal import Asked, Consented, Noticed, Sent
from pipeline.store.subscribers import Person, SubscriptionRecord
from pipeline.store.suppressions import Suppression

LASTS = timedelta(hours=24)
_BETWEEN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class About:
    """Everything about one person. ``suppression``: on the list of addresses that are never written to."""

    person: Person
    subscriptions: tuple[SubscriptionRecord, ...]
    consents: tuple[Consented, ...]
    sent: tuple[Sent, ...]
    notices: tuple[Noticed, ...]
    asked: tuple[Asked, ...]
    suppression: Suppression | None
    language: str

    def document(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            "address": self.person.address,
            "name": self.person.name,
            "subscriptions": [_subscription(one) for one in self.subscriptions],
            "consents": [_plain(one) | {"evidence": evidence(one.evidence)} for one in self.consents],
            "editions": [_plain(one) for one in self.sent],
            "other_mails": [_plain(one) for one in self.notices],
            "sign_ups": [_plain(one) for one in self.asked],
            "suppressed": None if self.suppression is None else self.suppression.reason,
        }


def evidence(text: str) -> dict[str, Any] | str:
    """How somebody agreed: what a sign-up noted, by name; or a sentence, as a list or an operator brought it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text


def _plain(one: Any) -> dict[str, Any]:
    return {name: _text(getattr(one, name)) for name in one.__dataclass_fields__}


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _subscription(one: SubscriptionRecord) -> dict[str, Any]:
    rhythm = one.rhythm
    return {
        "feed": one.feed,
        "status": str(one.status),
        "snoozed_until": _text(one.snoozed_until),
        "cadence": str(rhythm.cadence),
        "weekday": WEEKDAYS[rhythm.weekday] if rhythm.cadence is Cadence.WEEKLY else None,
        "day": rhythm.day or None,
        "time": rhythm.time or None,
        "timezone": rhythm.zone or None,
        "topics": list(one.choice.topics),
        "words": list(one.choice.words),
        "language": one.choice.language or None,
        "format": one.choice.format,
        "next_due_at": _text(one.next_due_at),
        "items_decided_up_to": one.settled_seq,
        "changed_at": _text(one.changed_at),
    }


def about(site: Site, token: str, now: datetime) -> About | None:
    """What the link shows; None for one that was not made here for this, that is too old, or whose person is erased."""
    identity = site.links.fresh_identity(MY_DATA, token, now, LASTS)
    with site.store.read() as tx:
        person = subscribers.person(tx, identity) if identity is not None else None
        if person is None:
            return None
        records = tuple(subscribers.records(tx, subscriber_id=person.id))
        return About(
            person,
            records,
            tuple(personal.consents_of(tx, person.id)),
            tuple(personal.sent_to(tx, person.id)),
            tuple(personal.noticed(tx, person.address)),
            tuple(personal.asked(tx, person.address)),
            suppressions.find(tx, site.links.address_hash(person.address)),
            _language(site, records),
        )


def _language(site: Site, records: tuple[SubscriptionRecord, ...]) -> str:
    for one in records:
        feed = site.settings.feeds.get(one.feed)
        if language := one.choice.language or (feed.language if feed else ""):
            return language
    return site.settings.site.language


def erase_behind(site: Site, token: str, now: datetime) -> tuple[Erased, About] | None:
    """Erase whom the link names; returns also what was known of them. None as for ``about``."""
    known = about(site, token, now)
    if known is None:
        return None
    done = erase(site, known.person.address, now)
    report(site, done, now)
    return done, known


def mail_link(site: Site, person: Person, feed: str, language: str, now: datetime) -> None:
    """Mail this person a link to what is stored about them, at most once an hour; nothing to an address that is suppressed."""
    asked = f"{notices.MY_DATA}:{person.id}:"
    settings = site.settings
    document = MyDataDocument(
        site_title=settings.site.title,
        language=language,
        url=site.links.my_data_url(settings.site.url, person.id, now),
        contact=settings.site.contact,
    )
    words = notice.my_data(document, site.texts)
    sender = sender_of(settings, settings.feeds[feed]) if feed in settings.feeds else settings.site.contact
    with site.store.write() as tx:
        if suppressions.find(tx, site.links.address_hash(person.address)) or rows.asked_since(tx, asked, now - _BETWEEN):
            return
        notices.post(
            site,
            tx,
            kind=notices.MY_DATA,
            dedupe_key=f"{asked}{now:%Y-%m-%dT%H}",
            sender=sender,
            recipient=person.address,
            words=words,
            language=language,
            now=now,
            deadline_at=now + LASTS,
        )
