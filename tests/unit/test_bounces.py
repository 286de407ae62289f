"""What a mail that came back says: the formats of the large servers, the table of codes, and any bytes at all."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compose import verp
from pipeline.compose.links import Links
from pipeline.deliver import bounces
from pipeline.deliver.mime_parts import parse, plain
from pipeline.models import FeedbackKind, Weight
from tests import bounced

KEY = "abcdefghijklmnopqrstuvwxyz234567"
TOKEN = "KzR4Cd1E860.Tq62GwwZrhai44jM8260RSq2pllXcflOVtcO-7hCD08"
MESSAGE_ID = f"<{KEY}@nieuws.example.org>"
ANN = "ann@example.org"
MAIL = (
    f"From: Samen Opleiden <nieuws@example.org>\r\nTo: Ann <{ANN}>\r\nSubject: Nieuws\r\nMessage-ID: {MESSAGE_ID}\r\n"
    f"List-Unsubscribe: <https://nieuws.example.org/unsubscribe/{TOKEN}>,\r\n"
    f" <mailto:redactie@example.org?subject=unsubscribe%20{TOKEN}>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nNieuws.\r\n"
).encode()
LINKS = Links(b"0123456789abcdef" * 4)
UNKNOWN_USER = "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown"


@pytest.mark.parametrize(
    "mail",
    [
        bounced.postfix(MAIL, ANN, status="5.1.1", said=UNKNOWN_USER),
        bounced.exchange(MAIL, ANN),
        bounced.gmail(MAIL, ANN, MESSAGE_ID),
        bounced.exim(MAIL, ANN),
        bounced.postfix(MAIL, ANN, status="5.1.1", said=UNKNOWN_USER).replace(b"\r\n", b"\n"),
        b"From MAILER-DAEMON Tue Nov 24 08:00:00 2026\n" + bounced.postfix(MAIL, ANN, status="5.1.1", said=UNKNOWN_USER),
    ],
    ids=["postfix", "exchange", "gmail", "exim", "LF", "mbox"],
)
def test_the_bounces_of_large_servers_name_their_recipient_their_reason_and_our_mail(mail: bytes) -> None:
    verdict = bounces.read(mail)
    assert verdict.kind is FeedbackKind.BOUNCE
    [failure] = verdict.failures
    assert ANN in failure.recipients
    assert failure.weight is Weight.HARD
    assert failure.status in ("5.1.1", "5.1.10")
    assert verdict.keys == (KEY,)
    assert verdict.leave_tokens == (TOKEN,)
    assert ANN not in failure.reason


@pytest.mark.parametrize(
    ("status", "said", "weight"),
    [
        ("5.1.1", "550 5.1.1 no such user", Weight.HARD),
        ("5.1.2", "", Weight.HARD),
        ("5.1.3", "501 5.1.3 bad address", Weight.HARD),
        ("5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", Weight.HARD),
        ("5.0.0", "550 User unknown", Weight.HARD),
        ("5.0.0", "550 5.1.1 who?", Weight.HARD),
        ("5.0.0", "550 no", Weight.POLICY),
        ("", "", Weight.SOFT),
        ("5.2.2", "552 5.2.2 mailbox full", Weight.SOFT),
        ("5.2.1", "550 5.2.1 disabled", Weight.SOFT),
        ("5.4.4", "", Weight.SOFT),
        ("4.1.1", "450 4.1.1 user unknown", Weight.SOFT),
        ("4.4.7", "550 5.1.1 user unknown", Weight.SOFT),
        ("4.0.0", "550 User unknown", Weight.SOFT),
        ("4.2.2", "", Weight.SOFT),
        ("5.3.4", "552 5.3.4 too big", Weight.POLICY),
        ("5.7.1", "550 5.7.1 User unknown, or spam", Weight.POLICY),
        ("5.7.515", "550 5.7.515 Access denied, sending domain does not meet the required authentication level", Weight.OURS),
        ("5.7.26", "550-5.7.26 unauthenticated", Weight.OURS),
    ],
)
def test_only_a_code_that_means_no_such_address_is_hard(status: str, said: str, weight: Weight) -> None:
    verdict = bounces.read(bounced.postfix(MAIL, ANN, status=status, said=said))
    assert [one.weight for one in verdict.failures] == [weight]


@pytest.mark.parametrize(
    ("action", "kind"),
    [("delayed", FeedbackKind.DELAY), ("relayed", FeedbackKind.DELIVERED), ("delivered", FeedbackKind.DELIVERED)],
)
def test_a_notice_of_delay_or_delivery_is_no_bounce(action: str, kind: FeedbackKind) -> None:
    verdict = bounces.read(bounced.postfix(MAIL, ANN, status="4.4.1", said="connect timed out", action=action))
    assert (verdict.kind, verdict.failures) == (kind, ())


def test_each_recipient_of_a_report_has_a_group_of_its_own() -> None:
    mail = bounced.postfix(MAIL, ANN, status="5.1.1", said=UNKNOWN_USER)
    more = b"\r\nFinal-Recipient: rfc822; bob@example.org\r\nAction: delayed\r\nStatus: 4.4.1\r\n"
    more += b"\r\nFinal-Recipient: utf-8; eva@example.org\r\nAction: FAILED (really)\r\nStatus: 5.2.2 (full)\r\n"
    verdict = bounces.read(mail.replace(b"User unknown\r\n", b"User unknown\r\n" + more))
    assert [(one.recipients, one.weight) for one in verdict.failures] == [
        ((ANN,), Weight.HARD),
        (("eva@example.org",), Weight.SOFT),
    ]


def test_an_address_with_a_plus_stays_what_it_is_also_where_a_server_made_it_fit_for_its_field() -> None:
    for written in ("ann+2B@example.org", "ann+2B2B@example.org"):
        verdict = bounces.read(bounced.postfix(MAIL, written, status="5.1.1", said=UNKNOWN_USER))
        assert "ann+2B@example.org" in verdict.failures[0].recipients


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [
        ("abuse", FeedbackKind.COMPLAINT),
        ("Abuse", FeedbackKind.COMPLAINT),
        ("opt-out", FeedbackKind.COMPLAINT),
        ("auth-failure", FeedbackKind.REPORT),
        ("not-spam", FeedbackKind.REPORT),
        ("fraud", FeedbackKind.REPORT),
        ("", FeedbackKind.REPORT),
    ],
)
def test_of_feedback_reports_only_abuse_is_a_complaint(kind: str, becomes: FeedbackKind) -> None:
    verdict = bounces.read(bounced.arf(MAIL, kind=kind, recipient=ANN))
    assert verdict.kind is becomes
    assert verdict.recipients == (ANN,)
    assert verdict.leave_tokens == (TOKEN,)


@pytest.mark.parametrize(
    "subject", [f"unsubscribe {TOKEN}", f"Unsubscribe  {TOKEN} ", f"=?utf-8?q?unsubscribe_{TOKEN}?=", f"unsubscribe\r\n {TOKEN}"]
)
def test_an_unsubscribe_mail_is_known_by_its_subject(subject: str) -> None:
    verdict = bounces.read(f"From: a@b.example\r\nSubject: {subject}\r\n\r\n".encode())
    assert (verdict.kind, verdict.leave_tokens) == (FeedbackKind.UNSUBSCRIBE, (TOKEN,))


@pytest.mark.parametrize(
    "subject", [f"Re: unsubscribe {TOKEN}", "unsubscribe", "please unsubscribe me", f"unsubscribe {TOKEN} {TOKEN}"]
)
def test_any_other_subject_is_left_for_a_person(subject: str) -> None:
    assert bounces.read(f"From: a@b.example\r\nSubject: {subject}\r\n\r\nhoi".encode()).kind is FeedbackKind.UNKNOWN


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Auto-Submitted: auto-replied", FeedbackKind.AUTO_REPLY),
        ("Auto-Submitted: auto-generated; x=y", FeedbackKind.AUTO_REPLY),
        ("Precedence: auto_reply", FeedbackKind.AUTO_REPLY),
        ("X-Autoreply: yes", FeedbackKind.AUTO_REPLY),
        ("Auto-Submitted: no", FeedbackKind.UNKNOWN),
        ("Precedence: bulk", FeedbackKind.UNKNOWN),
    ],
)
def test_answers_by_programs_are_told_from_answers_by_people(line: str, kind: FeedbackKind) -> None:
    assert bounces.read(f"From: a@b.example\r\nSubject: Afwezig\r\n{line}\r\n\r\nIk ben er niet.".encode()).kind is kind


def test_a_bounce_that_a_person_passes_on_is_no_bounce() -> None:
    inner = bounced.postfix(MAIL, ANN, status="5.1.1", said=UNKNOWN_USER)
    head = b"Subject: kijk eens\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
    assert bounces.read(head + inner + b"\r\n--x--\r\n").kind is FeedbackKind.UNKNOWN


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_an_envelope_sender_names_its_delivery_whatever_case_it_comes_back_in(edition: int, subscription: int) -> None:
    sender = verp.sender(LINKS, "nieuws@example.org", edition, subscription)
    assert verp.read(LINKS, f"<{sender.upper()}>") == verp.read(LINKS, sender) == [(edition, subscription)]
    assert len(sender.partition("@")[0]) <= 64


def test_a_return_token_that_was_not_signed_here_names_nothing() -> None:
    sender = verp.sender(LINKS, "nieuws@example.org", 1, 2)
    token = sender.partition("+")[2].partition("@")[0]
    for place, letter in enumerate(token):
        other = token[:place] + ("a" if letter != "a" else "b") + token[place + 1 :]
        assert verp.read(LINKS, f"nieuws+{other}@example.org") == []
    assert verp.read(Links(b"another" * 8), sender) == []


@pytest.mark.parametrize("sender", ["a" * 24 + "@example.org", '"a b"@example.org', "nobody", ""])
def test_a_sender_without_room_for_a_token_stays_as_it_is(sender: str) -> None:
    assert verp.sender(LINKS, sender, 1, 2) == sender


_BASES = [
    bounced.postfix(MAIL, ANN, status="5.1.1", said=UNKNOWN_USER),
    bounced.exchange(MAIL, ANN),
    bounced.exim(MAIL, ANN),
    bounced.arf(MAIL, recipient=ANN),
    bounced.unsubscribe(TOKEN),
]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes_get_a_verdict(data: st.DataObject) -> None:
    """Whole reports with pieces cut out, put in twice, or replaced by anything."""
    mail = data.draw(st.sampled_from([*_BASES, b""]))
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(mail)))
        end = data.draw(st.integers(start, min(len(mail), start + 200)))
        mail = mail[:start] + data.draw(st.binary(max_size=60) | st.just(mail[start:end] * 2)) + mail[end:]
    verdict = bounces.read(mail)
    assert verdict.kind in FeedbackKind
    for failure in verdict.failures:
        assert failure.reason.isprintable()
        assert all("@" in one for one in failure.recipients)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_mail(data: bytes) -> None:
    bounces.read(b"Subject: " + data)
    bounces.read(b"Content-Type: multipart/report; boundary=a\n\n--a\nContent-Type: message/delivery-status\n\n" + data)


@given(st.text(max_size=200))
def test_any_header_can_be_shown(value: str) -> None:
    plain("=?utf-8?q?" + value)
    plain(f"=?{value}?b?a?=")


_NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level) for level in range(2_000))
_SLOW: dict[str, bytes] = {
    "nested parts": _NESTED * 8,
    "nested mails": b"Content-Type: message/rfc822\n\n" * 30_000,
    "one boundary": b"Content-Type: multipart/report; boundary=a\n\n" + b"--a\n" * 200_000,
    "almost a boundary": b"Content-Type: multipart/report; boundary=a\n\n" + b"--ab\n" * 200_000,
    "folded lines": b"Subject: a\n" + b" a\n" * 300_000,
    "header lines": b"a: b\n" * 200_000,
    "empty groups": b"Content-Type: message/delivery-status\n\n" + b"\n" * 900_000,
    "groups": b"Content-Type: message/delivery-status\n\n" + b"action: failed\nfinal-recipient: a;a@b\n\n" * 20_000,
    "parameters": b"Content-Type: multipart/report" + b';a="' * 2_000 + b"\n\n" + b"a" * 900_000,
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 60_000,
    "line ends": b"\r" * 900_000,
    "x-failed": b"X-Failed-Recipients: a@b\n\n" + b"------ 550 a@" * 70_000,
    "references": b"References: " + b"<" * 900_000,
    "base64": b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n" + b"QUFB" * 200_000,
    "quoted": b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: quoted-printable\n\n" + b"=41=" * 200_000,
}


@pytest.mark.parametrize("name", _SLOW)
def test_a_megabyte_that_was_made_to_be_slow_is_not(name: str) -> None:
    """A second is fifty times what any takes; a square of a megabyte is hours."""
    begun = time.thread_time()
    bounces.read(_SLOW[name])
    assert time.thread_time() - begun < 5


def test_no_more_than_a_few_levels_and_parts_are_looked_into() -> None:
    deepest, level = parse(_NESTED), 0
    while deepest.parts:
        deepest, level = deepest.parts[0], level + 1
    assert level <= 5
    assert len(parse(b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n" * 1_000).parts) <= 31
