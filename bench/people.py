"""Many people, in a process of their own: ``python -m bench.people import|due|fill COUNT FOLDER``.

Prints one line of JSON: seconds, those of the peer, and the most memory in MB that the process held (RSS, with what it holds at
rest). ``import``: a CSV of COUNT lines, 3,000 domains, all new; then the same file again. ``due``: COUNT subscriptions of one
feed, on 24 rhythms that are all due, with 40 choices and 60 cursors, and which digests come of them; ``fill`` writes them.
"""

from __future__ import annotations

import csv
import json
import random
import re
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import app
from pipeline.jobs import people
from pipeline.jobs.open_edition import find_due, wanted_by
from pipeline.jobs.site import Site
from pipeline.jobs.take_settings import name_feeds
from pipeline.models import Cadence, Choice, Rhythm
from pipeline.store import subscribers
from tests.store.builders import add_items

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
ZONES = ("Europe/Amsterdam", "Europe/London", "America/New_York", "Asia/Tokyo", "Australia/Sydney", "Africa/Nairobi")
ITEMS = 60
CHOICES = 40


def main() -> None:
    """One figure."""
    what, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps({"import": _import, "due": _due, "fill": _fill}[what](count, folder)))


def _site(folder: Path) -> Site:
    (folder / "feeds").mkdir(parents=True)
    (folder / "var").mkdir()
    (folder / "var/secret").write_text(secrets.token_hex(32), encoding="ascii")
    (folder / "gazet.toml").write_text(
        '[site]\ntitle = "Bench"\nurl = "https://nieuws.example.org"\ncontact = "a@example.org"\n', encoding="utf-8"
    )
    source = '[[source]]\nurl = "https://www.example.org/nieuws/"\n'
    (folder / "feeds/po.toml").write_text(f'title = "Feed"\n{source}', encoding="utf-8")
    return app.open_site(folder)


def _megabytes() -> int:
    """Of this process alone: ``ru_maxrss`` begins with what the process was that started it."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024  # type: ignore[index]


def _timed(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def _lines(count: int) -> Iterator[tuple[str, ...]]:
    for number in range(count):
        cadence, topics = ("daily", "weekly", "monthly")[number % 3], ("", "zorg", "po;vo")[number % 3]
        yield f"lezer{number}@school{number % 3000}.example.org", "po", f"Lezer {number}", cadence, topics, "formulier 2024"


def _import(count: int, folder: Path) -> dict[str, Any]:
    site = _site(folder)
    path = folder / "people.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("email", "feed", "name", "cadence", "topics", "consent"))
        writer.writerows(_lines(count))

    def bring_in() -> None:
        with path.open(encoding="utf-8", newline="") as file:
            done = people.import_subscribers(site, people.read_csv(site, file), NOW)
        assert not done.refused, done.refused[:3]
        assert sum(done.counts.values()) == count, done.counts

    took = _timed(bring_in)
    megabytes = _megabytes()
    again = _timed(bring_in)
    return {"seconds": took, "again": again, "megabytes": megabytes, "peer": _timed(lambda: _read_and_insert(path, folder, count))}


def _read_and_insert(path: Path, folder: Path, count: int) -> None:
    """The peer: the csv module, email-validator, and sqlite3 executemany of the same three tables."""
    from email_validator import validate_email

    with sqlite3.connect(folder / "peer.db") as database, path.open(encoding="utf-8", newline="") as file:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, address TEXT, folded TEXT UNIQUE, name TEXT)")
        database.execute("CREATE TABLE s (id INTEGER PRIMARY KEY, p INTEGER, cadence TEXT, topics TEXT, UNIQUE (p, cadence))")
        database.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, s INTEGER, evidence TEXT)")
        reader = csv.reader(file)
        next(reader)
        while rows := [row for _, row in zip(range(1000), reader, strict=False)]:
            valid = [validate_email(row[0], check_deliverability=False, test_environment=True).normalized for row in rows]
            ids = [secrets.randbits(62) for _ in rows]
            whole = list(zip(ids, valid, rows, strict=True))
            database.executemany("INSERT INTO p VALUES (?, ?, ?, ?)", [(one, a, a.casefold(), row[2]) for one, a, row in whole])
            database.executemany("INSERT INTO s VALUES (?, ?, ?, ?)", [(one, one, row[3], row[4]) for one, _, row in whole])
            database.executemany("INSERT INTO c (s, evidence) VALUES (?, ?)", [(one, row[5]) for one, _, row in whole])
            database.commit()
        assert database.execute("SELECT count(*) FROM c").fetchone() == (count,)


def _due(count: int, folder: Path) -> dict[str, Any]:
    subprocess.run([sys.executable, "-m", "bench.people", "fill", str(count), str(folder)], check=True, stdout=subprocess.DEVNULL)
    site = app.open_site(folder)
    feed = site.feed("po")

    def select() -> None:
        with site.store.read() as tx:
            due = find_due(tx, feed, NOW)
            wanted = wanted_by(tx, feed, due)
        assert len(due.on_time) == 4 * len(ZONES), due
        assert sum(group.size for group, _ in wanted) > count // 3, len(wanted)

    resting = _megabytes()
    took = _timed(select)
    return {"seconds": took, "megabytes": _megabytes(), "resting": resting, "peer": _timed(lambda: _by_person(folder, count))}


def _fill(count: int, folder: Path) -> None:
    """The rows as an import writes them, but quickly, and without keeping any of them in memory."""
    site = _site(folder)
    with site.store.write() as tx:
        name_feeds(tx, site)
        add_items(tx, range(1, ITEMS + 1))
        choices = [subscribers.choice(tx, Choice())]
        choices += [subscribers.choice(tx, Choice(language="nl", topics=(f"topic {n}",) * (n % 2))) for n in range(1, CHOICES)]
        rhythms = [Rhythm(Cadence.DAILY, time=f"{hour:02}:00", zone=zone) for zone in ZONES for hour in (5, 6, 7, 8)]
        schedules = [subscribers.schedule(tx, "po", rhythm, NOW) for rhythm in rhythms]
    dice = random.Random(1)
    with sqlite3.connect(folder / "var/gazet.db") as database:
        people_rows = ((n, f"lezer{n}@example.org", f"lezer{n}@example.org", "2026-11-01 00:00:00") for n in range(1, count + 1))
        database.executemany("INSERT INTO subscribers (id, address, folded, name, created_at) VALUES (?, ?, ?, '', ?)", people_rows)
        rows = (
            (n, n, dice.choice(schedules), dice.choice(choices), dice.randrange(ITEMS), "2026-11-01 00:00:00")
            for n in range(1, count + 1)
        )
        sql = "INSERT INTO subscriptions (id, subscriber_id, feed, schedule_id, choice_id, status, settled_seq, changed_at)"
        database.executemany(f"{sql} VALUES (?, ?, 'po', ?, ?, 'active', ?, ?)", rows)
    database.close()


def _by_person(folder: Path, count: int) -> None:
    """The peer: every due subscription read with sqlite3 and grouped in a dictionary."""
    with sqlite3.connect(folder / "var/gazet.db") as database:
        groups: dict[tuple[int, int], int] = {}
        query = (
            "SELECT settled_seq, choice_id FROM subscriptions s JOIN schedules h ON h.id = s.schedule_id"
            " WHERE s.status = 'active' AND h.feed = 'po' AND h.next_due_at <= '2026-11-24 07:00:00.000000'"
        )
        for key in database.execute(query):
            groups[key] = groups.get(key, 0) + 1
        assert sum(groups.values()) == count, sum(groups.values())
    database.close()


if __name__ == "__main__":
    main()
