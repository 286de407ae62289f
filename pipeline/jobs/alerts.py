"""Alerts: at most one mail a day, and only when something new needs a person.

problems (mailed_at NULL, old enough) ─▶ one notice with all of them ─▶ mailed_at set; recoveries told and forgotten
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.compose import notice
from pipeline.compose.notice import AlertDocument, Need
from pipeline.jobs.notices import ALERT, post
from pipeline.jobs.open_edition import sender_of
from pipeline.jobs.site import Site
from pipeline.models import SourceState
from pipeline.store import Tx, notices, runs, sources
from pipeline.store.runs import ProblemRecord

_A_DAY = timedelta(days=1)
_OPERATORS_LANGUAGE = "en"  # that of the commands, and of every problem's own words
_PATIENCE = {
    "source": timedelta(hours=6),
    "disk": timedelta(0),
    "edition": timedelta(0),
    "uncertain": timedelta(0),
    "failed": timedelta(0),
    "expired": timedelta(0),
    "ping": timedelta(0),
    "relay": timedelta(0),
    "site.url": timedelta(0),
}
"""How long a problem of a kind must last before it is worth a mail: what heals by itself, or is being typed, is not."""
_USUAL_PATIENCE = timedelta(minutes=10)


def post_alert(site: Site, relay: str, now: datetime) -> bool:
    """Queue the alert mail that is due, if one is; whether it was. ``relay``: what would carry it."""
    if not site.settings.alerts.mail:
        return False
    with site.store.read() as tx:
        if not _new(tx, relay, now):
            return False
    with site.store.write() as tx:
        last = notices.last(tx, ALERT)
        new = _new(tx, relay, now)
        if not new or (last is not None and now - _A_DAY < last.created_at <= now):
            return False
        _post(site, tx, new, after=last.id if last else 0, now=now)
        runs.mailed(tx, [one.key for one in new], now)
    return True


def _new(tx: Tx, relay: str, now: datetime) -> list[ProblemRecord]:
    """Problems that no alert told of and that have lasted long enough, oldest first."""
    unsaid = [one for one in runs.problems(tx) if one.mailed_at is None]
    return [one for one in unsaid if one.since <= now - _patience(tx, one) and not _of_the_carrier(tx, one, relay)]


def _patience(tx: Tx, one: ProblemRecord) -> timedelta:
    """A source that is gone for good does not heal by waiting."""
    kind, _, name = one.key.partition(":")
    gone = kind == "source" and any(source.url == name and source.state is SourceState.GONE for source in sources.sources(tx))
    typed = kind == "relay" and ":" in name  # settings that were edited: the test mail is about to be sent
    return timedelta(0) if gone else _USUAL_PATIENCE if typed else _PATIENCE.get(kind, _USUAL_PATIENCE)


def _of_the_carrier(tx: Tx, one: ProblemRecord, relay: str) -> bool:
    """A relay that takes nothing cannot carry the news of that, and when it can, it is over. Paused, it still takes an alert.

    That it has not been tried (``relay:NAME:trust``) it can carry.
    """
    return one.key == f"relay:{relay}" and not any(known.paused for known in runs.relays(tx) if known.name == relay)


def _post(site: Site, tx: Tx, new: list[ProblemRecord], *, after: int, now: datetime) -> None:
    zone = ZoneInfo(site.settings.site.timezone)
    known = [one for one in runs.problems(tx) if one.mailed_at is not None]
    document = AlertDocument(
        site_title=site.settings.site.title,
        language=_OPERATORS_LANGUAGE,
        new=tuple(_need(one, zone) for one in new),
        known=tuple(_need(one, zone) for one in known),
        recovered=tuple(Need(one.what, "", _local(one.mended_at, zone)) for one in runs.recoveries(tx)),
    )
    post(
        site,
        tx,
        kind=ALERT,
        # Two processes that look at the same moment ask for the one alert that follows the last.
        dedupe_key=f"{ALERT}:after:{after}",
        sender=_sender(site),
        recipient=site.settings.alerts.mail,
        words=notice.alert(document, site.texts),
        language=_OPERATORS_LANGUAGE,
        now=now,
        # What could not be sent in a day says nothing true any more; the next alert says it anew.
        deadline_at=now + _A_DAY,
    )


def _need(one: ProblemRecord, zone: ZoneInfo) -> Need:
    return Need(one.what.rstrip("."), one.fix, _local(one.since, zone))


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M}"


def _sender(site: Site) -> str:
    """The From of the first feed: the relay is known to accept that one."""
    first = min(site.settings.feeds.values(), key=lambda feed: feed.slug, default=None)
    return sender_of(site.settings, first) if first else site.settings.site.contact
