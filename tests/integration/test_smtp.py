"""A relay's every possible word, said by a real server: what we understand, and what becomes of the delivery."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest

from pipeline.config import RelaySettings
from pipeline.deliver.line import Line
from pipeline.deliver.smtp import SmtpSession, relay_from
from pipeline.errors import ConfigError
from pipeline.models import Blame, DeliveryStatus, Stage
from tests.integration.smtp_sessions import ANN, BOB, BODY, SHORT, decide, message, refusal, relay_to, session_of
from tests.servers.smtp import SmtpServer

Q, D, F, U, A = (
    DeliveryStatus.QUEUED,
    DeliveryStatus.DEFERRED,
    DeliveryStatus.FAILED,
    DeliveryStatus.UNCERTAIN,
    DeliveryStatus.ACCEPTED,
)
RELAY, DELIVERY, POLICY, RECIPIENT, EDITION, NOBODY = (
    Blame.RELAY,
    Blame.DELIVERY,
    Blame.POLICY,
    Blame.RECIPIENT,
    Blame.EDITION,
    Blame.NOBODY,
)
GARBAGE = b"\x00\xffPK\x03\x04 hello?\r\n"

# stage, what the server says → code and enhanced code understood, the decision, whom it blames, session still usable
DURING = [
    ("mail", "250 ok", 250, "2.0.0", A, NOBODY, True),
    ("mail", "451 4.3.0 later", 451, "4.3.0", D, RELAY, True),
    ("mail", "452 4.5.3 too many", 452, "4.5.3", D, POLICY, True),
    ("mail", "550 5.7.1 sender refused", 550, "5.7.1", Q, RELAY, True),
    ("mail", "552 5.3.4 too big", 552, "5.3.4", Q, EDITION, True),
    ("mail", "553 5.6.7 no SMTPUTF8", 553, "5.6.7", F, DELIVERY, True),
    ("mail", "421 4.3.2 closing", 421, "4.3.2", Q, RELAY, False),
    ("mail", "354 go ahead", None, "", D, RELAY, False),
    ("mail", GARBAGE, None, "", D, RELAY, False),
    ("mail", "drop", None, "", D, RELAY, False),
    ("rcpt", "251 will forward", 250, "2.0.0", A, NOBODY, True),
    ("rcpt", "252 cannot verify", 250, "2.0.0", A, NOBODY, True),
    ("rcpt", "450 4.2.1 busy", 450, "4.2.1", D, DELIVERY, True),
    ("rcpt", "451 4.7.1 greylisted", 451, "4.7.1", D, DELIVERY, True),
    ("rcpt", "450 4.7.0 rate limit", 450, "4.7.0", D, POLICY, True),
    ("rcpt", "550 5.1.1 no such user", 550, "5.1.1", F, RECIPIENT, True),
    ("rcpt", "550 No such user here", 550, "", F, RECIPIENT, True),
    ("rcpt", "550-5.7.1 blocked\r\n550 5.7.1 by us", 550, "5.7.1", F, POLICY, True),
    ("rcpt", "550 go away", 550, "", F, POLICY, True),
    ("rcpt", "552 5.2.2 mailbox full", 552, "5.2.2", D, DELIVERY, True),
    ("rcpt", "553 5.1.0 odd address", 553, "5.1.0", F, DELIVERY, True),
    ("rcpt", "421 4.7.0 too fast", 421, "4.7.0", Q, RELAY, False),
    ("rcpt", "354 go ahead", None, "", D, RELAY, False),
    ("rcpt", GARBAGE, None, "", D, RELAY, False),
    ("rcpt", "drop", None, "", D, RELAY, False),
    ("data", "451 4.3.0 later", 451, "4.3.0", D, DELIVERY, True),
    ("data", "554 5.7.1 policy", 554, "5.7.1", F, POLICY, True),
    ("data", "550 5.6.0 odd", 550, "5.6.0", F, DELIVERY, True),
    ("data", "421 4.3.2 closing", 421, "4.3.2", Q, RELAY, False),
    ("data", "250 ok", None, "", D, RELAY, False),
    ("data", GARBAGE, None, "", D, RELAY, False),
    ("data", "drop", None, "", D, RELAY, False),
    ("dot", "250 2.6.0 queued as X", 250, "2.6.0", A, NOBODY, True),
    ("dot", "251 fine", 251, "", A, NOBODY, True),
    ("dot", "451 4.3.0 later", 451, "4.3.0", D, DELIVERY, True),
    ("dot", "552 5.2.2 mailbox full", 552, "5.2.2", D, DELIVERY, True),
    ("dot", "550 5.1.1 no such user", 550, "5.1.1", F, DELIVERY, True),
    ("dot", "554 5.7.1 looks like spam", 554, "5.7.1", F, POLICY, True),
    ("dot", "550 5.6.0 bad content", 550, "5.6.0", F, DELIVERY, True),
    ("dot", "421 4.3.2 closing", 421, "4.3.2", D, RELAY, False),
    ("dot", "354 more", None, "", U, RELAY, False),
    ("dot", GARBAGE, None, "", U, RELAY, False),
    ("dot", b"550-first\r\n250 second\r\n", None, "", U, RELAY, False),
    ("dot", "drop", None, "", U, RELAY, False),
    ("kept", "drop", None, "", U, RELAY, False),
]


@pytest.mark.parametrize(("stage", "reply", "code", "enhanced", "status", "blame", "usable"), DURING)
def test_each_answer_at_each_stage_has_its_meaning(
    stage: str, reply: str | bytes, code: int | None, enhanced: str, status: DeliveryStatus, blame: Blame, usable: bool
) -> None:
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        server.answer(stage, reply, times=1)
        answer = session.send(message())
        decision = decide(answer)
        assert (answer.code, answer.enhanced) == (code, enhanced)
        assert answer.stage == (Stage.DOT if status is A or stage == "kept" else Stage(stage))
        assert answer.handed_over == (answer.stage is Stage.DOT)
        assert (decision.status, decision.blame) == (status, blame)
        assert decision.suppress == (blame is RECIPIENT)
        assert decision.count_attempt == (status is not Q)
        assert len(server.messages) == (status is A or stage == "kept")
        assert session.usable == usable
        if usable:
            assert session.send(message(BOB)).accepted
            assert server.messages[-1].recipient == BOB


# what the server says → code understood; nobody's mail is touched by any of it
OPENING = [
    ("554 5.7.1 not you", 554),
    ("454 4.7.0 not now", 454),
    ("421 4.3.2 closing", 421),
    ("354 what?", None),
    (GARBAGE, None),
    (b"999 no such code\r\n", None),
    (b"220 " + b"x" * 5000 + b"\r\n", None),
    (b"220-more\r\n" * 200, None),
    ("drop", None),
]


@pytest.mark.parametrize("stage", ["connect", "ehlo", "starttls", "auth"])
@pytest.mark.parametrize(("reply", "code"), OPENING)
def test_no_address_pays_for_a_session_that_did_not_come_about(stage: str, reply: str | bytes, code: int | None) -> None:
    tls = "starttls" if stage == "starttls" else "none"
    with SmtpServer(tls=tls, users={"u": "p"}) as server:
        server.answer(stage, reply)
        answer = refusal(relay_to(server, user="u", password="p"))
        assert (answer.stage, answer.code, answer.handed_over) == (Stage(stage), code, False)
        decision = decide(answer)
        assert (decision.status, decision.blame, decision.count_attempt) == (Q, RELAY, False)
        assert answer.text
        assert server.messages == []


@pytest.mark.parametrize(
    ("stage", "at", "handed_over"),
    [("mail", "mail", False), ("rcpt", "rcpt", False), ("data", "data", False), ("content", "dot", True), ("kept", "dot", True)],
)
def test_a_silent_relay_is_left_after_the_time_limit(stage: str, at: str, handed_over: bool) -> None:
    with SmtpServer() as server, session_of(relay_to(server, timeout=SHORT)) as session:
        server.answer(stage, "hang")
        answer = session.send(message())
        assert (answer.stage, answer.code, answer.handed_over) == (Stage(at), None, handed_over)
        assert "no answer in time" in answer.text
        assert not session.usable


@pytest.mark.parametrize("stage", ["connect", "ehlo"])
def test_a_relay_that_never_greets_is_left_after_the_time_limit(stage: str) -> None:
    with SmtpServer() as server:
        server.answer(stage, "hang")
        assert refusal(relay_to(server, timeout=SHORT)).stage is Stage(stage)


def test_a_relay_that_is_not_there_is_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answer = refusal(relay_from(RelaySettings(name="r", host="127.0.0.1", port=port, tls="none"), Path("/")))
    assert (answer.stage, answer.code) == (Stage.CONNECT, None)
    assert answer.text == f"127.0.0.1:{port}: Connection refused"


def test_a_host_name_that_cannot_exist_is_an_answer() -> None:
    settings = RelaySettings(name="r", host="x" * 80 + ".invalid", port=25, tls="none")
    assert refusal(relay_from(settings, Path("/"))).stage is Stage.CONNECT


def test_a_line_that_breaks_inside_the_content_leaves_a_delivery_that_is_surely_unsent() -> None:
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        server.drop(ANN, at="before-dot", times=1)
        answer = session.send(message(data=BODY + b"x" * 25_000_000 + b"\r\n"))
        assert (answer.stage, answer.code, answer.handed_over) == (Stage.DOT, None, False)
        assert decide(answer).status is D
        assert not session.usable
        assert server.messages == []


def test_a_message_kept_without_an_answer_is_uncertain() -> None:
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        server.drop(ANN, at="after-dot")
        assert decide(session.send(message())).status is U
        assert len(server.messages) == 1


def test_a_session_that_the_relay_has_left_says_so_before_the_next_message() -> None:
    with SmtpServer() as server:
        relay = relay_to(server)
        with session_of(relay) as session:
            assert session.send(message()).accepted
            assert session.usable
            server.close()
            assert not session.usable
            answer = session.send(message())
            assert (answer.stage, answer.code, answer.handed_over) == (Stage.MAIL, None, False)


def test_a_relay_that_closes_is_left_although_its_line_is_still_open() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"421 4.3.2 closing\r\n")
        line = Line(5)
        line.sock = ours
        session = SmtpSession(line)
        assert session.usable is False  # what is said unasked belongs to no message
        assert session.send(message()).code == 421
        with theirs.makefile("rb") as heard:
            assert [line.split()[0] for line in heard] == [b"MAIL"]


class Dribble(socket.socket):
    """A relay that says one byte a second, on a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.limits: list[float | None] = []

    def settimeout(self, value: float | None) -> None:
        self.limits.append(value)

    def recv(self, *_: int) -> bytes:
        self.seconds += 1
        return b"2"


