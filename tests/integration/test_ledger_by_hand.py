"""What becomes of deliveries when people leave and operators pause, cancel, retry, rehearse or name a wrong relay."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.jobs import operate, people, report
from tests.integration.ledger import (
    LABEL,
    TUESDAY,
    SiteMaker,
    address,
    attempts,
    copies,
    outcome,
    problems,
    run_watched,
    sites,
)
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import moment


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    """A mail server in clear text that takes everything until told otherwise."""
    with SmtpServer() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, web: WebServer) -> Iterator[SiteMaker]:
    """Makes a site that sends through a server."""
    with sites(tmp_path / "site", web) as make:
        yield make


def test_somebody_who_leaves_before_the_turn_comes_gets_nothing(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob")
    operate.set_paused(world.site, "provider", True)
    world.run(TUESDAY)
    people.unsubscribe(world.site, address("ann"), None, moment("2026-11-24T08:05"))
    operate.set_paused(world.site, "provider", False)
    world.run("2026-11-24T08:10")
    assert outcome(world) == {"ann": "suppressed", "bob": "accepted"}
    assert attempts(server, "ann") == 0


@pytest.mark.parametrize("target", [LABEL, "provider", None], ids=["edition", "relay", "site"])
def test_a_pause_while_sending_lets_nothing_more_out_and_a_resume_sends_the_rest_once(
    server: SmtpServer, place: SiteMaker, target: str | None
) -> None:
    names = ("ann", "bob", "cas")
    world = place(server, *names)
    run_watched(world, lambda: operate.set_paused(world.site, target, True))
    assert Counter(outcome(world).values()) == {"accepted": 1, "queued": 2}
    world.run("2026-11-24T08:05")
    assert len(server.messages) == 1
    operate.set_paused(world.site, target, False)
    world.run("2026-11-24T08:10")
    assert copies(server) == dict.fromkeys(names, 1)


def test_an_edition_cancelled_half_way_comes_in_the_next_one_for_those_it_did_not_reach(
    server: SmtpServer, place: SiteMaker
) -> None:
    names = {"ann", "bob", "cas"}
    world = place(server, *names)
    run_watched(world, lambda: operate.cancel(world.site, LABEL, moment(TUESDAY)))
    assert Counter(outcome(world).values()) == {"accepted": 1, "cancelled": 2}
    [reached] = copies(server)
    world.news("Tweede", "2026-11-24T10:00")
    world.run("2026-11-25T08:00")
    later = {kept.recipient.partition("@")[0]: kept.data for kept in server.messages[1:]}
    assert set(later) == names
    assert {name for name in names if b"Eerste" in later[name]} == names - {reached}
    assert all(b"Tweede" in data for data in later.values())
    with pytest.raises(UsageError, match="was cancelled"):
        operate.retry(world.site, LABEL, moment("2026-11-25T09:00"), from_outbox=False)


def test_what_passed_its_deadline_comes_in_the_next_digest(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann")
    server.defer(address("ann"), 450, "4.2.0", "try later")
    world.run(TUESDAY)
    world.news("Tweede", "2026-11-24T10:00")
    server.behave()
    world.run("2026-11-25T08:00")
    assert outcome(world) == {"ann": "expired"}
    [mail] = server.messages
    assert b"Eerste" in mail.data
    assert b"Tweede" in mail.data
    assert operate.retry(world.site, LABEL, moment("2026-11-25T09:00"), from_outbox=False) == 0, "the items were sent already"


def test_an_expired_edition_is_said_for_a_day_and_then_all_is_well(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann")
    server.defer(address("ann"), 450, "4.2.0", "try later", times=1)
    world.run(TUESDAY)
    world.run("2026-11-25T08:00")
    assert len(problems(world)) == 1
    world.run("2026-11-26T08:00")
    assert len(problems(world)) == 1
    world.run("2026-11-26T08:01")
    assert problems(world) == []


def test_an_expired_edition_can_be_sent_after_all_and_is_then_not_repeated(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann")
    server.defer(address("ann"), 450, "4.2.0", "try later", times=1)
    world.run(TUESDAY)
    operate.set_paused(world.site, "po", True)  # no next edition takes the items
    operate.set_paused(world.site, "provider", True)
    world.run("2026-11-25T08:00")
    operate.set_paused(world.site, "provider", False)
    assert outcome(world) == {"ann": "expired"}
    assert operate.retry(world.site, LABEL, moment("2026-11-25T09:00"), from_outbox=False) == 1
    world.run("2026-11-25T09:00")
    operate.set_paused(world.site, "po", False)
    world.run("2026-11-26T08:00")
    assert outcome(world) == {"ann": "accepted"}
    assert copies(server) == {"ann": 1}


def test_retry_takes_what_failed_and_never_what_was_accepted(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob")
    server.refuse(address("ann"), 550, "5.2.1", "mailbox disabled", times=1)
    world.run(TUESDAY)
    assert operate.retry(world.site, LABEL, moment("2026-11-24T09:00"), from_outbox=False) == 1
    world.run("2026-11-24T09:00")
    assert outcome(world) == {"ann": "accepted", "bob": "accepted"}
    assert operate.retry(world.site, LABEL, moment("2026-11-24T10:00"), from_outbox=False) == 0
    assert operate.retry(world.site, LABEL, moment("2026-11-24T10:00"), from_outbox=True) == 0
    assert copies(server) == {"ann": 1, "bob": 1}


def test_after_a_rehearsal_the_relay_gets_the_very_same_bytes(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob")
    settings = world.folder / "gazet.toml"
    with_relay = settings.read_text()
    settings.write_text(with_relay.partition("[[relay]]")[0])
    world.reopen()
    world.run(TUESDAY)
    assert server.connections == 0
    settings.write_text(with_relay)
    world.reopen()
    world.run("2026-11-24T08:10")
    assert server.messages == [], "a rehearsal was sent without being asked to"
    assert operate.retry(world.site, LABEL, moment("2026-11-24T09:00"), from_outbox=True) == 2
    world.run("2026-11-24T09:00")
    rehearsed = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (world.folder / "var/outbox/new").iterdir()}
    assert {hashlib.sha256(kept.data).hexdigest() for kept in server.messages} == rehearsed
    assert copies(server) == {"ann": 1, "bob": 1}
    [found] = report.verify(world.site, LABEL)
    assert found.rehearsed == 0


def test_a_rate_is_kept_and_what_waits_for_its_turn_is_not_yet_on_the_wire(server: SmtpServer, place: SiteMaker) -> None:
    """One mail an hour: behind the first one the others wait, queued, and a stop finds nothing in doubt."""
    world = place(server, "ann", "bob", "cas", more='rate = "1/h"', connections=2)
    stop = threading.Event()
    during: list[Counter[str]] = []

    def stop_after_the_first() -> None:
        during.append(Counter(outcome(world).values()))
        stop.set()

    run_watched(world, stop_after_the_first, stop=stop)
    assert during == [{"sending": 1, "queued": 2}]
    assert Counter(outcome(world).values()) == {"accepted": 1, "queued": 2}
    assert len(server.messages) == 1
