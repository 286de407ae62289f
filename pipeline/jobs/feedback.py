"""What comes back by mail: bounces, complaints, unsubscribes. Read, judged, proven, recorded, and only then put away.

folder ─mails─▶ bounces.read ─verdict─▶ whose? ─▶ effect and row, one transaction ─▶ put away

Anybody can write to that folder, so a mail changes something only where it proves to come from whoever had ours in hands: a
signed token, or one of our Message-IDs, which nobody can guess; and a bounce only for the address that our mail was sent to.
A kill anywhere only reads again what was not put away, and the key of its row makes that do nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import idna

from pipeline.compose import message, verp
from pipeline.compose.links import UNSUBSCRIBE
from pipeline.deliver import bounces
from pipeline.deliver.bounces import Failure, Verdict
from pipeline.deliver.imap import ImapFolder
from pipeline.deliver.mail_folder import Incoming, Maildir, MailFolder
from pipeline.errors import UsageError
from pipeline.jobs import leave
from pipeline.jobs.site import Site
from pipeline.models import FeedbackDone, FeedbackKind, SubscriptionStatus, Weight
from pipeline.store import Tx, feedback, runs, subscribers
from pipeline.store.feedback import Feedback, Mailed
from pipeline.store.subscribers import OPTED_OUT

HALF_LIFE = timedelta(days=30)
"""A soft bounce counts 1, and half of that after so long (decision 0039)."""
TOO_MANY = 4.0
LEAST_EDITIONS = 3
LEAST_TIME = timedelta(days=7)
"""Between the first and the last: a mailbox that is full for a few days is no dead one."""
_KEPT = timedelta(days=180)
_OURS_LASTS = timedelta(days=3)
_ENOUGH = 1_000
"""Mails of one call: the next one goes on."""
_OURS_KEY = "feedback:ours"


@dataclass
class Heard:
    """What was found in the folder: kinds of mails, and what was done. ``known``: judged before, and only put away now."""

    kinds: Counter[FeedbackKind] = field(default_factory=Counter)
    done: Counter[FeedbackDone] = field(default_factory=Counter)
    known: int = 0


def open_folder(site: Site, now: datetime) -> MailFolder:
    """The folder that the settings name. Raises FolderError, and UsageError where they name none."""
    settings = site.settings.feedback
    if settings.maildir:
        return Maildir(site.settings.path(settings.maildir))
    if not settings.host:
        raise UsageError("No folder for bounces is named.", fix="Name one under [feedback] in gazet.toml: maildir, or host.")
    with site.store.read() as tx:
        position = feedback.position(tx, _place(site))
    return ImapFolder(settings, site.settings.folder, position, now)


def _place(site: Site) -> str:
    settings = site.settings.feedback
    return site.links.place_hash(f"{settings.host}:{settings.effective_port}\0{settings.user}\0{settings.folder}")


def read_feedback(site: Site, clock: Callable[[], datetime], stop: threading.Event, folder: MailFolder | None = None) -> Heard:
    """Read what is new in the folder until nothing is left, ``stop`` is set, or a thousand mails are done. Raises FolderError."""
    heard = Heard()
    with contextlib.closing(folder or open_folder(site, clock())) as opened:
        try:
            for mail in opened.mails():
                if stop.is_set() or heard.known + sum(heard.kinds.values()) >= _ENOUGH:
                    break
                _take(site, opened, mail, clock(), heard)
        finally:
            _remember(site, opened.position, clock())
    return heard


def _remember(site: Site, position: tuple[int, int], now: datetime) -> None:
    with site.store.write() as tx:
        if position != (0, 0):
            feedback.set_position(tx, _place(site), position)
        feedback.forget(tx, now - _KEPT)
        if not feedback.any_since(tx, Weight.OURS, now - _OURS_LASTS):
            runs.mended(tx, _OURS_KEY, now)


def _take(site: Site, folder: MailFolder, mail: Incoming, now: datetime, heard: Heard) -> None:
    """One mail from the folder to its place; it is put away only once its verdict is committed."""
    key = hashlib.sha256(mail.data).hexdigest()
    verdict = bounces.read(mail.data)
    with site.store.read() as tx:
        known = feedback.known(tx, key)
    if known:
        heard.known += 1
    else:
        heard.kinds[verdict.kind] += 1
        heard.done.update(_act(site, key, verdict, now))
    folder.put_away(mail, ours=verdict.kind is not FeedbackKind.UNKNOWN)


def _act(site: Site, key: str, verdict: Verdict, now: datetime) -> list[FeedbackDone]:
    """What a verdict changes, and its rows, in one transaction."""
    if verdict.kind is FeedbackKind.UNSUBSCRIBE:
        return [_unsubscribed(site, key, verdict, now)]
    with site.store.write() as tx:
        if verdict.kind is FeedbackKind.BOUNCE:
            keys = [key, *(f"{key}:{place}" for place in range(1, len(verdict.failures)))]
            return [_failed(site, tx, own, verdict, one, now) for own, one in zip(keys, verdict.failures, strict=True)]
        if verdict.kind is FeedbackKind.COMPLAINT:
            return [_complained(site, tx, key, verdict, now)]
        feedback.note(tx, Feedback(key, now, verdict.kind, FeedbackDone.NOTHING, reason=verdict.reason))
    return [FeedbackDone.NOTHING]


def _unsubscribed(site: Site, key: str, verdict: Verdict, now: datetime) -> FeedbackDone:
    """As by a click: whoever has the mail with the token may end that subscription. Doing it again changes nothing."""
    left = leave.leave(site, verdict.leave_tokens[0], now, leave.How.MAIL)
    done = FeedbackDone.UNMATCHED if left is None else FeedbackDone.UNSUBSCRIBED if left.now else FeedbackDone.NOTHING
    with site.store.write() as tx:
        feedback.note(tx, Feedback(key, now, verdict.kind, done))
    return done


def _failed(site: Site, tx: Tx, key: str, verdict: Verdict, failure: Failure, now: datetime) -> FeedbackDone:
    about = next((one for one in _candidates(site, tx, verdict, failure.recipients) if _is_for(one, failure.recipients)), None)
    row = Feedback(key, now, verdict.kind, FeedbackDone.UNMATCHED, failure.weight, failure.status, failure.reason, about)
    if about is None:
        feedback.note(tx, row)
        return row.done
    feedback.note(tx, replace(row, done=FeedbackDone.NOTED))
    done = _consequence(site, tx, about, failure, now)
    if done is not FeedbackDone.NOTED:
        feedback.set_done(tx, key, done)
    return done


def _consequence(site: Site, tx: Tx, about: Mailed, failure: Failure, now: datetime) -> FeedbackDone:
    if failure.weight is Weight.HARD:
        subscribers.suppress(tx, site.links.address_hash(about.address), f"bounced: {failure.reason}", now)
        subscribers.bounce(tx, about.address, now)
        return FeedbackDone.SUPPRESSED
    if failure.weight is Weight.OURS:
        what = f"mails came back because of how this site sends: {failure.reason}"
        fix = '"gazet doctor --dns" checks SPF, DKIM and DMARC of the sender; no address is blamed for it.'
        runs.problem(tx, _OURS_KEY, what, fix, now)
    if failure.weight is Weight.SOFT and _dead(feedback.soft_bounces(tx, about.subscriber_id, now - _KEPT), now):
        subscribers.bounce(tx, about.address, now)
        return FeedbackDone.BOUNCED
    return FeedbackDone.NOTED


def score(moments: Sequence[datetime], now: datetime) -> float:
    """What soft bounces at these moments count for at ``now``."""
    return float(sum(0.5 ** (max(now - moment, timedelta()) / HALF_LIFE) for moment in moments))


def _dead(moments: Sequence[datetime], now: datetime) -> bool:
    long_enough = len(moments) >= LEAST_EDITIONS and moments[-1] - moments[0] >= LEAST_TIME
    return long_enough and score(moments, now) >= TOO_MANY


def _complained(site: Site, tx: Tx, key: str, verdict: Verdict, now: datetime) -> FeedbackDone:
    """Of the address itself: never again. Of somebody who has the mail, under another or no name: that subscription ends."""
    found = list(_candidates(site, tx, verdict, verdict.recipients))
    about = next((one for one in found if _is_for(one, verdict.recipients)), None)
    if about is not None:
        subscribers.suppress(tx, site.links.address_hash(about.address), "complained", now)
        subscribers.bounce(tx, about.address, now, SubscriptionStatus.COMPLAINED)
    elif found:
        about = found[0]
        standing = subscribers.standing(tx, about.subscription_id, take=True)
        if standing is not None and standing.status not in OPTED_OUT:
            subscribers.leave(tx, about.subscription_id, SubscriptionStatus.COMPLAINED, now)
            subscribers.add_consent(tx, about.subscription_id, "left", "complained to the mailbox provider", now)
    done = FeedbackDone.COMPLAINED if about is not None else FeedbackDone.UNMATCHED
    feedback.note(tx, Feedback(key, now, verdict.kind, done, reason=verdict.reason, about=about))
    return done


def _candidates(site: Site, tx: Tx, verdict: Verdict, recipients: Sequence[str]) -> Iterator[Mailed]:
    """The deliveries that the mail proves to know, the surest first; of erased people none."""
    return (one for one in _proven(site, tx, verdict, recipients) if one.address)


def _proven(site: Site, tx: Tx, verdict: Verdict, recipients: Sequence[str]) -> Iterator[Mailed]:
    for text in verdict.returned_to:
        for edition_id, subscription_id in verp.read(site.links, text):
            if (one := feedback.delivery(tx, edition_id, subscription_id)) is not None:
                yield one
    for token in verdict.leave_tokens:
        subscription = site.links.identity(UNSUBSCRIBE, token)
        sent = feedback.deliveries_of(tx, subscription) if subscription is not None else []
        yield from [one for one in sent if _key(one) in verdict.keys] or sent[:1]
    for address in dict.fromkeys(spelling for one in recipients for spelling in _spellings(one)) if verdict.keys else ():
        yield from (one for one in feedback.deliveries_to(tx, address) if _key(one) in verdict.keys)


def _key(one: Mailed) -> str:
    return message.key_of(message.message_id(one.edition_id, one.subscription_id, ""))


def _is_for(one: Mailed, recipients: Sequence[str]) -> bool:
    mine = {subscribers.fold(spelling) for spelling in _spellings(one.address)}
    return any(subscribers.fold(spelling) in mine for recipient in recipients for spelling in _spellings(recipient))


def _spellings(address: str) -> list[str]:
    """The address, and with its domain the other way (RFC 5891): servers tell of ``xn--…`` what we call ``ö…``."""
    local, _, domain = address.rpartition("@")
    found = [address]
    with contextlib.suppress(UnicodeError):  # an IDNAError is one
        found.append(f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}")
        found.append(f"{local}@{idna.decode(domain, uts46=True)}")
    return found
