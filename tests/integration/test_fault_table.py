"""Every reply at every stage, with neighbours in the pipe: what becomes of the hurt message and of those beside it.

Four messages go through one session; at the second one the relay says, or leaves unsaid, what the table's head names.
A second session to the same relay, which has come to its senses, then sends what was not ended.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.models import OutgoingMessage, RelayAnswer, Stage
from tests.integration.session_account import Account, recorded_lines, row_of
from tests.integration.smtp_sessions import PATIENCE, SHORT, decide, relay_to
from tests.servers.smtp import Reply, SmtpServer

# What is left after the first session, one letter for each message: Accepted, Deferred, Failed, Uncertain, Queued (settled,
# but no attempt is counted), Back (handed back: nobody's fault), "." never taken. In lock-step / pipelined; one word: both.
# "kept": the relay has the message for good, then its answer goes wrong. "rset": RSET goes wrong after an unknown recipient.
TABLE = """
stage     2xx        354        4xx        5xx        421        garbage    drop       hang
connect   AAAA       ....       ....       ....       ....       ....       ....       ....
ehlo      AAAA       ....       ....       ....       ....       ....       ....       ....
starttls  AAAA       ....       ....       ....       ....       ....       ....       ....
auth      AAAA       ....       ....       ....       ....       ....       ....       ....
mail      AAAA       AD..       ADAA       AQAA       AQ..       AD..       AD../AB..  AD..
rcpt      AAAA       AD..       ADAA       AFAA       AQ..       AD..       AD..       AD..
data      AD..       AAAA       ADAA       AFAA       AQ..       AD..       AD..       AD..
dot       AAAA       AU../AUB.  ADAA       AFAA       AD../ADB.  AU../AUB.  AU../AUB.  AU../AUB.
kept      -          AU../AUB.  -          -          -          AU../AUB.  AU../AUB.  AU../AUB.
rset      AFAA       AF..       AF..       AF..       AF..       AF..       AF..       AF..
quit      AAAA       AAAA       AAAA       AAAA       AAAA       AAAA       AAAA       AAAA
"""


OPENING = ("connect", "ehlo", "starttls", "auth")
REPLIES: dict[str, Reply] = {
    "2xx": "250 2.0.0 fine",
    "354": "354 go on",
    "4xx": "451 4.3.0 later",
    "5xx": "550 5.1.1 no such user",
    "421": "421 4.3.2 closing",
    "garbage": b"\x00\xffPK\x03\x04 hello?\r\n",
    "drop": "drop",
    "hang": "hang",
}
CODES = {"4xx": 451, "5xx": 550, "421": 421}
COUNT = 4
HURT = 1


def cells() -> list[tuple[str, str, bool, str]]:
    """(stage, reply, whether pipelined, the end states) of every cell."""
    head, *lines = (line.split() for line in TABLE.strip().splitlines())
    return [
        (stage, kind, pipelined, cell.split("/")[-1 if pipelined else 0])
        for stage, *row in lines
        for kind, cell in zip(head[1:], row, strict=True)
        if cell != "-"
        for pipelined in (False, True)
    ]


@pytest.fixture(scope="module")
def lines() -> Iterator[list[bytes]]:
    with recorded_lines() as noted:
        yield noted


def server_for(stage: str, pipelined: bool, eager: bool = False) -> SmtpServer:
    tls = "starttls" if stage == "starttls" else "none"
    return SmtpServer(
        tls=tls, users={"u": "p"} if stage == "auth" else {}, without=() if pipelined else ("PIPELINING",), eager=eager
    )


def misbehave(server: SmtpServer, stage: str, reply: Reply, hurt: OutgoingMessage) -> None:
    """Say it once, at that stage of the hurt message, or at the first chance where a stage belongs to no message."""
    if stage == "rset":
        server.refuse(hurt.recipient, 550, "5.1.1", "no such user", times=1)
    about = {
        "mail": hurt.envelope_from,
        "rcpt": hurt.recipient,
        "data": hurt.recipient,
        "dot": hurt.recipient,
        "kept": hurt.recipient,
    }
    server.answer(stage, reply, times=1, about=about.get(stage, ""))


def one_session(server: SmtpServer, account: Account, *, short: bool = False) -> None:
    """Connect, deliver, close; ``account.usable`` says whether the session could have gone on, None: it never came about."""
    given = {"user": "u", "password": "p"} if server.users else {}
    session = relay_to(server, timeout=SHORT if short else PATIENCE, **given).connect()
    if isinstance(session, RelayAnswer):
        return
    try:
        session.deliver(account)
    finally:
        account.usable = session.usable
        session.close()


def assert_true_to_the_relay(server: SmtpServer, account: Account, before: int = 0) -> None:
    """What was kept since is accepted or uncertain, once, and byte for byte; what is accepted was kept."""
    kept = server.messages[before:]
    recipients = [one.recipient for one in kept]
    sent = {one.recipient: one for one in account.row}
    assert len(recipients) == len(set(recipients))
    assert {account.letter(recipient) for recipient in recipients} <= {"A", "U"}
    assert {one.recipient for one in account.row if account.letter(one.recipient) == "A"} <= set(recipients)
    for one in kept:
        assert (one.data, one.envelope_from) == (sent[one.recipient].data, sent[one.recipient].envelope_from)


@pytest.mark.parametrize(("stage", "kind", "pipelined", "ends"), cells())
def test_a_fault_ends_as_the_table_says_and_its_neighbours_pay_nothing(
    lines: list[bytes], stage: str, kind: str, pipelined: bool, ends: str
) -> None:
    lines.clear()
    row = row_of(COUNT)
    account = Account(row, lines)
    with server_for(stage, pipelined) as server:
        misbehave(server, stage, REPLIES[kind], row[HURT])
        one_session(server, account, short=kind == "hang")
        assert account.letters() == ends
        assert account.usable == (None if ends == "...." else "." not in ends)
        assert_true_to_the_relay(server, account)
        assert_to_blame(account, stage, kind, row[HURT].recipient)
        assert_the_rest_follows(server, account, lines)


def assert_to_blame(account: Account, stage: str, kind: str, hurt: str) -> None:
    """The hurt message's answer is the relay's own word at that very stage; only an unknown recipient is suppressed."""
    assert [name for name, answer in account.answers.items() if not answer.accepted and name != hurt] == []
    answer = account.answers.get(hurt)
    if answer is None or answer.accepted:
        return
    assert answer.stage is {"kept": Stage.DOT, "rset": Stage.RCPT}.get(stage) or Stage(stage)
    assert answer.code == (550 if stage == "rset" else CODES.get(kind))
    assert answer.handed_over == (answer.stage is Stage.DOT)
    assert decide(answer).suppress == (answer.stage is Stage.RCPT and answer.code == 550)


def assert_the_rest_follows(server: SmtpServer, first: Account, lines: list[bytes]) -> None:
    """A second session sends what is still open; nobody got two, and nobody is forgotten."""
    lines.clear()
    before = len(server.messages)
    server.behave()
    second = Account([one for one in first.row if first.letter(one.recipient) in "DQB."], lines)
    one_session(server, second)
    assert set(second.letters()) <= {"A"}
    assert_true_to_the_relay(server, second, before)
    recipients = [one.recipient for one in server.messages]
    assert len(recipients) == len(set(recipients))
    assert {one.recipient for one in first.row if first.letter(one.recipient) not in "FU"} <= set(recipients)


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize(("reply", "end"), [("450 4.2.1 busy", "D"), ("550 5.1.1 no such user", "F"), ("550 5.7.1 go away", "F")])
def test_a_relay_that_wants_content_for_nobody_gets_a_lone_dot_and_keeps_nothing_empty(
    lines: list[bytes], pipelined: bool, reply: str, end: str
) -> None:
    lines.clear()
    account = Account(row_of(COUNT), lines)
    with server_for("rcpt", pipelined, eager=True) as server:
        misbehave(server, "rcpt", reply, account.row[HURT])
        one_session(server, account)
        assert account.letters() == f"A{end}AA"
        assert account.usable
        assert server.connections == 1
        assert_true_to_the_relay(server, account)


@pytest.mark.parametrize(("pipelined", "ends"), [(False, "ADAA"), (True, "AD..")])
def test_a_refused_mail_whose_recipient_is_taken_gets_no_dot_at_all(lines: list[bytes], pipelined: bool, ends: str) -> None:
    """A lone dot would deliver an empty mail to somebody."""
    lines.clear()
    account = Account(row_of(COUNT), lines)
    with server_for("mail", pipelined, eager=True) as server:
        misbehave(server, "mail", REPLIES["4xx"], account.row[HURT])
        one_session(server, account)
        assert account.letters() == ends
        assert_true_to_the_relay(server, account)


@pytest.mark.parametrize("pipelined", [False, True])
def test_who_leaves_after_354_gets_nothing_and_the_next_one_is_not_blamed(lines: list[bytes], pipelined: bool) -> None:
    lines.clear()
    row = row_of(COUNT)
    account = Account(row, lines, unwanted=frozenset([row[HURT].recipient]))
    with server_for("data", pipelined) as server:
        one_session(server, account)
        assert account.letters() == ("ADB." if pipelined else "AD..")
        assert account.answers[row[HURT].recipient] == RelayAnswer(Stage.DATA, None, "", "withheld")
        assert account.intended == [row[0].recipient]
        assert not account.usable
        assert_true_to_the_relay(server, account)


class Broken(Exception):
    """The ledger itself failed."""


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("moment", ["take", "wanted", "intend", "settle"])
def test_a_ledger_that_fails_ends_the_session_before_anything_more_is_sent(
    lines: list[bytes], monkeypatch: pytest.MonkeyPatch, pipelined: bool, moment: str
) -> None:
    """A full disk or a locked database: what the ledger could not note must not go out behind its back."""
    lines.clear()
    account = Account(row_of(COUNT), lines)
    proper, calls = getattr(account, moment), []

    def failing(*given: object) -> object:
        calls.append(given)
        if len(calls) == 2:
            raise Broken
        return proper(*given)

    monkeypatch.setattr(account, moment, failing)
    with server_for("dot", pipelined) as server:
        with pytest.raises(Broken):
            one_session(server, account)
        assert len(calls) == 2
        assert not (pipelined and account.usable)
        assert {one.recipient for one in server.messages} <= set(account.intended)
        assert len(server.messages) <= len(account.answers) + 1


NUMBERS = st.integers(0, COUNT - 1)
FAULTS = st.one_of(
    st.tuples(
        st.sampled_from(["mail", "rcpt", "data", "dot", "rset"]), NUMBERS, st.sampled_from([*CODES, "354", "garbage", "drop"])
    ),
    st.tuples(st.just("kept"), NUMBERS, st.sampled_from(["354", "garbage", "drop"])),
    st.tuples(st.just("content"), NUMBERS, st.just("drop")),
)


@settings(max_examples=150, deadline=None)
@example(faults=[("mail", 0, "4xx"), ("rcpt", 1, "5xx"), ("data", 2, "4xx"), ("dot", 3, "5xx")], pipelined=True, eager=True)
@example(faults=[("rcpt", 1, "5xx"), ("data", 1, "354"), ("rset", 1, "drop")], pipelined=True, eager=True)
@given(st.lists(FAULTS, max_size=8), st.booleans(), st.booleans())
def test_whatever_a_relay_says_the_account_is_true_and_everybody_is_reached(
    lines: list[bytes], faults: list[tuple[str, int, str]], pipelined: bool, eager: bool
) -> None:
    """Session after session, as a batch does, until nothing is open: any faults at all, each of them once."""
    row, waiting, kept = row_of(COUNT), row_of(COUNT), 0
    uncertain, failed = set(), set()
    with server_for("", pipelined, eager) as server:
        tag_faults(server, row, faults)
        for _ in range(len(faults) + 1):
            lines.clear()
            account = Account(waiting, lines)
            one_session(server, account)
            assert_true_to_the_relay(server, account, kept)
            assert_each_answers_for_itself(account)
            kept = len(server.messages)
            uncertain |= {one.recipient for one in waiting if account.letter(one.recipient) == "U"}
            failed |= {one.recipient for one in waiting if account.letter(one.recipient) == "F"}
            waiting = [one for one in waiting if account.letter(one.recipient) in "DQB."]
        assert waiting == []
        recipients = [one.recipient for one in server.messages]
        assert len(recipients) == len(set(recipients))
        assert {one.recipient for one in row} - failed - uncertain <= set(recipients)


def tag_faults(server: SmtpServer, row: list[OutgoingMessage], faults: list[tuple[str, int, str]]) -> None:
    """Each refusal names the message that it is about."""
    for stage, number, kind in faults:
        reply = REPLIES[kind]
        about = row[number].envelope_from if stage == "mail" else "" if stage == "rset" else row[number].recipient
        server.answer(stage, f"{reply} no{number}" if kind in CODES else reply, times=1, about=about)


def assert_each_answers_for_itself(account: Account) -> None:
    """No message is refused with what was said of another one."""
    for number, one in enumerate(row_of(COUNT)):
        answer = account.answers.get(one.recipient)
        if answer is not None and answer.code in CODES.values():
            assert answer.text.endswith(f" no{number}")
