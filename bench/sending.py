"""Editions sent beside Postfix's own load generator: ``measure()`` for ``make bench``; alone: ``python -m bench.sending [COUNT]``.

From claim to final state in an SQLite ledger, 8 connections into smtp-sink (Debian's postfix), in turns with smtp-source and
smtplib, who keep no ledger; of each the best turn counts. Every side is a process of its own. ``python -m bench.sending COUNT
million`` does the same for 1,000,000 recipients once, for the memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import smtplib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.people import NOW, _megabytes, _site
from pipeline import app
from pipeline.compose import message
from pipeline.config import RelaySettings
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.relay import always
from pipeline.deliver.smtp import SmtpRelay
from pipeline.jobs import new_dkim_key
from pipeline.jobs.deliver_batch import deliver_batch
from pipeline.jobs.open_edition import open_edition
from pipeline.jobs.site import Site
from pipeline.jobs.take_settings import name_feeds
from pipeline.models import Choice, DeliveryStatus, ItemStatus, OutgoingMessage, Personal, RelayAnswer, Stage
from pipeline.store import editions, feed_items, items, sources, subscribers
from pipeline.store.deliveries import sums
from tests.store.builders import DAILY, candidate

COUNT = 10_000
MILLION = 1_000_000
FAR = 1_000
DELAY = timedelta(milliseconds=10)  # one way, so that a round trip takes 20 ms
CONNECTIONS = 8
TURNS = 3
ITEMS = 10
SUMMARY = "Een bericht van enige lengte over scholen & opleidingen. " * 3
PLAIN = "plain"
KINDS = (PLAIN, "ed25519", "rsa")
SENDER = "nieuws@nieuws.example.org"
Row = tuple[str, str, str, str]
Found = dict[str, Any]


def measure(count: int = COUNT, million: bool = False) -> tuple[list[Row], str]:
    """Rows for the table, and what bounds them; only a sentence where something is missing that Debian has."""
    if not (shutil.which("smtp-sink") and shutil.which("smtp-source")):
        return [], "Sending was not measured: apt-get install postfix\n"
    folder = Path(tempfile.mkdtemp(prefix="gazet-bench-"))
    try:
        opened = {kind: _child("fill", str(count), str(folder / kind), kind) for kind in KINDS}[PLAIN]
        with _sink() as port:
            near = _near(folder, port, count, opened["bytes"])
            far, behind = _far(folder, port)
        books = _in_a_copy(folder / PLAIN, lambda site: _child("books", str(site)))
        large = _large(folder) if million else None
    finally:
        shutil.rmtree(folder)
    return _rows(near, far, behind, count, opened["bytes"]), _said(near, books, opened, large)


def _near(folder: Path, port: int, count: int, size: int) -> dict[str, Found]:
    """The best turn of each on loopback."""
    sides: dict[str, Callable[[], Found]] = {
        "source": lambda: _source(port, count, size),
        "kept": lambda: _source(port, count, size, "-d"),
        "smtplib": lambda: _child("smtplib", str(port), str(count // 5), "1", str(folder / PLAIN / "message")),
    }
    for kind in KINDS:
        sides[kind] = partial(_in_a_copy, folder / kind, lambda site: _child("send", str(site), str(port)))
    best: dict[str, Found] = {}
    for _ in range(TURNS):
        for name, side in sides.items():
            found = side()
            if name not in best or found["rate"] > best[name]["rate"]:
                best[name] = found
    return best


def _far(folder: Path, port: int) -> tuple[Found, Found]:
    """Gazet and smtplib with the same number of connections, 20 ms away."""
    few = folder / "few"
    _child("fill", str(FAR), str(few), PLAIN)
    with _proxy(port) as far_port:
        ours = _in_a_copy(few, lambda site: _child("send", str(site), str(far_port)))
        theirs = _child("smtplib", str(far_port), str(FAR), str(CONNECTIONS), str(few / "message"))
    return ours, theirs


def _large(folder: Path) -> Found:
    opened = _child("fill", str(MILLION), str(folder / "large"), PLAIN)
    with _sink() as port:
        return _child("send", str(folder / "large"), str(port)) | {"opening": opened["opening"]}


def _rows(near: dict[str, Found], far: Found, behind: Found, count: int, size: int) -> list[Row]:
    what = f"messages sent, claim to final state, {count:,} of {size // 1000} KB, {CONNECTIONS} connections"
    source, kept = f"smtp-source -s {CONNECTIONS}, a connection a message", f"smtp-source -s {CONNECTIONS} -d, connections kept"
    rows = [
        _row(f"{name}", near[kind]["rate"], peer, near[side]["rate"])
        for kind, name in ((PLAIN, what), ("ed25519", "the same, DKIM with Ed25519"), ("rsa", "the same, DKIM with RSA-2048"))
        for side, peer in (("source", source), ("kept", kept))
    ]
    rows.append(_row("the same, unsigned", near[PLAIN]["rate"], "smtplib, 1 connection", near["smtplib"]["rate"]))
    return [*rows, _row("the same over a 20 ms round trip", far["rate"], f"smtplib, {CONNECTIONS} threads", behind["rate"])]


def _row(what: str, ours: float, peer: str, theirs: float) -> Row:
    return what, f"{ours:,.0f}/s", f"{peer}: {theirs:,.0f}/s", f"{ours / theirs:.2f}"


def _said(near: dict[str, Found], books: Found, opened: Found, large: Found | None) -> str:
    names = {
        PLAIN: "Gazet",
        "ed25519": "with Ed25519",
        "rsa": "with RSA-2048",
        "source": "smtp-source",
        "kept": "smtp-source -d",
        "smtplib": "smtplib",
    }
    cpu = ", ".join(f"{name} {near[key]['cpu']:.3f}" for key, name in names.items())
    said = (
        f"Sending: CPU seconds of the sender for 1,000 messages: {cpu}. All of Gazet's own work on a message, claim, splice, "
        f"journal and final state, without a relay: {books['wall']:.0f} µs ({books['cpu']:.0f} µs of CPU). At most "
        f"{near[PLAIN]['megabytes']} MB for {opened['count']:,} recipients ({near[PLAIN]['resting']} MB before it)"
    )
    if large:
        said += (
            f", {large['megabytes']} MB for {MILLION:,} ({large['rate']:,.0f}/s); opening the edition for these took "
            f"{large['opening']:.1f} s"
        )
    return f"{said}.\n"


# The sides, each in a process of its own.


def _child(what: str, *arguments: str) -> Found:
    command = [sys.executable, "-m", "bench.sending", what, *arguments]
    found: Found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return found


def _in_a_copy(site: Path, work: Callable[[Path], Found]) -> Found:
    """On a copy of the filled site, since an edition is sent once."""
    copy = site.with_name("copy")
    shutil.copytree(site, copy)
    try:
        return work(copy)
    finally:
        shutil.rmtree(copy)


def _fill(count: str, folder: str, kind: str) -> Found:
    """A site whose edition for so many people is open; ``message``: what one of them gets."""
    site = _site(Path(folder))
    if kind != PLAIN:
        new_dkim_key.make(site.settings, kind, "bench")
        with (Path(folder) / "gazet.toml").open("a", encoding="utf-8") as file:
            file.write('[[dkim]]\nselector = "bench"\nkey_file = "var/dkim/bench.pem"\n')
        site = app.open_site(Path(folder))
    with site.store.write() as tx:
        name_feeds(tx, site)
        source = sources.sources(tx, "po")[0]
        news = [candidate(number, summary=SUMMARY) for number in range(1, ITEMS + 1)]
        made = [items.add(tx, source.id, source.url, one, status=ItemStatus.RELEASED, now=NOW) for one in news]
        feed_items.release(tx, "po", made, set(made), NOW)
        choice, schedule = subscribers.choice(tx, Choice()), subscribers.schedule(tx, "po", DAILY, NOW)
    _add_people(Path(folder), int(count), schedule, choice)
    begun = time.monotonic()
    open_edition(site, "po", NOW)
    opening = time.monotonic() - begun
    with site.store.read() as tx:
        edition = editions.latest(tx, 1)[0]
        assert sums(tx, edition.id)[DeliveryStatus.QUEUED] == int(count)
        data = editions.variants(tx, edition.id)[0].data
    link = "https://nieuws.example.org/" + 60 * "x"
    one = message.splice(data, Personal("lezer1@example.org", "", "<x@nieuws.example.org>", link, "mailto:a@example.org", link))
    (Path(folder) / "message").write_bytes(one)
    site.store.close()
    return {"opening": opening, "bytes": len(one), "count": int(count)}


def _add_people(folder: Path, count: int, schedule: int, choice: int) -> None:
    since = "2026-11-01 00:00:00"
    with sqlite3.connect(folder / "var/gazet.db") as database:
        people = ((n, f"lezer{n}@example.org", f"lezer{n}@example.org", since) for n in range(1, count + 1))
        database.executemany("INSERT INTO subscribers (id, address, folded, name, created_at) VALUES (?, ?, ?, '', ?)", people)
        rows = ((n, n, schedule, choice, since) for n in range(1, count + 1))
        sql = "INSERT INTO subscriptions (id, subscriber_id, feed, schedule_id, choice_id, status, settled_seq, changed_at)"
        database.executemany(f"{sql} VALUES (?, ?, 'po', ?, ?, 'active', 0, ?)", rows)
    database.close()


def _send(folder: str, port: str) -> Found:
    settings = RelaySettings(name="sink", host="127.0.0.1", port=int(port), tls="none", connections=CONNECTIONS)
    return _batch(app.open_site(Path(folder)), SmtpRelay(settings))


def _batch(site: Site, relay: Any) -> Found:
    """Rate a second, CPU seconds for 1,000 of this process and its children, the most memory, microseconds a message."""
    begun, before, resting = time.monotonic(), _cpu(), _megabytes()
    tally = deliver_batch(site, relay, process=app.process_name(), clock=lambda: NOW, stop=threading.Event())
    took, cpu = time.monotonic() - begun, _cpu() - before
    done = tally.outcomes[DeliveryStatus.ACCEPTED]
    with site.store.read() as tx:
        ends = sums(tx, editions.latest(tx, 1)[0].id)
    assert {status for status, number in ends.items() if number} == {DeliveryStatus.ACCEPTED}, (ends, tally)
    memory = {"megabytes": _megabytes(), "resting": resting}
    return {"rate": done / took, "cpu": 1000 * cpu / done, "micro": 1e6 * took / done, **memory}


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


class _Yes:
    """A relay in this process that takes everything: what is left is Gazet's own work."""

    name, connections, rate, usable = "yes", CONNECTIONS, None, True
    taken = RelayAnswer(Stage.DOT, 250, "2.0.0", "taken", handed_over=True)

    def connect(self) -> _Yes:
        return self

    def close(self) -> None:
        pass

    def send(self, _message: OutgoingMessage, wanted: Callable[[], bool] = always) -> RelayAnswer:
        assert wanted()
        return self.taken

    def deliver(self, ledger: Ledger) -> None:
        while (one := ledger.take()) is not None:
            if ledger.wanted(one):
                ledger.intend(one)
                ledger.settle(one, self.taken)


