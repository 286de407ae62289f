"""The eve: before each edition with a clock time, one mail tells the editor what is about to go out, once per slot."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from pipeline.compose import digest, notice
from pipeline.compose.intro import Intro
from pipeline.compose.notice import EveDocument, EveItem
from pipeline.config import FeedSettings
from pipeline.errors import GazetError
from pipeline.jobs import intro as intros
from pipeline.jobs.notices import EVE, post
from pipeline.jobs.open_edition import Due, content_key, document_for, sender_of, wanted_by
from pipeline.jobs.problems import noted
from pipeline.jobs.site import Site
from pipeline.models import FeedItem, RenderedVariant, Selection
from pipeline.shown import headline, link
from pipeline.store import Tx, editions, feeds, notices
from pipeline.store.editions import Group


@dataclass(frozen=True, slots=True)
class _Coming:
    """What a slot would bring if it were now: never empty. ``main`` is what most people get, of ``versions`` mails."""

    slot: datetime
    people: int
    items: tuple[FeedItem, ...]
    main: tuple[Group, Selection]
    versions: int
    intro: Intro | None


def post_eves(site: Site, now: datetime) -> list[str]:
    """Queue the eve mails that are due; returns the feeds. One whose slot has passed is never sent.

    What stands in the way of one (a template with a mistake) is kept as the problem ``eve:<slug>``.
    """
    posted = []
    for slug, feed in sorted(site.settings.feeds.items()):
        if feed.digest.editor and (untold := _untold(site, feed, now)):
            with contextlib.suppress(GazetError), noted(site, f"{EVE}:{slug}", now):
                _post_eves(site, feed, untold, now)
                posted.append(slug)
    return posted


def _untold(site: Site, feed: FeedSettings, now: datetime) -> list[datetime]:
    """The slots ahead of which no mail has told and that would bring somebody something if they were now.

    What arrives until a slot may still change that: an empty one is looked at again at the next tick.
    """
    with site.store.read() as tx:
        if not feeds.exists(tx, feed.slug) or feeds.site_paused(tx) or feeds.state(tx, feed.slug).paused:
            return []
        slots = editions.coming_slots(tx, feed.slug, now, now + feed.digest.eve)
        return [slot for slot in slots if not notices.known(tx, _dedupe_key(feed, slot)) and _wanted(tx, feed, slot)]


def _post_eves(site: Site, feed: FeedSettings, slots: list[datetime], now: datetime) -> None:
    words = intros.read_or_note(site, feed.slug, now)
    for slot in slots:
        with site.store.read() as tx:
            coming = _coming(tx, feed, slot, words)
        if coming is not None:
            _post(site, feed, coming, now)


def _dedupe_key(feed: FeedSettings, slot: datetime) -> str:
    return f"{EVE}:{feed.slug}:{slot.isoformat()}"


def _wanted(tx: Tx, feed: FeedSettings, slot: datetime) -> list[tuple[Group, Selection]]:
    """The groups that this slot serves, with what each would get now."""
    schedules = [one for one in editions.due_schedules(tx, feed.slug, slot) if one.next_due_at == slot]
    return wanted_by(tx, feed, Due(tuple((one, slot) for one in schedules), (), (), feeds.state(tx, feed.slug).next_seq - 1))


def _coming(tx: Tx, feed: FeedSettings, slot: datetime, words: Intro | None) -> _Coming | None:
    wanted = _wanted(tx, feed, slot)
    if not wanted:
        return None
    intro = intros.for_edition(tx, feed, [group for group, _ in wanted], words)
    keys = [content_key(feed, group, selection, intro) for group, selection in wanted]
    sizes: Counter[str] = Counter()
    for (group, _), key in zip(wanted, keys, strict=True):
        sizes[key] += group.size
    shown = {item.seq: item for _, selection in wanted for item in selection.items}
    items = tuple(shown[seq] for seq in sorted(shown, reverse=True))
    return _Coming(slot, sizes.total(), items, wanted[keys.index(sizes.most_common(1)[0][0])], len(sizes), intro)


def _post(site: Site, feed: FeedSettings, coming: _Coming, now: datetime) -> None:
    document = _document(site, feed, coming, _rendered(site, feed, coming, now), now)
    words = notice.eve(document, site.texts)
    with site.store.write() as tx:
        post(
            site,
            tx,
            kind=EVE,
            dedupe_key=_dedupe_key(feed, coming.slot),
            sender=sender_of(site.settings, feed),
            recipient=feed.digest.editor,
            words=words,
            language=feed.language,
            now=now,
            deadline_at=coming.slot,
        )


def _rendered(site: Site, feed: FeedSettings, coming: _Coming, now: datetime) -> RenderedVariant:
    group, selection = coming.main
    mail = document_for(
        site.settings, feed, group.choice, selection, web_url="", due_at=coming.slot, opened_at=now, intro=coming.intro
    )
    return digest.render(mail, site.texts)


def _document(site: Site, feed: FeedSettings, coming: _Coming, mail: RenderedVariant, now: datetime) -> EveDocument:
    zone = ZoneInfo(site.settings.site.timezone)
    local = coming.slot.astimezone(zone)
    _, selection = coming.main
    return EveDocument(
        feed_slug=feed.slug,
        feed_title=feed.title,
        timezone=site.settings.site.timezone,
        language=feed.language,
        due_at=coming.slot,
        clock=f"{local:%H:%M}",
        days=(local.date() - now.astimezone(zone).date()).days,
        people=coming.people,
        items=tuple(EveItem(one.item.id, headline(one.item), link(one.item.url)) for one in coming.items),
        more=selection.more + len(selection.items) - mail.shown,
        versions=coming.versions,
        subject=mail.subject,
        text=mail.text,
        intro=coming.intro is not None,
    )
