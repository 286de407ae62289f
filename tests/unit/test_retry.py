"""One answer, one decision: the table of ``deliver.retry``, with the arithmetic in comments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deliver.retry import BACK_OFF, decide, defer, expired
from pipeline.models import Blame, DeliveryStatus, RelayAnswer, RetryDecision, Stage

OPENED = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
DAY = timedelta(hours=24)
MINUTE = timedelta(minutes=1)


def decided(
    answer: RelayAnswer, *, attempts: int = 0, now: datetime = OPENED, deadline: timedelta = DAY, jitter: float = 0.5
) -> RetryDecision:
    return decide(answer, attempts=attempts, opened_at=OPENED, deadline=deadline, now=now, jitter=jitter)


def answer(stage: str, code: int | None, enhanced: str = "", text: str = "", handed_over: bool = False) -> RelayAnswer:
    return RelayAnswer(Stage(stage), code, enhanced, text, handed_over or (stage == "dot" and code is not None))


def test_acceptance_blames_nobody() -> None:
    decision = decided(answer("dot", 250, "2.0.0", "queued as X"))
    assert decision == RetryDecision(DeliveryStatus.ACCEPTED, Blame.NOBODY, "dot: 250 2.0.0 queued as X")


@pytest.mark.parametrize("enhanced", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"])
def test_an_address_that_does_not_exist_fails_and_is_suppressed(enhanced: str) -> None:
    decision = decided(answer("rcpt", 550, enhanced, "no"))
    assert (decision.status, decision.blame, decision.suppress) == (DeliveryStatus.FAILED, Blame.RECIPIENT, True)


@pytest.mark.parametrize(
    "text",
    [
        "User unknown",
        "<a…@example.org>: Recipient address rejected: User unknown in local recipient table",
        "No such user here",
        "no such local user",
        "unknown user",
        "Mailbox not found",
        "this mailbox does not exist",
        "The account doesn't exist",
        "Invalid recipient",
        "user ann is unknown",
        "sorry, no mailbox here by that name",
    ],
)
def test_a_bare_550_that_names_an_unknown_user_suppresses(text: str) -> None:
    assert decided(answer("rcpt", 550, "", text)).suppress


@pytest.mark.parametrize(
    ("stage", "code", "enhanced", "text"),
    [
        ("rcpt", 550, "", "mailbox unavailable"),  # RFC 5321's own words for 550, which covers policy as well
        ("rcpt", 550, "", "blocked: too many attempts to reach unknown users"),
        ("rcpt", 550, "", "rejected by policy: unknown user"),
        ("rcpt", 550, "", "sender address unknown"),
        ("rcpt", 550, "", "sender domain does not exist"),
        ("rcpt", 550, "5.7.1", "user unknown"),
        ("rcpt", 550, "5.0.0", "user unknown"),
        ("rcpt", 553, "", "no such user"),
        ("dot", 550, "5.1.1", "no such user"),
        ("dot", 550, "", "no such user"),
        ("data", 554, "", "no such user"),
    ],
)
def test_no_other_refusal_ever_suppresses_an_address(stage: str, code: int, enhanced: str, text: str) -> None:
    decision = decided(answer(stage, code, enhanced, text))
    assert (decision.status, decision.suppress) == (DeliveryStatus.FAILED, False)


@pytest.mark.parametrize(
    ("stage", "code", "enhanced", "text", "blame"),
    [
        ("rcpt", 550, "5.7.1", "not allowed", Blame.POLICY),
        ("dot", 550, "5.7.515", "access denied", Blame.POLICY),
        ("rcpt", 550, "5.4.1", "access denied", Blame.POLICY),
        ("rcpt", 550, "5.1.8", "sender's domain not found", Blame.POLICY),
        ("dot", 554, "", "no", Blame.POLICY),
        ("rcpt", 550, "", "go away", Blame.POLICY),
        ("dot", 553, "", "daily limit reached", Blame.POLICY),
        ("dot", 550, "5.6.0", "hourly quota is used up", Blame.POLICY),
        ("dot", 550, "5.6.0", "sending rate", Blame.POLICY),
        ("dot", 550, "5.6.0", "content separated by corporate rules", Blame.DELIVERY),
        ("rcpt", 550, "5.2.1", "mailbox disabled", Blame.DELIVERY),
        ("rcpt", 553, "5.1.0", "odd", Blame.DELIVERY),
        ("rcpt", 550, "5.6.7", "no", Blame.DELIVERY),
    ],
)
def test_other_refusals_fail_this_delivery_only(stage: str, code: int, enhanced: str, text: str, blame: Blame) -> None:
    decision = decided(answer(stage, code, enhanced, text))
    assert (decision.status, decision.blame, decision.count_attempt) == (DeliveryStatus.FAILED, blame, True)


@pytest.mark.parametrize(
    ("stage", "code", "enhanced", "text"),
    [
        ("rcpt", 552, "5.2.2", "full"),
        ("dot", 552, "5.2.2", "full"),
        ("rcpt", 550, "5.2.2", "full"),  # RFC 3463, 3.3: x.2.2 is "a persistent transient failure"
        ("rcpt", 552, "", "mailbox full"),
        ("rcpt", 552, "", "too many recipients"),  # RFC 5321, 4.5.3.1.10
        ("dot", 552, "", "The user's mailbox is full"),
        ("dot", 552, "", "over quota"),
        ("rcpt", 452, "4.2.2", "over quota"),
    ],
)
def test_a_full_mailbox_is_tried_again(stage: str, code: int, enhanced: str, text: str) -> None:
    decision = decided(answer(stage, code, enhanced, text))
    assert (decision.status, decision.blame, decision.suppress) == (DeliveryStatus.DEFERRED, Blame.DELIVERY, False)


@pytest.mark.parametrize(
    ("code", "enhanced", "status", "blame"),
    [
        (550, "5.7.1", DeliveryStatus.QUEUED, Blame.RELAY),
        (550, "5.1.1", DeliveryStatus.QUEUED, Blame.RELAY),
        (530, "5.7.0", DeliveryStatus.QUEUED, Blame.RELAY),
        (552, "", DeliveryStatus.QUEUED, Blame.EDITION),
        (552, "5.2.2", DeliveryStatus.QUEUED, Blame.EDITION),
        (554, "5.3.4", DeliveryStatus.QUEUED, Blame.EDITION),
        (553, "5.6.7", DeliveryStatus.FAILED, Blame.DELIVERY),
    ],
)
def test_a_refused_sender_is_never_an_addresss_fault(code: int, enhanced: str, status: DeliveryStatus, blame: Blame) -> None:
    decision = decided(answer("mail", code, enhanced, "user unknown"))
    assert (decision.status, decision.blame, decision.suppress) == (status, blame, False)
    assert decision.count_attempt == (status is DeliveryStatus.FAILED)


@pytest.mark.parametrize("stage", ["connect", "ehlo", "starttls", "auth"])
@pytest.mark.parametrize("code", [None, 354, 421, 454, 535, 550])
def test_a_session_that_did_not_come_about_costs_no_attempt(stage: str, code: int | None) -> None:
    decision = decided(answer(stage, code, "", "no such user"), now=OPENED + 3 * DAY)
    assert (decision.status, decision.blame) == (DeliveryStatus.QUEUED, Blame.RELAY)
    assert not decision.count_attempt
    assert not decision.suppress


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_a_closing_relay_costs_no_attempt(stage: str) -> None:
    decision = decided(answer(stage, 421, "4.7.0", "too fast"))
    assert (decision.status, decision.blame, decision.count_attempt) == (DeliveryStatus.QUEUED, Blame.RELAY, False)


def test_a_relay_that_closes_instead_of_taking_the_message_has_not_taken_it() -> None:
    decision = decided(answer("dot", 421, "4.3.2", "closing"))
    assert (decision.status, decision.blame) == (DeliveryStatus.DEFERRED, Blame.RELAY)


@pytest.mark.parametrize(
    ("stage", "code", "enhanced", "text", "blame"),
    [
        ("rcpt", 450, "4.2.1", "busy", Blame.DELIVERY),
        ("rcpt", 451, "4.7.1", "Greylisted, come back", Blame.DELIVERY),
        ("rcpt", 450, "4.7.0", "too fast", Blame.POLICY),
        ("dot", 452, "", "no", Blame.POLICY),
        ("data", 451, "4.3.0", "rate limited", Blame.POLICY),
        ("mail", 451, "4.3.0", "local error", Blame.RELAY),
        ("dot", 451, "4.3.0", "local error", Blame.DELIVERY),
    ],
)
def test_a_temporary_refusal_is_tried_again(stage: str, code: int, enhanced: str, text: str, blame: Blame) -> None:
    decision = decided(answer(stage, code, enhanced, text))
    assert (decision.status, decision.blame, decision.count_attempt) == (DeliveryStatus.DEFERRED, blame, True)


@pytest.mark.parametrize("code", [None, 120, 354, 600])
def test_without_an_answer_only_the_dot_decides(code: int | None) -> None:
    lost = decided(RelayAnswer(Stage.DOT, code, "", "line lost", handed_over=False))
    assert (lost.status, lost.blame) == (DeliveryStatus.DEFERRED, Blame.RELAY)
    handed = decided(RelayAnswer(Stage.DOT, code, "", "line lost", handed_over=True))
    assert (handed.status, handed.blame, handed.next_at) == (DeliveryStatus.UNCERTAIN, Blame.RELAY, None)


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [(0, 5), (1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 240), (50, 240)],
)
def test_the_waits_grow_and_then_stay(attempts: int, minutes: int) -> None:
    later = answer("rcpt", 450)
    assert decided(later, attempts=attempts).next_at == OPENED + minutes * MINUTE
    assert decided(later, attempts=attempts, jitter=0).next_at == OPENED + minutes * MINUTE * 0.8  # a fifth less
    almost = decided(later, attempts=attempts, jitter=0.999).next_at
    assert almost is not None
    assert OPENED + minutes * MINUTE * 1.19 < almost < OPENED + minutes * MINUTE * 1.2


def test_the_last_try_is_made_at_the_deadline_and_none_after_it() -> None:
    later = answer("rcpt", 450, "4.2.1", "busy")
    # opened 08:00, deadline 10:00: at 09:50 the next wait of 15 min would end at 10:05
    late = decided(later, attempts=1, now=OPENED + 110 * MINUTE, deadline=120 * MINUTE)
    assert (late.status, late.next_at) == (DeliveryStatus.DEFERRED, OPENED + 120 * MINUTE)
    over = decided(later, attempts=2, now=OPENED + 120 * MINUTE, deadline=120 * MINUTE)
    assert (over.status, over.next_at) == (DeliveryStatus.EXPIRED, None)
    assert over.reason == "not accepted by the deadline; rcpt: 450 4.2.1 busy"
    assert decided(answer("dot", 250), now=OPENED + 3 * DAY).status is DeliveryStatus.ACCEPTED


def test_an_edition_expires_at_its_deadline() -> None:
    assert not expired(OPENED, DAY, OPENED + DAY - timedelta(microseconds=1))
    assert expired(OPENED, DAY, OPENED + DAY)


def test_a_broken_up_run_of_refusals_can_be_deferred_by_hand() -> None:
    decision = defer("rcpt: 550 5.7.1 no", Blame.POLICY, attempts=0, opened_at=OPENED, deadline=DAY, now=OPENED, jitter=0.5)
    assert (decision.status, decision.next_at) == (DeliveryStatus.DEFERRED, OPENED + BACK_OFF[0])


ANSWERS = st.builds(
    RelayAnswer,
    stage=st.sampled_from(Stage),
    code=st.none() | st.integers(min_value=100, max_value=699),
    enhanced=st.just("") | st.from_regex(r"[245]\.[0-9]{1,2}\.[0-9]{1,2}", fullmatch=True),
    text=st.text(max_size=60) | st.sampled_from(["no such user", "quota", "mailbox full", "spam", "greylisted"]),
    handed_over=st.booleans(),
)


@settings(max_examples=500, deadline=None)
@given(
    ANSWERS,
    st.integers(min_value=0, max_value=200),
    st.timedeltas(min_value=timedelta(0), max_value=3 * DAY),
    st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_every_answer_has_one_consistent_decision(said: RelayAnswer, attempts: int, age: timedelta, jitter: float) -> None:
    now = OPENED + age
    decision = decided(said, attempts=attempts, now=now, jitter=jitter)
    assert (decision.status is DeliveryStatus.ACCEPTED) == said.accepted
    assert (decision.next_at is not None) == (decision.status is DeliveryStatus.DEFERRED)
    assert decision.count_attempt == (decision.status is not DeliveryStatus.QUEUED)
    assert decision.next_at is None or now < decision.next_at <= OPENED + DAY
    if decision.status is DeliveryStatus.UNCERTAIN:
        assert said.handed_over
    if decision.suppress:
        assert (said.stage, decision.status) == (Stage.RCPT, DeliveryStatus.FAILED)
        assert said.code is not None
        assert 500 <= said.code < 600
    if decision.status is DeliveryStatus.FAILED:
        assert said.code is not None
        assert 500 <= said.code < 600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Greylisted, try again in 300 seconds", 300),
        ("greylisted for 5 minutes; please retry in 5 minutes", 300),
        ("Greylisting in action, please come back in 00:04:32", 272),
        ("try again in 2 seconds", 60),
        ("Retry after 9 hours", 4 * 3600),
        ("too many messages, wait 10 min", 600),
        ("try again later", None),
        ("try again later, see https://help.example.org/in/451", None),
        ("queue id 300 in use", None),
    ],
)
def test_a_relay_that_says_when_is_taken_at_its_word(text: str, seconds: int | None) -> None:
    said = answer("rcpt", 451, "4.7.1", text)
    soonest, latest = (decided(said, jitter=jitter).next_at for jitter in (0.0, 0.999))
    assert soonest is not None
    assert latest is not None
    if seconds is None:
        assert soonest - OPENED == timedelta(minutes=4)
    else:
        assert soonest - OPENED == timedelta(seconds=seconds), "never before it"
        assert latest - soonest < timedelta(seconds=seconds) * 0.2