@pytest.mark.parametrize(("patience", "seconds"), [(1, 5), (2, 10)])
def test_a_reply_must_be_whole_within_the_time_limit(monkeypatch: pytest.MonkeyPatch, patience: float, seconds: int) -> None:
    with Dribble() as relay:
        monkeypatch.setattr("pipeline.deliver.line.time.monotonic", lambda: relay.seconds)
        line = Line(5)
        line.sock = relay
        with pytest.raises(TimeoutError):
            line.getreply(patience)
        assert relay.limits == [min(left, 5) for left in range(seconds, 0, -1)], "no wait is longer than one limit"


def test_a_refused_reset_ends_the_session_but_changes_no_answer() -> None:
    with SmtpServer() as server, session_of(relay_to(server)) as session:
        server.refuse(ANN, 550, "5.1.1", "no such user")
        server.answer("rset", "502 5.5.1 no")
        assert session.send(message()).enhanced == "5.1.1"
        assert not session.usable


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mail_and_password_travel_encrypted(tls: str) -> None:
    with (
        SmtpServer(tls=tls, users={"u": "wachtwoord-é"}) as server,
        session_of(relay_to(server, user="u", password="wachtwoord-é")) as session,
    ):
        assert session.send(message()).accepted
        assert session.usable
        assert session.send(message(BOB)).accepted
        assert [(kept.recipient, kept.tls, kept.user) for kept in server.messages] == [(ANN, True, "u"), (BOB, True, "u")]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_of_unknown_origin_is_refused(tls: str) -> None:
    with SmtpServer(tls=tls, users={"u": "p"}) as server:
        answer = refusal(relay_to(server, trust=False, user="u", password="p"))
        assert answer.stage is (Stage.STARTTLS if tls == "starttls" else Stage.CONNECT)
        assert "certificate is not trusted" in answer.text
        assert not any(line.startswith("AUTH") for line in server.commands)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_for_another_host_is_refused(tls: str) -> None:
    with SmtpServer(tls=tls, names=("mail.other.example",)) as server:
        assert "certificate is not trusted" in refusal(relay_to(server)).text


