"""What a journal tells the next process: what was answered, what was surely not sent, and what is in doubt (promise 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import app
from pipeline.deliver import journal
from pipeline.jobs import report
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


def _break_off(world: World) -> None:
    world.run(TUESDAY, relay=lambda: _BreaksOff(app.relay_for(world.site), lambda: None))


def test_of_a_claim_that_broke_off_only_what_was_on_the_wire_is_in_doubt(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, *NAMES)
    _break_off(world)
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


def test_what_a_relay_answered_before_a_crash_is_a_fact_after_it(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, *NAMES)

    class Refuses(_BreaksOff):
        def happen(self) -> None:
            super().happen()
            if self.answers == 3:  # the last of the claim before
                server.answer("rcpt", "550 5.1.1 no such user", times=1)

    world.run(TUESDAY, relay=lambda: Refuses(app.relay_for(world.site), lambda: None))
    world.run(LATER)
    [refused] = [name for name, became in outcome(world).items() if became == "failed"]
    assert outcome(world) == dict.fromkeys(NAMES, "accepted") | {refused: "failed"}
    assert suppressed(world, refused)
    assert sum(f"<{refused}@" in line for line in server.commands) == 1, "it was not asked a second time"


def test_after_a_power_cut_a_missing_intent_proves_nothing(
    server: SmtpServer,
    place: SiteMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = place(server, *NAMES)
    _break_off(world)
    monkeypatch.setattr(journal, "boot_id", lambda: "another boot")
    world.run(LATER)
    assert outcome(world) == dict.fromkeys(NAMES, "accepted")
    [found] = report.verify(world.site, LABEL)
    assert len(found.maybe_twice) == 2, "all of the claim but the two that were answered and noted"
    assert max(copies(server).values()) <= 2
