"""What goes over the wire is what was meant, and nothing that comes back can harm."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import RelaySettings
from pipeline.deliver.line import Line
from pipeline.deliver.relay import MAX_TEXT, mask
from pipeline.deliver.smtp import SmtpSession, relay_from
from pipeline.models import Blame, DeliveryStatus, RelayAnswer, Stage
from tests.integration.smtp_sessions import ANN, BOB, BODY, decide, message, relay_to, session_of
from tests.servers.smtp import SmtpServer


@pytest.mark.parametrize(
    "content",
    [
        b".\r\n..\r\n.x\r\n",
        b"a\r\n.\r\nb\r\n",
        b"",
        b"\r\n\r\n",
        b"".join(b".%d %s\r\n" % (number, b"x" * 70) for number in range(20_000)),
    ],
)
def test_the_relay_gets_every_byte_as_it_was(content: bytes) -> None:
    data = BODY + content
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        assert session.send(message(data=data)).accepted
        assert session.send(message(BOB, data=content or b"\r\n")).accepted
        assert [kept.data for kept in server.messages] == [data, content or b"\r\n"]


def test_only_crlf_ends_lines_on_the_wire() -> None:
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        smuggled = BODY + b"x\n.\nMAIL FROM:<evil@example.org>\r\n"
        answer = session.send(message(data=smuggled))
        assert (answer.code, answer.handed_over) == (550, False)
        assert decide(answer).status is DeliveryStatus.FAILED
        assert session.send(message()).accepted
        assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("recipient", "written", "parameter"),
    [
        ("jörg@example.org", "jörg@example.org", "SMTPUTF8"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example", ""),
        ("ann@straße.example", "ann@xn--strae-oqa.example", ""),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example", "SMTPUTF8"),
    ],
)
def test_international_addresses_are_written_as_the_relay_can_read_them(recipient: str, written: str, parameter: str) -> None:
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        assert session.send(message(recipient)).accepted
        kept = server.messages[0]
        assert kept.recipient == written
        assert ("SMTPUTF8" in kept.parameters) == bool(parameter)


def test_a_relay_without_smtputf8_costs_only_the_addresses_that_need_it() -> None:
    with SmtpServer(without={"SMTPUTF8"}) as server, session_of(relay_to(server)) as session:
        answer = session.send(message("jörg@example.org"))
        assert (answer.stage, answer.code, answer.enhanced) == (Stage.MAIL, 553, "5.6.7")
        assert (decide(answer).status, decide(answer).suppress) == (DeliveryStatus.FAILED, False)
        assert session.send(message("ann@bücher.example")).accepted


def test_eight_bit_mail_is_announced_and_sent_only_where_it_is_taken() -> None:
    eight_bit = message(data=BODY + "é\r\n".encode())
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        assert session.send(eight_bit).accepted
        assert "BODY=8BITMIME" in server.messages[0].parameters
        assert "SMTPUTF8" not in server.messages[0].parameters
    with SmtpServer(without={"8BITMIME"}) as server, session_of(relay_to(server)) as session:
        assert (decide(session.send(eight_bit)).status, server.messages) == (DeliveryStatus.QUEUED, [])


def test_a_message_above_the_advertised_size_blames_the_edition() -> None:
    with SmtpServer(size=1000) as server, session_of(relay_to(server)) as session:
        answer = session.send(message(data=BODY + b"x" * 1000 + b"\r\n"))
        assert (answer.stage, answer.code, answer.enhanced) == (Stage.MAIL, 552, "5.3.4")
        assert decide(answer).blame is Blame.EDITION
        assert session.send(message()).accepted


@pytest.mark.parametrize("address", ["ann@example.org>\r\nRCPT TO:<eve@example.org", "a b@example.org", "ann", "", "a\0@b.nl"])
def test_no_address_smuggles_a_command(address: str) -> None:
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        assert session.send(message(address)).enhanced == "5.1.3"
        if address:
            assert session.send(message(sender=address)).enhanced == "5.1.7"
        assert session.usable
        assert [line.split()[0] for line in server.commands] == ["EHLO"]


def test_a_notice_may_have_an_empty_sender() -> None:
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        assert session.send(message(sender="")).accepted
        assert server.messages[0].envelope_from == ""


def test_ehlo_names_this_machine_without_asking_a_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda *_: pytest.fail("asked a name server"))
    with SmtpServer() as server:
        for name in ("mail.example.org", "laptop", "bad name.example"):
            monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
            relay = relay_to(server)
            with session_of(relay) as session:
                assert session.send(message()).accepted
        greetings = [line for line in server.commands if line.startswith("EHLO")]
        assert greetings == ["EHLO mail.example.org", "EHLO [127.0.0.1]", "EHLO [127.0.0.1]"]


def test_several_threads_share_a_relay() -> None:
    with SmtpServer() as server:
        relay = relay_to(server)
        answers: list[RelayAnswer] = []

        def deliver(number: int) -> None:
            with session_of(relay) as session:
                answers.extend(session.send(message(f"reader{number}-{each}@example.org")) for each in range(25))

        threads = [threading.Thread(target=deliver, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answer.accepted for answer in answers] == [True] * 100
        assert len({kept.recipient for kept in server.wait_for(100)}) == 100


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<ann.smit@example.org>: unknown", "<a…@example.org>: unknown"),
        ("bounce+ann=example.org@lists.example no", "b…@lists.example no"),
        ('"ann smit"@example.org?', "a…@example.org?"),
        ("see /unsubscribe?who=ann%40example.org", "/…@example.org"),
        ("jörg@bücher.example", "j…@bücher.example"),
        ("two\r\nlines\x1b[31m\u202e here", "two lines [31m here"),
    ],
)
def test_no_address_or_control_character_of_a_reply_is_kept(said: str, shown: str) -> None:
    assert mask(said).endswith(shown)
    assert mask(mask(said)) == mask(said)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=2000))
def test_whatever_a_relay_says_fits_one_printable_line(text: str) -> None:
    line = mask(text + " ann.smit@example.org " + text)
    assert len(line) <= MAX_TEXT
    assert line.isprintable()
    assert "ann.smit" not in line


def test_masking_takes_no_longer_than_reading() -> None:
    assert len(mask('"a' * 200_000 + "x." * 200_000)) == MAX_TEXT


REPLIES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"250 ok\r\n", b"250-a\r\n250 b\r\n", b"354 go\r\n", b"550 5.1.1 no\r\n", b"421 bye\r\n", b"2_5 x\n"]),
    ),
    max_size=8,
).map(b"".join)


def talk(said: bytes, act: Callable[[SmtpSession], RelayAnswer]) -> RelayAnswer:
    """What a session makes of a relay that says all this at once and then hangs up."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        line = Line(5)
        line.sock = ours
        return act(SmtpSession(line))


