"""``make bench``: what Gazet costs, beside named peers in the same run. Ratios are printed and kept in RESULTS.md."""

from __future__ import annotations

import json
import platform
import shutil
import smtplib
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from bench import publish, sending, serving
from pipeline import app
from pipeline.compose import digest, message
from pipeline.config import RelaySettings
from pipeline.deliver.smtp import SmtpRelay
from pipeline.jobs.deliver_batch import deliver_batch
from pipeline.jobs.open_edition import open_edition
from pipeline.models import DeliveryStatus, Personal
from pipeline.texts import Texts
from tests.factories import make_digest, make_feed_item
from tests.servers.web import WebServer
from tests.world import World, moment

PEOPLE = 2000
FEEDS = 1000
SUBSCRIPTIONS = 1_000_000
LINES = 100_000
ANN = Personal("ann@example.org", "Ann", "<x@example.org>", "https://news.example.org/unsubscribe/x", "mailto:a@example.org")


def seconds(work: Callable[[], object]) -> float:
    """How long it took, by the monotonic clock."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def main() -> None:
    """Measure everything and write the table."""
    rows = [*_splice(), *_editions()]
    collecting, spent = _collecting()
    published, formats = _publishing()
    served, serving_said = serving.measure()
    sent, sending_said = sending.measure()
    many, said = _many_people()
    rows += sent + collecting + published + served + many
    spent += sending_said + said
    head = f"Measured {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()}, 2 cores, everything on one machine.\n"
    table = "| what | Gazet | peer | ratio (Gazet ÷ peer) |\n|---|---|---|---|\n" + "".join(
        f"| {' | '.join(row)} |\n" for row in rows
    )
    text = f"# Results of `make bench`\n\n{head}\n{table}\n{_NOTES}\n{spent}\n{formats}\n{serving_said}"
    Path(__file__).with_name("RESULTS.md").write_text(text, encoding="utf-8")
    print(text)


_NOTES = """\
Rates are per second, so a ratio above 1 means that Gazet is faster. The row with 2 connections goes to a relay that does not
offer PIPELINING, the rows with 8 to smtp-sink, which does. Gazet keeps its ledger meanwhile (SQLite, synchronous=FULL, and a
journal between two claims); the peers keep no account at all.
"""


def _publishing() -> tuple[list[tuple[str, str, str, str]], str]:
    """RSS and Atom of 5,000 items beside feedgen alone; what all four formats take is said below the table."""
    four, ours, theirs = publish.measure()
    what = f"RSS and Atom of a feed of {publish.ITEMS} items, items rendered"
    said = (
        f"Publishing: {publish.ITEMS} items of 3 KB in four formats take {four:.2f} s of CPU, uncompressed; RSS and Atom alone"
        f" {ours:.2f} s, with feedgen used plainly {theirs:.2f} s. Where nothing is new nothing is rendered.\n"
    )
    return [_row(what, publish.ITEMS / ours, "feedgen, used plainly", publish.ITEMS / theirs)], said


def _many_people() -> tuple[list[tuple[str, str, str, str]], str]:
    """A million subscriptions that are due, and a CSV of a hundred thousand lines, each in a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="gazet-bench-"))
    try:
        found = {what: _people(what, count, folder / what) for what, count in (("due", SUBSCRIPTIONS), ("import", LINES))}
    finally:
        shutil.rmtree(folder)
    due, brought = found["due"], found["import"]
    peer = "sqlite3 rows into a dict, no items chosen"
    rows = [
        _row(f"due subscriptions grouped, {SUBSCRIPTIONS:,}", SUBSCRIPTIONS / due["seconds"], peer, SUBSCRIPTIONS / due["peer"]),
        _row(
            f"CSV lines imported, {LINES:,} all new",
            LINES / brought["seconds"],
            "csv, email-validator, sqlite3 executemany",
            LINES / brought["peer"],
        ),
    ]
    said = (
        f"Due: {due['seconds']:.1f} s for {SUBSCRIPTIONS:,} subscriptions, digests chosen, at most {due['megabytes']} MB "
        f"({due['resting']} MB before it). Import: {brought['seconds']:.1f} s for {LINES:,} lines, {brought['again']:.1f} s when "
        f"all are known, at most {brought['megabytes']} MB.\n"
    )
    return rows, said