def _books(folder: str) -> Found:
    found = _batch(app.open_site(Path(folder)), _Yes())
    return {"wall": found["micro"], "cpu": 1000 * found["cpu"]}


def _source(port: int, count: int, size: int, *options: str) -> Found:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = ["smtp-source", *options, "-s", str(CONNECTIONS), "-m", str(count), "-l", str(size)]
    subprocess.run([*command, "-f", SENDER, "-t", "lezer@example.org", f"127.0.0.1:{port}"], check=True)
    took, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"rate": count / took, "cpu": 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / count}


def _smtplib(port: str, count: str, threads: str, path: str) -> Found:
    data, share = Path(path).read_bytes(), int(count) // int(threads)

    def work() -> None:
        with smtplib.SMTP("127.0.0.1", int(port)) as line:
            for number in range(share):
                line.sendmail(SENDER, f"lezer{number}@example.org", data)

    workers = [threading.Thread(target=work) for _ in range(int(threads))]
    begun, before = time.monotonic(), _cpu()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done, took = share * len(workers), time.monotonic() - begun
    return {"rate": done / took, "cpu": 1000 * (_cpu() - before) / done}


@contextmanager
def _sink() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with subprocess.Popen(["smtp-sink", *user, f"127.0.0.1:{port}", "1000"]) as process:
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise TimeoutError


