"""Notices: frozen bytes, one Message-ID, retried like deliveries, and never in the way of a digest."""

from __future__ import annotations

import email
import email.policy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from pipeline import app
from pipeline.jobs import notices as jobs
from pipeline.models import DeliveryStatus
from pipeline.store import notices
from tests.integration.command import gazet
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World, moment

TUESDAY = "2026-11-24T08:00"
RELAY = """
[[relay]]
name = "provider"
host = "127.0.0.1"
port = {port}
tls = "none"
connections = 1
"""
SiteMaker = Callable[[int], World]


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, web: WebServer) -> Iterator[SiteMaker]:
    """A site that sends through the server at this port, with one item and a daily reader."""
    made: list[World] = []

    def make(port: int) -> World:
        world = World(tmp_path / "site", web, relay=RELAY.format(port=port))
        made.append(world)
        world.news("Eerste", "2026-11-23T09:00")
        world.subscribe("ann@example.org", cadence="daily", at="2026-11-23T10:00")
        return world

    yield make
    for world in made:
        world.close()


def post(
    world: World, *, key: str = "test:1", at: str = TUESDAY, to: str = "beheer@example.org", text: str = "Één regel.\n"
) -> None:
    now = moment(at)
    with world.site.store.write() as tx:
        jobs.post(
            world.site,
            tx,
            kind="test",
            dedupe_key=key,
            sender="Samen Opleiden <nieuws@example.org>",
            recipient=to,
            words=("Proef: één", text),
            language="nl",
            now=now,
            deadline_at=now + timedelta(days=1),
        )


def send(world: World, at: str | datetime) -> jobs.Told:
    now = moment(at) if isinstance(at, str) else at
    return jobs.send_notices(
        world.site, app.relay_for(world.site), process=app.process_name(), clock=lambda: now, stop=threading.Event()
    )


def status(world: World) -> list[DeliveryStatus]:
    with world.site.store.read() as tx:
        return [one.status for one in notices.waiting(tx)]


def parsed(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=email.policy.default)


def test_a_notice_is_a_plain_careful_mail(site: SiteMaker, server: SmtpServer) -> None:
    world = site(server.port)
    post(world, text="Één lange regel " + "x" * 300 + "\n.punt\nFrom hier\n")
    assert send(world, TUESDAY).outcomes == {DeliveryStatus.ACCEPTED: 1}
    [kept] = server.messages
    assert (kept.envelope_from, kept.recipient) == ("nieuws@example.org", "beheer@example.org")
    mail = parsed(kept.data)
    assert mail["From"] == "Samen Opleiden <nieuws@example.org>"
    assert (mail["To"], mail["Subject"], mail["Auto-Submitted"]) == ("beheer@example.org", "Proef: één", "auto-generated")
    assert mail["Date"].datetime == moment(TUESDAY)
    assert mail["Message-ID"].endswith("@nieuws.example.org>")
    assert mail["Content-Transfer-Encoding"] == "quoted-printable"
    assert "List-Unsubscribe" not in mail
    assert max(len(line) for line in kept.data.splitlines()) <= 78
    assert mail.get_content().replace("\r\n", "\n").startswith("Één lange regel xxx")
    assert ".punt\nFrom hier\n" in mail.get_content().replace("\r\n", "\n")


def test_what_was_put_off_comes_again_with_the_same_bytes_and_is_accepted_once(site: SiteMaker, server: SmtpServer) -> None:
    world = site(server.port)
    post(world)
    server.answer("dot", "451 4.3.0 later", times=1)
    assert send(world, TUESDAY).outcomes == {DeliveryStatus.DEFERRED: 1}
    with world.site.store.read() as tx:
        [waiting] = notices.waiting(tx)
    assert waiting.next_at is not None
    assert send(world, TUESDAY).outcomes == {}, "it is not tried before its moment"
    assert send(world, waiting.next_at).outcomes == {DeliveryStatus.ACCEPTED: 1}
    world.reopen()
    assert send(world, waiting.next_at).outcomes == {}
    assert len(server.messages) == 1


def test_a_line_that_breaks_after_the_dot_costs_one_repeat_with_the_same_bytes(site: SiteMaker, server: SmtpServer) -> None:
    world = site(server.port)
    post(world)
    server.drop("beheer@example.org", at="after-dot")
    for hour in ("08:00", "09:00", "10:00", "11:00", "12:00"):
        send(world, f"2026-11-24T{hour}")
    assert len(server.messages) == 2
    assert len({one.data for one in server.messages}) == 1
    assert status(world) == [], "nobody is asked to decide about a notice"


def test_a_relay_that_is_away_is_at_fault_not_the_notice_and_the_digest_is_tried_too(site: SiteMaker, server: SmtpServer) -> None:
    world = site(server.port)
    server.answer("connect", "421 4.3.2 not now", times=1)
    post(world)
    report = world.run(TUESDAY)
    assert report.problems == []
    assert server.messages == []
    assert status(world) == [DeliveryStatus.QUEUED]
    with world.site.store.read() as tx:
        assert notices.waiting(tx)[0].attempts == 0
    world.run("2026-11-24T08:05")
    assert [one.recipient for one in server.messages] == ["beheer@example.org", "ann@example.org"]
    assert gazet("status", "--json", site=world.folder).json["problems"] == []


def test_a_refused_notice_never_stops_a_digest_and_says_what_to_correct(site: SiteMaker, server: SmtpServer) -> None:
    world = site(server.port)
    post(world)
    server.refuse("beheer@example.org", 550, "5.1.1", "no such user")
    world.run(TUESDAY)
    assert [one.recipient for one in server.messages] == ["ann@example.org"]
    [problem] = gazet("status", "--json", site=world.folder).json["problems"]
    assert "b…@example.org was refused" in problem["what"]
    assert "beheer@" not in problem["what"]
    with world.site.store.read() as tx:
        assert notices.waiting(tx) == []


def test_without_a_relay_a_notice_goes_to_the_outbox_and_a_second_attempt_replaces_its_file(world: World) -> None:
    post(world)
    world.run(TUESDAY)
    [mail] = world.mails
    assert mail["Subject"] == "Proef: één"


def test_gazet_deliver_sends_notices_too_and_says_so(world: World) -> None:
    post(world)
    done = gazet("deliver", "--now", TUESDAY, site=world.folder)
    assert done.code == 0, done.err
    assert "notices through outbox: 1 accepted" in done.out
    assert len(world.mails) == 1
    assert gazet("deliver", "--now", TUESDAY, "--json", site=world.folder).json["notices"] == {}


def test_a_paused_site_sends_no_notices(world: World) -> None:
    post(world)
    gazet("pause", site=world.folder)
    world.run(TUESDAY)
    assert world.mails == []
    gazet("resume", site=world.folder)
    world.run(TUESDAY)
    assert len(world.mails) == 1


def test_a_kill_while_a_notice_is_on_the_wire_costs_at_most_one_repeat(site: SiteMaker, server: SmtpServer) -> None:
    """kill -9 after the server kept it and before it answered: the worst moment there is."""
    world = site(server.port)
    post(world)
    world.close()
    server.answer("kept", "hang", times=1)
    command = [sys.executable, "-m", "pipeline", "--site", str(world.folder), "deliver", "--now", TUESDAY]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server.wait_for(1, timeout=30)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL, "it had ended already"
    for _ in range(3):
        assert gazet("deliver", "--now", TUESDAY, site=world.folder).code == 0
    assert len(server.messages) == 2
    assert len({(one.message_id, one.data) for one in server.messages}) == 1