@settings(max_examples=300, deadline=None)
@given(REPLIES)
def test_no_bytes_from_a_relay_raise_or_make_a_message_accepted_by_mistake(said: bytes) -> None:
    answer = talk(said, lambda session: session.send(message()))
    decision = decide(answer)
    assert decision.reason.isprintable()
    assert answer.handed_over == (answer.stage is Stage.DOT)
    if answer.accepted:
        assert b"354" in said
        assert said.count(b"\n") >= 4
    if answer.code is None:
        assert decision.status is (DeliveryStatus.UNCERTAIN if answer.handed_over else DeliveryStatus.DEFERRED)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_address_whatsoever_raises(local: str, domain: str) -> None:
    asked = replace(message(), recipient=f"{local}@{domain}")
    answer = talk(b"250 a\r\n250 b\r\n354 c\r\n250 d\r\n", lambda session: session.send(asked))
    assert answer.accepted or answer.enhanced in ("5.1.3", "5.6.7")


def test_the_test_server_as_a_process_logs_what_it_keeps_before_it_answers(tmp_path: Path) -> None:
    log = tmp_path / "kept.jsonl"
    command = [sys.executable, "-m", "tests.servers.smtp", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            assert process.stdout is not None
            settings = RelaySettings(name="r", host="127.0.0.1", port=int(process.stdout.readline()), tls="none", timeout="10s")
            with session_of(relay_from(settings, tmp_path)) as session:
                assert session.send(message()).accepted
                entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        finally:
            process.kill()
    assert [(entry["message_id"], entry["rcpt"]) for entry in entries] == [("<k1@example.org>", ANN)]
    assert entries[0]["sha256"] == hashlib.sha256(BODY).hexdigest()
