"""What becomes of deliveries when a real SMTP server refuses, defers, hangs up or cannot be trusted (DESIGN §5)."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.jobs import operate, report
from pipeline.models import DeliveryStatus, SubscriptionStatus
from pipeline.store import editions
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
    suppressed,
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


# Refusals of one address


def test_an_unknown_address_fails_is_suppressed_alone_and_no_import_revives_it(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob")
    server.refuse(address("ann"), 550, "5.1.1", "no such user")
    world.run(TUESDAY)
    assert outcome(world) == {"ann": "failed", "bob": "accepted"}
    assert suppressed(world, "ann")
    assert not suppressed(world, "bob")
    [subscription] = report.explain(world.site, address("ann"), None).subscriptions
    assert subscription.status is SubscriptionStatus.BOUNCED
    world.subscribe(address("ann"), cadence="daily", at="2026-11-24T09:00")
    world.news("Tweede", "2026-11-24T10:00")
    world.run("2026-11-25T08:00")
    assert outcome(world, "po/2026-11-25T08:00") == {"bob": "accepted"}
    assert attempts(server, "ann") == 1
    assert operate.retry(world.site, LABEL, moment("2026-11-25T09:00"), from_outbox=False) == 0


@pytest.mark.parametrize("stage", ["rcpt", "dot"])
def test_any_other_refusal_fails_this_delivery_only(server: SmtpServer, place: SiteMaker, stage: str) -> None:
    world = place(server, "ann")
    server.answer(stage, "550 5.2.1 mailbox disabled", times=1)
    world.run(TUESDAY)
    assert outcome(world) == {"ann": "failed"}
    assert not suppressed(world, "ann")
    world.news("Tweede", "2026-11-24T10:00")
    world.run("2026-11-25T08:00")
    assert outcome(world, "po/2026-11-25T08:00") == {"ann": "accepted"}


@pytest.mark.parametrize("reply", ["450 4.2.0 try later", "450 4.7.1 Greylisted, try again later", "552 5.2.2 mailbox full"])
def test_a_temporary_refusal_is_tried_again_later_not_at_once(server: SmtpServer, place: SiteMaker, reply: str) -> None:
    """Six people, so that greylisting of everybody is seen not to look like a policy."""
    names = ("ann", "bob", "cas", "dik", "eva", "fie")
    world = place(server, *names)
    server.answer("rcpt", reply, times=len(names))
    world.run(TUESDAY)
    assert outcome(world) == dict.fromkeys(names, "deferred")
    connections = server.connections
    world.run("2026-11-24T08:01")
    assert server.connections == connections, "the relay was bothered before anything was due"
    world.run("2026-11-24T08:10")
    assert outcome(world) == dict.fromkeys(names, "accepted")
    assert copies(server) == dict.fromkeys(names, 1)
    assert problems(world) == []


def test_one_address_that_always_ends_the_conversation_does_not_stop_those_behind_it(server: SmtpServer, place: SiteMaker) -> None:
    names = ("ann", "bob", "cas", "dik", "eva", "fie")
    world = place(server, *names)
    server.refuse(address("cas"), 421, "4.3.0", "I do not like this one")
    world.run(TUESDAY)
    assert outcome(world) == {**dict.fromkeys(names, "accepted"), "cas": "queued"}
    assert attempts(server, "cas") < 4
    assert problems(world) == []
    server.behave()
    world.run("2026-11-24T08:10")
    assert set(outcome(world).values()) == {"accepted"}
    assert set(copies(server).values()) == {1}


# Refusals of everybody


@pytest.mark.parametrize("connections", [1, 4])
def test_a_policy_refusal_to_everyone_pauses_the_relay_and_suppresses_nobody(
    server: SmtpServer, place: SiteMaker, connections: int
) -> None:
    names = [f"lezer{number:02}" for number in range(12)]
    world = place(server, *names, connections=connections)
    world.write_feed("tweede")
    world.reopen()
    world.subscribe(address("zus"), feed="tweede", cadence="daily", at="2026-11-23T10:00")
    server.refuse_everyone(550, "5.7.1", "your network is blocked")
    engine = world.engine(TUESDAY)
    tick = engine.once()
    found = Counter([*outcome(world).values(), *outcome(world, f"tweede/{TUESDAY}").values()])
    assert set(found) == {"deferred", "queued"}
    assert 5 <= found["deferred"] < 5 + connections
    assert tick.sent is not None
    assert min(tick.sent.outcomes.values()) >= 0
    [problem] = engine.fresh_problems()
    assert "provider was paused" in problem.what
    asked = server.connections
    world.run("2026-11-24T09:00")
    assert server.connections == asked
    assert not any(suppressed(world, name) for name in names)
    server.behave()
    operate.set_paused(world.site, "provider", False)
    world.run("2026-11-24T09:00")
    assert set(outcome(world).values()) == {"accepted"}
    assert copies(server) == dict.fromkeys([*names, "zus"], 1)
    assert problems(world) == []


def test_five_temporary_refusals_by_policy_pause_the_relay_too_and_are_counted_as_what_they_are(
    server: SmtpServer, place: SiteMaker
) -> None:
    world = place(server, *(f"lezer{number}" for number in range(7)))
    server.refuse_everyone(452, "4.5.3", "quota for today used up")
    tick = world.run(TUESDAY)
    assert tick.sent is not None
    assert tick.sent.outcomes == Counter({DeliveryStatus.DEFERRED: 5})
    assert Counter(outcome(world).values()) == {"deferred": 5, "queued": 2}
    assert len(problems(world)) == 1


def test_too_big_a_message_pauses_that_edition_only(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob")
    world.write_feed("tweede")
    world.reopen()
    world.subscribe(address("zus"), feed="tweede", cadence="daily", at="2026-11-23T10:00")
    server.answer("mail", "552 5.3.4 message too big", times=1)
    world.run(TUESDAY)
    found = [set(outcome(world).values()), set(outcome(world, f"tweede/{TUESDAY}").values())]
    assert sorted(found, key=str) == [{"accepted"}, {"queued"}]
    [problem] = problems(world)
    stuck = LABEL if found[0] == {"queued"} else f"tweede/{TUESDAY}"
    assert stuck in problem
    operate.set_paused(world.site, stuck, False)
    world.run("2026-11-24T08:10")
    assert copies(server) == {"ann": 1, "bob": 1, "zus": 1}
    assert problems(world) == []


# Broken lines


def test_a_line_lost_before_the_content_costs_nothing(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob")
    server.drop(address("ann"), at="data", times=1)
    world.run(TUESDAY)
    assert outcome(world) == {"ann": "deferred", "bob": "accepted"}
    world.run("2026-11-24T08:10")
    assert outcome(world) == {"ann": "accepted", "bob": "accepted"}
    assert copies(server) == {"ann": 1, "bob": 1}


@pytest.mark.parametrize("at", ["dot", "after-dot"])
def test_a_line_lost_behind_the_dot_is_sent_once_more_with_the_same_bytes_and_named(
    server: SmtpServer, place: SiteMaker, at: str
) -> None:
    world = place(server, "ann", "bob")
    server.drop(address("ann"), at=at, times=1)
    world.run(TUESDAY)
    assert outcome(world) == {"ann": "accepted", "bob": "accepted"}
    assert copies(server) == {"ann": 2 if at == "after-dot" else 1, "bob": 1}
    assert len({(kept.message_id, kept.data) for kept in server.messages if kept.recipient == address("ann")}) == 1
    [found] = report.verify(world.site, LABEL)
    assert found.maybe_twice == (address("ann"),)
    assert found.held == ()


def test_held_in_doubt_is_not_repeated_until_a_person_says_so(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob", digest='uncertain = "hold"')
    server.drop(address("ann"), at="after-dot", times=1)
    world.run(TUESDAY)
    world.run("2026-11-24T10:00")
    assert outcome(world) == {"ann": "uncertain", "bob": "accepted"}
    assert copies(server) == {"ann": 1, "bob": 1}
    [found] = report.verify(world.site, LABEL)
    assert found.held == (address("ann"),)
    assert len(problems(world)) == 1
    assert operate.retry(world.site, LABEL, moment("2026-11-24T10:01"), from_outbox=False) == 1
    world.run("2026-11-24T10:01")
    assert outcome(world) == {"ann": "accepted", "bob": "accepted"}
    assert copies(server) == {"ann": 2, "bob": 1}
    assert problems(world) == []


def test_a_server_that_always_hangs_up_behind_the_dot_gets_each_mail_twice_at_most(server: SmtpServer, place: SiteMaker) -> None:
    names = ("ann", "bob", "cas")
    world = place(server, *names)
    server.answer("kept", "drop")
    for minutes in range(0, 120, 5):
        world.run(moment(TUESDAY) + minutes * (moment("2026-01-01T00:01") - moment("2026-01-01T00:00")))
    assert outcome(world) == dict.fromkeys(names, "uncertain")
    assert copies(server) == dict.fromkeys(names, 2)


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_a_relay_that_says_goodbye_half_way_is_called_again_and_nobody_is_counted_against(
    server: SmtpServer, place: SiteMaker, stage: str
) -> None:
    names = ("ann", "bob", "cas", "dik")
    world = place(server, *names)
    run_watched(world, lambda: server.answer(stage, "421 4.4.2 enough for one connection", times=1))
    assert copies(server) == dict.fromkeys(names, 1)
    assert outcome(world) == dict.fromkeys(names, "accepted")
    assert server.connections == 2
    for name in names:
        [delivery] = report.explain(world.site, address(name), LABEL).deliveries
        assert delivery.attempts == 1


def test_a_relay_that_allows_fewer_connections_is_used_with_those(server: SmtpServer, place: SiteMaker) -> None:
    names = [f"lezer{number}" for number in range(8)]
    world = place(server, *names, connections=4)
    server.answer("connect", "421 4.7.0 too many connections", times=3)
    tick = world.run(TUESDAY)
    assert tick.sent is not None
    assert tick.sent.problem == ""
    assert copies(server) == dict.fromkeys(names, 1)
    assert problems(world) == []


def test_what_broke_off_inside_gazet_is_taken_up_by_the_next_tick_of_the_same_process(server: SmtpServer, place: SiteMaker) -> None:
    world = place(server, "ann", "bob")

    def break_off() -> None:
        raise RuntimeError("no memory left")

    run_watched(world, break_off)
    assert Counter(outcome(world).values()) == {"queued": 2}, "recovered as soon as its connections are gone"
    [first] = copies(server)
    world.run("2026-11-24T08:01")
    assert outcome(world) == {"ann": "accepted", "bob": "accepted"}
    assert copies(server)[first] == 2
    [found] = report.verify(world.site, LABEL)
    assert found.maybe_twice == (address(first),)


# Relays that cannot be used


def _wrong_password() -> tuple[SmtpServer, str, str]:
    return SmtpServer(users={"post": "right"}), "none", 'user = "post"\npassword = "wrong"'


def _foreign_certificate() -> tuple[SmtpServer, str, str]:
    return SmtpServer(tls="starttls", names=("elsewhere.example",)), "starttls", 'ca_file = "{ca}"'


def _stripped_starttls() -> tuple[SmtpServer, str, str]:
    return SmtpServer(), "starttls", ""


def _nobody_listens() -> tuple[SmtpServer, str, str]:
    return SmtpServer(), "none", ""


@pytest.mark.parametrize("fault", [_wrong_password, _foreign_certificate, _stripped_starttls, _nobody_listens])
def test_a_relay_that_cannot_be_used_is_nobodys_fault_and_said_once(
    place: SiteMaker, fault: Callable[[], tuple[SmtpServer, str, str]]
) -> None:
    server, tls, more = fault()
    with server:
        world = place(server, "ann", "bob", tls=tls, more=more.format(ca=server.ca_file), host="localhost", connections=2)
        if fault is _nobody_listens:
            server.close()
        first = world.engine(TUESDAY)
        first.once()
        assert outcome(world) == {"ann": "queued", "bob": "queued"}
        [problem] = first.fresh_problems()
        assert "relay provider" in problem.what
        asked = server.connections
        resting = world.engine(TUESDAY)
        resting.once()
        assert server.connections == asked
        again = world.engine("2026-11-24T08:30")
        again.once()
        assert resting.fresh_problems() == again.fresh_problems() == []
        assert outcome(world) == {"ann": "queued", "bob": "queued"}
        assert server.messages == []


def test_a_relay_that_works_again_is_no_problem_any_more(place: SiteMaker) -> None:
    server, tls, more = _wrong_password()
    with server:
        world = place(server, "ann", tls=tls, more=more)
        world.run(TUESDAY)
        assert len(problems(world)) == 1
        server.users["post"] = "wrong"
        world.run("2026-11-24T08:30")
        assert outcome(world) == {"ann": "accepted"}
        assert problems(world) == []
        assert [relay.failures for relay in report.status(world.site).relays] == [0]


@pytest.mark.parametrize(("host", "port"), [("example.org", 2525), ("127.0.0.1", 25), ("localhost", 587)])
def test_a_relay_that_reaches_real_people_is_refused_with_one_line(
    place: SiteMaker,
    server: SmtpServer,
    host: str,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = place(server, "ann")
    settings = world.folder / "gazet.toml"
    good = settings.read_text()
    settings.write_text(good.replace(f"port = {server.port}", f"port = {port}").replace('host = "127.0.0.1"', f'host = "{host}"'))
    world.reopen()
    monkeypatch.setattr(sys, "argv", ["gazet", "--site", str(world.folder), "run", "--once", "--now", TUESDAY])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err.splitlines()
    assert end.value.code == 1
    assert len(said) == 1
    assert "reaches real people" in said[0]
    with world.site.store.read() as tx:
        assert editions.latest(tx, 1) == [], "the next run, without --now, would send it"
    settings.write_text(good)
    world.reopen()
    world.run("2026-11-24T08:10")
    assert copies(server) == {"ann": 1}
