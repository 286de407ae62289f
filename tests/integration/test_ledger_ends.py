"""How deliveries end when the relay is at fault, the deadline is near, or a clock runs wild: never without a word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import app
from pipeline.deliver.relay import Relay
from pipeline.engines.local import LocalEngine
from pipeline.jobs.sweep import sweep
from pipeline.store import deliveries
from tests.integration.ledger import LABEL, TUESDAY, SiteMaker, address, copies, outcome, problems, sites
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World, moment


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    """A mail server in clear text that takes everything until told otherwise."""
    with SmtpServer() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, web: WebServer) -> Iterator[SiteMaker]:
    """Sites that send through a server."""
    with sites(tmp_path / "site", web) as make:
        yield make


def test_a_relay_that_refuses_the_sender_is_known_also_when_only_one_person_waits(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann")
    server.answer("mail", "550 5.7.1 sender not allowed")
    world.run(TUESDAY)
    [problem] = problems(world)
    assert "sender not allowed" in problem
    asked = len(server.commands)
    world.run("2026-11-24T08:00:30")
    assert len(server.commands) == asked, "the relay rests before it is asked again"
    server.behave()
    world.run("2026-11-24T08:02")
    assert outcome(world) == {"ann": "accepted"}
    assert problems(world) == []


def test_what_is_refused_for_now_until_the_deadline_comes_in_the_next_digest_and_is_said(
    server: SmtpServer, place: SiteMaker
) -> None:
    world = place(server, "ann", digest='deadline = "1h"')
    server.defer(address("ann"), 451, "4.2.0", "try later")
    for at in (TUESDAY, "2026-11-24T08:30", "2026-11-24T08:59:59", "2026-11-24T09:00", "2026-11-24T09:01"):
        world.run(at)
    assert outcome(world) == {"ann": "expired"}
    assert any("not sent before the deadline" in problem for problem in problems(world))
    server.behave()
    world.run("2026-11-25T08:00")
    assert copies(server) == {"ann": 1}


def test_an_edition_that_a_policy_refused_for_a_few_is_said(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob")
    server.refuse_everyone(554, "5.7.1", "blocked by policy")
    world.run(TUESDAY)
    assert outcome(world) == {"ann": "failed", "bob": "failed"}
    [problem] = problems(world)
    assert "refused 2 deliveries for good" in problem
    server.behave()
    from pipeline.jobs import operate

    assert operate.retry(world.site, LABEL, moment("2026-11-24T09:00"), from_outbox=False) == 2
    world.run("2026-11-24T09:00")
    assert problems(world) == []
    assert copies(server) == {"ann": 1, "bob": 1}


def test_a_wrong_address_alone_is_no_problem_for_a_person(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob")
    server.refuse(address("bob"), 550, "5.1.1", "no such user")
    world.run(TUESDAY)
    assert outcome(world) == {"ann": "accepted", "bob": "failed"}
    assert problems(world) == []


def test_a_living_sender_keeps_its_claim_whatever_the_clock_says(
    server: SmtpServer, place: SiteMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = place(server, "ann")
    world.run("2026-11-23T12:00")
    on_the_wire, go_on = threading.Event(), threading.Event()

    def relay() -> Relay:
        return _Waiting(app.relay_for(world.site), on_the_wire, go_on)

    sending = threading.Thread(target=lambda: world.run(TUESDAY, relay=relay))
    sending.start()
    assert on_the_wire.wait(20)
    monkeypatch.setattr(deliveries, "_clock", lambda _: datetime.now(UTC) + timedelta(days=1))
    swept = sweep(world.site, app.dead_process(world.site), moment(TUESDAY))
    go_on.set()
    sending.join(20)
    assert swept.recovered == ()
    assert copies(server) == {"ann": 1}
    assert outcome(world) == {"ann": "accepted"}


class _Waiting:
    """A relay whose sessions wait before each message until they may go on."""

    def __init__(self, relay: Relay, reached: threading.Event, go_on: threading.Event) -> None:
        self.name, self.connections, self.rate = relay.name, relay.connections, relay.rate
        self._relay, self._reached, self._go_on = relay, reached, go_on

    def connect(self) -> Any:
        session = self._relay.connect()
        deliver = session.deliver  # type: ignore[union-attr]

        def wait_and_deliver(ledger: Any) -> None:
            self._reached.set()
            assert self._go_on.wait(20)
            deliver(ledger)

        session.deliver = wait_and_deliver  # type: ignore[union-attr, method-assign]
        return session


def test_a_rate_counts_on_from_tick_to_tick(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", more='rate = "1/h"')
    world.subscribe("bob@example.org", cadence="instant", at="2026-11-23T10:00")
    stop = threading.Event()
    engine = _engine(world, stop)
    engine.once()
    assert sum(copies(server).values()) == 1
    threading.Timer(0.5, stop.set).start()
    engine.once()
    assert sum(copies(server).values()) == 1, "the second message waits for its hour, not for the next tick"


def _engine(world: World, stop: threading.Event) -> LocalEngine:
    made = world.engine(TUESDAY, stop=stop)
    threading.Timer(3.0, stop.set).start()
    return made