def test_a_relay_without_starttls_gets_neither_mail_nor_password() -> None:
    with SmtpServer(tls="starttls", users={"u": "p"}, without={"STARTTLS"}) as server:
        answer = refusal(relay_to(server, user="u", password="p"))
        assert (answer.stage, answer.code) == (Stage.STARTTLS, None)
        assert [line.split()[0] for line in server.commands] == ["EHLO"]


def test_words_slipped_in_before_tls_are_not_taken_for_the_relays() -> None:
    with SmtpServer(tls="starttls") as server:
        server.answer("starttls", b"220 go\r\n250-test.example\r\n250 AUTH PLAIN\r\n")
        answer = refusal(relay_to(server))
        assert (answer.stage, answer.code) == (Stage.STARTTLS, None)


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "CRAM-MD5 LOGIN"])
def test_logging_in_works_with_plain_and_login(mechanisms: str) -> None:
    with (
        SmtpServer(users={"u": "p"}, mechanisms=mechanisms) as server,
        session_of(relay_to(server, user="u", password="p")) as session,
    ):
        assert session.send(message()).accepted
        assert server.messages[0].user == "u"


@pytest.mark.parametrize("mechanisms", ["PLAIN", "LOGIN"])
def test_a_wrong_password_is_the_relays_business(mechanisms: str) -> None:
    with SmtpServer(users={"u": "p"}, mechanisms=mechanisms) as server:
        answer = refusal(relay_to(server, user="u", password="wrong"))
        assert (answer.stage, answer.code, answer.enhanced) == (Stage.AUTH, 535, "5.7.8")