def _people(what: str, count: int, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.people", what, str(count), str(folder)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def _collecting() -> tuple[list[tuple[str, str, str, str]], str]:
    """1,000 feeds of 50 items, each on an address of its own, stored; then asked again, when none has changed."""
    folder = Path(tempfile.mkdtemp(prefix="gazet-bench-"))
    sources = subprocess.Popen([sys.executable, "-m", "bench.sources", str(FEEDS)], stdout=subprocess.PIPE, text=True)
    try:
        assert sources.stdout is not None
        port = sources.stdout.readline().strip()
        sides = {side: _side(side, port, folder / side) for side in ("gazet", "reader", "gazet", "reader")}
    finally:
        sources.terminate()
        sources.wait()
        shutil.rmtree(folder)
    ours, theirs = sides["gazet"], sides["reader"]
    peer = "reader (lemon24) update_feeds"
    rows = [
        _row(f"feeds collected, {FEEDS} of 50 items, all new", FEEDS / ours["cold"], peer, FEEDS / theirs["cold"]),
        _row("the same once more, all 304", FEEDS / ours["same"], peer, FEEDS / theirs["same"]),
    ]
    cold, beside, same = (1000 * value / FEEDS for value in (ours["cpu"][0], ours["beside"][0], ours["cpu"][1]))
    peer_cold, peer_same = (1000 * value / FEEDS for value in theirs["cpu"])
    spent = (
        f"Collecting: at most {ours['megabytes']} MB, the two processes that read included; reader {theirs['megabytes']} MB. "
        f"CPU for a feed that is new: {cold:.1f} ms in Gazet (request, comparing, storing) and {beside:.1f} ms in the processes "
        f"that read (feedparser, dates, markup); reader {peer_cold:.1f} ms. For a 304: {same:.2f} ms, reader {peer_same:.2f} ms.\n"
    )
    return rows, spent


def _side(side: str, port: str, folder: Path) -> dict[str, Any]:
    """One side in a process of its own, on an empty folder; of two runs the later one counts, when files are warm."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "bench.collect", side, port, str(FEEDS), str(folder)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def _splice() -> list[tuple[str, str, str, str]]:
    document = make_digest([make_feed_item(seq) for seq in range(1, 26)])
    made = digest.render(document, Texts(None))

    def anew() -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = document.sender, ANN.address, made.subject
        mail.set_content(made.text)
        mail.add_alternative(made.html, subtype="html")
        mail.as_bytes()

    template = message.Template(made.data)
    ours = 2000 / seconds(lambda: [template.fill(ANN) for _ in range(2000)])
    theirs = 50 / seconds(lambda: [anew() for _ in range(50)])
    return [_row(f"personal messages built, {len(made.data) // 1000} KB", ours, "EmailMessage for each", theirs)]


def _editions() -> list[tuple[str, str, str, str]]:
    folder = Path(tempfile.mkdtemp(prefix="gazet-bench-"))
    sink = subprocess.Popen([sys.executable, "-m", "bench.sink"], stdout=subprocess.PIPE, text=True)
    try:
        assert sink.stdout is not None
        port = int(sink.stdout.readline())
        with WebServer() as web:
            world = World(folder / "site", web)
            _fill(world)
            opening = PEOPLE / seconds(lambda: open_edition(world.site, "po", moment("2026-11-24T08:00")))
            inserting = PEOPLE / seconds(lambda: _insert_rows(folder / "peer.db"))
            sending, data = _deliver(world, port)
            peer = PEOPLE / seconds(lambda: _smtplib(port, data))
            world.close()
    finally:
        sink.terminate()
        sink.wait()
        shutil.rmtree(folder)
    return [
        _row(f"deliveries opened ({PEOPLE} subscriptions)", opening, "sqlite3 executemany of the same rows", inserting),
        _row(
            f"messages delivered, 2 connections, {len(data) // 1000} KB", sending, "smtplib.sendmail, 1 connection, no ledger", peer
        ),
    ]


def _fill(world: World) -> None:
    for number in range(25):
        world.news(f"Bericht {number}", "2026-11-20T09:00", text="Een bericht van enige lengte. " * 8)
    lines = "email,feed,cadence\n" + "".join(f"lezer{number}@example.org,po,daily\n" for number in range(PEOPLE))
    (world.folder / "people.csv").write_text(lines, encoding="utf-8")
    from pipeline.jobs import people

    world.engine("2026-11-23T12:00").once()
    with (world.folder / "people.csv").open(encoding="utf-8", newline="") as file:
        people.import_subscribers(world.site, people.read_csv(world.site, file), moment("2026-11-23T12:00"))


def _insert_rows(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE d (id INTEGER PRIMARY KEY, e INTEGER, s INTEGER UNIQUE, address TEXT, status TEXT)")
        rows = [(1, number, f"lezer{number}@example.org", "queued") for number in range(PEOPLE)]
        database.executemany("INSERT INTO d (e, s, address, status) VALUES (?, ?, ?, ?)", rows)


def _deliver(world: World, port: int) -> tuple[float, bytes]:
    relay = SmtpRelay(RelaySettings(name="sink", host="127.0.0.1", port=port, tls="none", connections=2))
    took = time.monotonic()
    now = moment("2026-11-24T08:00")
    tally = deliver_batch(world.site, relay, process=app.process_name(), clock=lambda: now, stop=threading.Event())
    took = time.monotonic() - took
    assert tally.outcomes[DeliveryStatus.ACCEPTED] == PEOPLE, tally
    from pipeline.store import editions

    with world.site.store.read() as tx:
        [variant] = editions.variants(tx, editions.latest(tx, 1)[0].id)
    return PEOPLE / took, message.splice(variant.data, ANN)


def _smtplib(port: int, data: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port) as line:
        for number in range(PEOPLE):
            line.sendmail("news@example.org", f"lezer{number}@example.org", data)


def _row(what: str, ours: float, peer: str, theirs: float) -> tuple[str, str, str, str]:
    return what, f"{ours:,.0f}/s", f"{peer}: {theirs:,.0f}/s", f"{ours / theirs:.2f}"


if __name__ == "__main__":
    main()
