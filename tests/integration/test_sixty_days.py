"""Sixty days of 200 people who change their minds: each matching item once, at the time chosen, as a naive model tells it.

Two spans of thirty days, over the change of clocks in autumn and over that in spring, each with three days without Gazet and some
hours now and then. ``PLAY_DAYS`` makes each span longer, ``PLAY_PEOPLE`` the crowd larger, ``PLAY_SEED`` plays another one.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path

import pytest
from sqlalchemy import text

from pipeline.compose import digest
from pipeline.config import WEEKDAYS
from pipeline.deliver.ledger import Ledger, in_lock_step
from pipeline.deliver.relay import always
from pipeline.jobs import due, people
from pipeline.jobs.collect_source import collect_source
from pipeline.jobs.deliver_batch import deliver_batch
from pipeline.jobs.open_edition import open_edition
from pipeline.jobs.take_settings import make_rows
from pipeline.models import DigestDocument, OutgoingMessage, RelayAnswer, RenderedVariant, Stage
from pipeline.texts import Texts
from tests.naive import DAY, Mail, Model, Rules, Story, Wish
from tests.servers.web import WebServer
from tests.world import World

QUARTER = timedelta(minutes=15)
PEOPLE = int(os.environ.get("PLAY_PEOPLE", "200"))
DAYS = int(os.environ.get("PLAY_DAYS", "30"))
SEED = int(os.environ.get("PLAY_SEED", "5"))
TOPICS = ("zorg", "onderwijs", "onderzoek", "bestuur")
CLOCKS = (
    ("02:15", "Europe/Amsterdam"),
    ("08:00", "Europe/Amsterdam"),
    ("02:15", "America/New_York"),
    ("02:15", "Australia/Lord_Howe"),
    ("08:00", "Asia/Kathmandu"),
)
"""Most at an hour that comes twice or not at all: on 25 October and 28 March in Amsterdam, on 14 March in New York, and on Lord
Howe, where it is half an hour, on 4 October and 4 April."""


class Keeper:
    """A relay in this process that accepts all and keeps it."""

    name, connections, rate, usable = "keeper", 1, None, True

    def __init__(self) -> None:
        self.kept: list[Mail] = []

    def connect(self) -> Keeper:
        return self

    def deliver(self, ledger: Ledger) -> None:
        in_lock_step(self.send, lambda: True, ledger)

    def send(self, message: OutgoingMessage, wanted: Callable[[], bool] = always) -> RelayAnswer:
        assert wanted()
        titles, more = json.loads(message.data.rpartition(b"\r\n")[2])
        self.kept.append(Mail(message.recipient, tuple(titles), more))
        return RelayAnswer(Stage.DOT, 250, "2.0.0", "kept", handed_over=True)

    def close(self) -> None:
        """Nothing to close."""


def plain(document: DigestDocument, _texts: Texts) -> RenderedVariant:
    """A digest of titles alone: how it looks is told elsewhere, and takes most of the time."""
    chosen = document.selection
    data = json.dumps([[found.item.title for found in chosen.items], chosen.more]).encode()
    return RenderedVariant("Nieuws", "", "", b"To: \0to\0\r\nMessage-ID: \0message_id\0\r\n\r\n" + data, len(chosen.items))


@dataclass(frozen=True)
class Span:
    """Thirty days and the rules of the feed then."""

    first: date
    rules: Rules


SPANS = {
    "autumn": Span(date(2026, 9, 30), Rules(2, 1, 3, timedelta(days=4), timedelta(hours=6))),
    "spring": Span(date(2027, 3, 10), Rules(5, 3, 25, timedelta(days=30), timedelta(hours=2))),
}


class Play:
    """One span on a real site, beside the model."""

    def __init__(self, world: World, span: Span, dice: random.Random) -> None:
        self.world, self.dice, self.relay = world, dice, Keeper()
        self.begin = datetime.combine(span.first, datetime.min.time(), UTC)
        self.end = self.begin + DAYS * DAY
        self.model = Model(span.rules, span.first - 2 * DAY, span.first + (DAYS + 40) * DAY)
        self.stories: list[Story] = []
        self.told = self.ticks = 0
        make_rows(world.site)

    def play(self) -> None:
        """Quarter by quarter: stories, changes of mind, and a tick wherever something is due and Gazet runs."""
        for _ in range(8):
            self.news(self.begin - self.dice.randrange(1, 400) * QUARTER)
        self.change(self.begin, at_once=PEOPLE * 3 // 4)
        away = self.absences()
        now, waiting = self.begin, True
        while now < self.end:
            waiting |= self.write_news(now)
            if not any(since <= now < until for since, until in away):
                if waiting or self.model.has_slot(now) or any(until == now for _, until in away):
                    self.tick(now, collect=waiting)
                    waiting = False
                if self.dice.random() < 0.06 and self.change(now + timedelta(minutes=7)):
                    self.tick(now + timedelta(minutes=8), collect=False)
            now += QUARTER

    def absences(self) -> list[tuple[datetime, datetime]]:
        """Three days, and a few times some hours."""
        since = self.begin + self.dice.randrange(10 * 96, 14 * 96) * QUARTER
        hours = [self.begin + self.dice.randrange(DAYS * 96) * QUARTER for _ in range(5)]
        return [(since, since + 3 * DAY), *((one, one + self.dice.randrange(1, 40) * QUARTER) for one in hours)]

    def write_news(self, now: datetime) -> bool:
        """About one story a day, sometimes several, sometimes with an old date; and now and then one is edited, once."""
        draw = self.dice.random()
        if draw < 0.009:
            for number in range(self.dice.choice((1, 1, 1, 5))):
                self.news(now - timedelta(seconds=1 + number))
        elif draw < 0.012:
            self.news(now - self.dice.randrange(1, 8 * 96) * QUARTER - timedelta(seconds=len(self.stories)))
        elif draw < 0.016:
            story = self.dice.choice(self.stories[-12:])
            if "(" in story.title:
                return False
            story.title, story.topics = f"{story.title} (bijgewerkt)", self.some_topics()
        return draw < 0.016

    def some_topics(self) -> tuple[str, ...]:
        return tuple(self.dice.sample(TOPICS, self.dice.choice((0, 1, 1, 2))))

    def news(self, published: datetime) -> None:
        number = len(self.stories) + 1
        self.stories.append(Story(number, f"Bericht {number}", published, self.some_topics()))

    def serve(self) -> None:
        """The last stories told, in any order."""
        shown = self.stories[-60:]
        self.dice.shuffle(shown)
        items = "".join(
            f"<item><title>{escape(one.title)}</title><link>{self.world.web.url(f'/{one.guid}/')}</link>"
            f'<guid isPermaLink="false">{one.guid}</guid><pubDate>{format_datetime(one.published)}</pubDate>'
            + "".join(f"<category>{topic.title()}</category>" for topic in one.topics)
            + "</item>"
            for one in shown
        )
        head = f"<title>Bron</title><link>{self.world.web.url('/')}</link><description>x</description>"
        body = f'<rss version="2.0"><channel>{head}{items}</channel></rss>'
        self.world.web.serve("/feed.xml", body, content_type="application/rss+xml")

    def change(self, now: datetime, at_once: int = 1) -> bool:
        """Some people join, change their mind or leave; whether one of them now wants everything at once."""
        instant, lines = False, []
        for _ in range(at_once):
            known = [address for address, reader in self.model.readers.items() if not reader.gone]
            joins = at_once > 1 or (len(self.model.readers) < PEOPLE and self.dice.random() < 0.4)
            address = f"p{len(self.model.readers)}@example.org" if joins else self.dice.choice(known)
            if not joins and self.dice.random() < 0.08:
                people.unsubscribe(self.world.site, address, None, now)
                self.model.leaves(address)
                continue
            wish, topics = self.some_wish(), frozenset(self.dice.sample(TOPICS, self.dice.choice((0, 0, 1, 2))))
            lines.append({"email": address, "feed": "po", "topics": ";".join(sorted(topics)), **columns(wish)})
            self.model.wants(address, wish, topics, now)
            instant |= wish.cadence == "instant"
        self.bring_in(lines, now)
        return instant

    def bring_in(self, lines: list[dict[str, str]], now: datetime) -> None:
        file = io.StringIO(newline="")
        writer = csv.DictWriter(file, people.COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(lines)
        file.seek(0)
        done = people.import_subscribers(self.world.site, people.read_csv(self.world.site, file), now)
        assert not done.refused, done.refused

    def some_wish(self) -> Wish:
        cadence = self.dice.choice(("instant", "daily", "daily", "weekly", "weekly", "weekly", "weekly", "monthly", "monthly"))
        if cadence == "instant":
            return Wish(cadence, time="", zone="")
        weekday = self.dice.randrange(7) if cadence == "weekly" else -1
        day = self.dice.choice((1, 15, 28, 31)) if cadence == "monthly" else 0
        return Wish(cadence, weekday, day, *self.dice.choice(CLOCKS))

    def tick(self, now: datetime, *, collect: bool) -> None:
        """What the engine does in a tick, and what the model says of it."""
        site = self.world.site
        if collect:
            self.serve()
            [source] = due.due_sources(site, now)
            done = collect_source(site, source, now)
            assert not done.problem, done.problem
            self.model.collect(self.stories, now)
        for slug in due.due_editions(site, now):
            open_edition(site, slug, now)
        self.deliver(now)
        came, expected = self.relay.kept[self.told :], self.model.tick(now)
        self.told = len(self.relay.kept)
        assert len(came) == len(set(came)), f"{now}: somebody got one mail twice"
        wrong = [("it came", mail) for mail in set(came) - expected] + [("it should come", mail) for mail in expected - set(came)]
        assert not wrong, f"{now}: " + "\n".join(f"{what}: {mail}, {self.model.readers[mail.address]}" for what, mail in wrong[:6])

    def deliver(self, now: datetime) -> None:
        """Through the relay at every sixth tick; at the others what waits is read and called accepted, which takes no time."""
        self.ticks += 1
        if self.ticks % 6 == 0 or "PLAY_DAYS" in os.environ:
            deliver_batch(self.world.site, self.relay, process="this", clock=lambda: now, stop=threading.Event())
            return
        with self.world.site.store.write() as tx:
            waiting = tx.execute(text(_WAITING)).all()
            tx.execute(text("UPDATE deliveries SET status = 'accepted' WHERE status = 'queued'"))
        for address, data in waiting:
            self.relay.send(OutgoingMessage("", "", address, data))


_WAITING = "SELECT d.address, v.bytes FROM deliveries d JOIN variants v ON v.id = d.variant_id WHERE d.status = 'queued'"


def columns(wish: Wish) -> dict[str, str]:
    """A wish as columns of a CSV."""
    weekday = {"weekday": WEEKDAYS[wish.weekday]} if wish.weekday >= 0 else {}
    day = {"day": str(wish.day)} if wish.day else {}
    times = {"time": wish.time, "timezone": wish.zone} if wish.time else {}
    return {"cadence": wish.cadence, **weekday, **day, **times}


@pytest.mark.parametrize("name", SPANS)
def test_each_matching_item_comes_once_and_at_the_time_chosen(
    name: str, tmp_path: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = SPANS[name]
    rules = span.rules
    settings = (
        f"first_items = {rules.first_items}\nmin_items = {rules.min_items}\nmax_items = {rules.max_items}\n"
        f'max_age = "{rules.max_age.days}d"\nlate_after = "{rules.late_after.seconds // 3600}h"\n'
    )
    world = World(tmp_path / "site", web)
    world.write_feed(digest=settings, source="guard = false")
    monkeypatch.setattr(digest, "render", plain)
    play = Play(world, span, random.Random(f"{SEED} {name}"))
    try:
        play.play()
    except AssertionError as error:
        raise AssertionError(f"PLAY_SEED={SEED} PLAY_DAYS={DAYS} PLAY_PEOPLE={PEOPLE} {name}: {error}") from None
    finally:
        world.close()
    got = [(mail.address, title.removesuffix(" (bijgewerkt)")) for mail in play.relay.kept for title in mail.titles]
    assert len(got) == len(set(got)), "somebody got an item twice"
    assert len(play.relay.kept) > PEOPLE