def test_a_relay_without_a_known_way_to_log_in_is_not_used() -> None:
    with SmtpServer(users={"u": "p"}, mechanisms="GSSAPI") as server:
        assert refusal(relay_to(server, user="u", password="p")).stage is Stage.AUTH


def test_a_password_never_crosses_a_network_in_clear_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "stays_on_this_machine", lambda _line: False)
    with SmtpServer(users={"u": "p"}) as server:
        answer = refusal(relay_to(server, user="u", password="p"))
        assert (answer.stage, answer.code) == (Stage.AUTH, None)
        assert not any(line.startswith("AUTH") for line in server.commands)


def test_the_password_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n", encoding="utf-8")
    with SmtpServer(users={"u": "geheim"}) as server:
        given = RelaySettings(
            name="r", host=server.host, port=server.port, tls="none", user="u", password_file="password", timeout="10s"
        )
        with session_of(relay_from(given, tmp_path)) as session:
            assert session.send(message()).accepted


@pytest.mark.parametrize(("key", "content"), [("password_file", None), ("password_file", b"\xff"), ("ca_file", b"no PEM")])
def test_an_unreadable_file_is_named_with_its_setting(tmp_path: Path, key: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "it").write_bytes(content)
    with pytest.raises(ConfigError, match=key):
        relay_from(RelaySettings(name="r", host="mail.example", user="u", **{key: "it"}), tmp_path)


def test_a_password_is_sent_as_rfc_4616_says() -> None:
    with SmtpServer(users={"u@example.org": "p w"}) as server:
        with session_of(relay_to(server, user="u@example.org", password="p w")):
            pass
        line = next(line for line in server.commands if line.startswith("AUTH"))
        assert base64.b64decode(line.split()[2]) == b"\0u@example.org\0p w"
