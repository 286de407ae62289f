"""What a journal tells the next process: what was answered, what was surely not sent, and what is in doubt (promise 2)."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import app
from pipeline.deliver import journal
from pipeline.errors import StoreError
from pipeline.jobs import connection, deliver_batch, report
from tests.integration.ledger import LABEL, TUESDAY, SiteMaker, Watched, address, copies, outcome, sites, suppressed
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World

NAMES = [f"lezer{number}" for number in range(12)]
LATER = "2026-11-24T08:01"


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    """A server that takes everything."""
    with SmtpServer() as made:
        yield made


@pytest.fixture
def place(tmp_path: Path, web: WebServer) -> Iterator[SiteMaker]:
    """Makes a site that sends through a server."""
    with sites(tmp_path / "site", web) as make:
        yield make


class _BreaksOff(Watched):
    """A relay at whose sixth answer this process stops, in a claim of four of which it has heard two."""

    answers = 0

    def happen(self) -> None:
        self.answers += 1
        if self.answers == 6:
            raise RuntimeError("stopped")


@pytest.fixture
def break_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[World, type[Watched]], None]:
    """Send in the morning until the process stops, which writes nothing down as it goes."""

    def run(world: World, relay: type[Watched] = _BreaksOff) -> None:
        with monkeypatch.context() as dying:
            dying.setattr(deliver_batch.Batch, "_recover", lambda _: 0)
            dying.setattr(connection.Connection, "_write_down", written_unless_dying)
            world.run(TUESDAY, relay=lambda: relay(app.relay_for(world.site), lambda: None))

    write_down = connection.Connection._write_down

    def written_unless_dying(*given: Any, **more: Any) -> Any:
        if sys.exc_info()[0] is not None:
            raise StoreError("killed")
        return write_down(*given, **more)

    return run


def test_of_a_claim_that_broke_off_only_what_was_on_the_wire_is_in_doubt(
    server: SmtpServer, place: SiteMaker, break_off: Callable[..., None]
) -> None:
    world = place(server, *NAMES)
    break_off(world)
    claimed = [name for name, status in outcome(world).items() if status == "sending"]
    assert len(claimed) == 4, "all of the claim, as far as the database knows"
    said = Counter(report.explain(world.site, address(name), LABEL).remarks[-1].partition("says: ")[2] for name in claimed)
    assert said == {"answered 250": 2, "its content was sent or about to be; no answer is noted": 1, "not begun": 1}
    world.run(LATER)
    assert outcome(world) == dict.fromkeys(NAMES, "accepted")
    [found] = report.verify(world.site, LABEL)
    assert len(found.maybe_twice) == 1
    assert sorted(copies(server).values()) == [1] * (len(NAMES) - 1) + [2]
    assert journal.journals(world.site.settings.path(journal.FOLDER)) == []


def test_what_a_relay_answered_before_a_crash_is_a_fact_after_it(
    server: SmtpServer, place: SiteMaker, break_off: Callable[..., None]
) -> None:
    world = place(server, *NAMES)

    class Refuses(_BreaksOff):
        def happen(self) -> None:
            super().happen()
            if self.answers == 3:  # the last of the claim before
                server.answer("rcpt", "550 5.1.1 no such user", times=1)

    break_off(world, Refuses)
    world.run(LATER)
    [refused] = [name for name, became in outcome(world).items() if became == "failed"]
    assert outcome(world) == dict.fromkeys(NAMES, "accepted") | {refused: "failed"}
    assert suppressed(world, refused)
    assert sum(f"<{refused}@" in line for line in server.commands) == 1, "it was not asked a second time"


def test_after_a_power_cut_a_missing_intent_proves_nothing(
    server: SmtpServer,
    place: SiteMaker,
    break_off: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = place(server, *NAMES)
    break_off(world)
    monkeypatch.setattr(journal, "boot_id", lambda: "another boot")
    world.run(LATER)
    assert outcome(world) == dict.fromkeys(NAMES, "accepted")
    [found] = report.verify(world.site, LABEL)
    assert len(found.maybe_twice) == 2, "all of the claim but the two that were answered and noted"
    assert max(copies(server).values()) <= 2


def test_what_breaks_off_without_dying_is_written_down_at_once(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, *NAMES)
    world.run(TUESDAY, relay=lambda: _BreaksOff(app.relay_for(world.site), lambda: None))
    assert Counter(outcome(world).values()) == {"accepted": 5, "queued": 7}
    world.run(LATER)
    assert outcome(world) == dict.fromkeys(NAMES, "accepted")
    assert sorted(copies(server).values()) == [1] * (len(NAMES) - 1) + [2]


def test_a_journal_that_cannot_be_read_is_kept_and_said(
    server: SmtpServer, place: SiteMaker, break_off: Callable[..., None]
) -> None:
    world = place(server, *NAMES)
    break_off(world)
    [path] = journal.journals(world.site.settings.path(journal.FOLDER))
    other = path.with_name("of-another.journal")
    path.unlink()
    other.mkdir()  # so that root cannot read it either
    world.run(LATER)
    said = " ".join(one.what for one in report.status(world.site).problems)
    assert f"the journal {other} cannot be read" in said
    assert other.exists()
    assert outcome(world) == dict.fromkeys(NAMES, "accepted")


@pytest.mark.parametrize("without", [(), ("PIPELINING",)], ids=["pipelined", "lock-step"])
def test_a_connection_whose_claim_was_taken_away_begins_nothing_more(
    tmp_path: Path, web: WebServer, monkeypatch: pytest.MonkeyPatch, without: tuple[str, ...]
) -> None:
    """It hung at its fifth answer for longer than the end of the process waits, and comes back before the process is gone."""
    monkeypatch.setattr(deliver_batch, "_GRACE_SECONDS", 0.1)
    stop, judged = threading.Event(), threading.Event()
    recover = deliver_batch.Batch._recover

    def recover_and_tell(batch: deliver_batch.Batch) -> int:
        found = recover(batch)
        if stop.is_set():
            judged.set()
        return found

    class Hangs(_BreaksOff):
        def happen(self) -> None:
            self.answers += 1
            if self.answers == 5:
                stop.set()
                assert judged.wait(20)

    with SmtpServer(without=without) as server, sites(tmp_path / "site", web) as place:
        world = place(server, *NAMES)
        with monkeypatch.context() as ending:
            ending.setattr(deliver_batch.Batch, "_recover", recover_and_tell)
            world.run(TUESDAY, relay=lambda: Hangs(app.relay_for(world.site), lambda: None), stop=stop)
        for thread in threading.enumerate():
            if thread.name.startswith("provider-"):
                thread.join(20)
        assert sum(copies(server).values()) == 5
        world.run(LATER)
        [found] = report.verify(world.site, LABEL)
        assert outcome(world) == dict.fromkeys(NAMES, "accepted")
        twice = {address(name) for name, count in copies(server).items() if count > 1}
        assert twice <= set(found.maybe_twice)
        assert len(found.maybe_twice) == 1