@contextmanager
def _proxy(port: int) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.sending", "proxy", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


class _Late(asyncio.Protocol):
    """One end of a line on which everything arrives later, in its order, whatever its size."""

    def __init__(self, connect: Callable[[_Late], Any] | None = None, other: _Late | None = None) -> None:
        self.connect, self.other = connect, other
        self.transport: asyncio.Transport | None = None
        self.coming: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=1 << 30)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.connect is not None:
            self.task = asyncio.ensure_future(self.connect(self))

    def data_received(self, data: bytes) -> None:
        self._later(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._later(b"")

    def _later(self, data: bytes) -> None:
        self.coming.append(data)
        asyncio.get_running_loop().call_later(DELAY.total_seconds(), self._pass_on)

    def _pass_on(self) -> None:
        data = self.coming.popleft()
        if self.other is None or self.other.transport is None:
            return
        if data:
            self.other.transport.write(data)
        else:
            self.other.transport.close()


def _serve_late(port: str) -> None:
    async def connect(near: _Late) -> None:
        _, near.other = await asyncio.get_running_loop().create_connection(lambda: _Late(other=near), "127.0.0.1", int(port))

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Late(connect), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(serve())


def main() -> None:
    """All figures, or what one process of them does."""
    work = {"fill": _fill, "send": _send, "books": _books, "smtplib": _smtplib, "proxy": _serve_late}
    if len(sys.argv) > 1 and sys.argv[1] in work:
        if (found := work[sys.argv[1]](*sys.argv[2:])) is not None:
            print(json.dumps(found))
        return
    rows, said = measure(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT, "million" in sys.argv)
    for row in rows:
        print(" | ".join(row))
    print(said)


if __name__ == "__main__":
    main()
