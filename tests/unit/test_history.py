"""What the record tells an older store: pure decisions (promise 11)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.jobs.history import Change, RemadeDelivery, ReplayPlan, decide, fold
from pipeline.models import DeliveryStatus
from pipeline.store.record import (
    PERSON,
    Became,
    Began,
    Cancelled,
    EditionOpened,
    Fact,
    Left,
    Lifted,
    Line,
    Numbered,
    Queued,
    Suppressed,
)

ANN, BOB, CAS = 1, 2, 3


def opened(edition: int, feed: str = "po") -> EditionOpened:
    """An edition of no particular moment."""
    moment = f"2026-11-24T07:00:{edition:02}+00:00"
    return EditionOpened(edition, feed, moment, moment, f"{feed}/{edition}", "example.org")


def plan(*facts: Fact, editions: tuple[int, ...] = (), people: tuple[int, ...] = (ANN, BOB, CAS), **slugs: str) -> ReplayPlan:
    """What is decided on these facts, each in a line of its own."""
    return decide(fold(Line((fact,)) for fact in facts), set(editions), set(people), slugs)


def remade(made: ReplayPlan) -> dict[int, dict[int, str]]:
    """By edition, what became of each person's delivery."""
    return {one.opened.edition: {each.subscription: str(each.status) for each in one.deliveries} for one in made.editions}


def test_the_last_word_on_a_delivery_wins_and_no_word_is_in_doubt() -> None:
    made = plan(
        opened(5),
        Queued(5, 0, 3, "1,2,3"),
        Became("sending", 5, "1,2", "provider"),
        Became("accepted", 5, "1"),
        Became("deferred", 5, "3"),
    )
    assert remade(made) == {5: {ANN: "accepted", BOB: "uncertain", CAS: "uncertain"}}
    assert made.editions[0].deliveries[0] == RemadeDelivery(ANN, DeliveryStatus.ACCEPTED, "provider", 0, 3)


def test_a_delivery_that_a_later_one_overtook_was_never_committed() -> None:
    """The process died between the record and the database, and the next one opened the edition anew."""
    made = plan(opened(5), Queued(5, 0, 3, "1,2"), opened(6), Queued(6, 0, 4, "1,2"), Became("accepted", 6, "1,2"))
    assert remade(made) == {6: {ANN: "accepted", BOB: "accepted"}}
    assert [one.edition for one in made.served] == [6]


def test_one_that_the_later_one_continues_was() -> None:
    made = plan(opened(5), Queued(5, 0, 3, "1"), opened(6), Queued(6, 3, 4, "1"), Became("accepted", 6, "1"))
    assert remade(made) == {5: {ANN: "uncertain"}, 6: {ANN: "accepted"}}


def test_one_that_expired_and_came_again_was() -> None:
    made = plan(opened(5), Queued(5, 0, 3, "1"), Became("expired", 5, "1"), opened(6), Queued(6, 0, 4, "1"))
    assert remade(made) == {5: {ANN: "expired"}, 6: {ANN: "uncertain"}}


def test_what_the_store_knows_gets_only_what_came_after_its_opening() -> None:
    made = plan(opened(5), Queued(5, 0, 3, "1,2,3"), Became("sending", 5, "2"), Became("accepted", 5, "3"), editions=(5,))
    assert made.editions == ()
    assert made.changes == (Change(5, BOB, DeliveryStatus.UNCERTAIN, ""), Change(5, CAS, DeliveryStatus.ACCEPTED, ""))


def test_people_whom_the_store_does_not_know_are_counted_and_those_who_left_stay_out() -> None:
    made = plan(
        opened(5),
        Queued(5, 0, 3, "1,9"),
        Left(9, "unsubscribed", "hash of nine"),
        Left(ANN, "complained", "hash of ann"),
        Left(8, "bounced", ""),
        Began(BOB, 4),
        Suppressed("hash of cas"),
    )
    assert made.strangers == 1
    assert made.people == (Left(ANN, "complained", "hash of ann"), Began(BOB, 4))
    assert made.suppressions == (Suppressed("hash of cas"), Suppressed("hash of nine", PERSON))


def test_an_edition_for_strangers_alone_moves_the_schedules_and_is_not_remade() -> None:
    made = plan(opened(5), Queued(5, 0, 3, "9"), people=(ANN,))
    assert (made.editions, made.strangers, len(made.served)) == ((), 1, 1)


def test_who_leaves_and_comes_back_is_back() -> None:
    assert plan(Left(ANN, "unsubscribed", "x"), Began(ANN, 4)).people == (Began(ANN, 4),)


def test_who_subscribed_again_is_suppressed_no_more_under_whatever_subscription_that_was() -> None:
    before = (Left(9, "unsubscribed", "x"), Suppressed("x", PERSON))
    assert plan(*before, Lifted("x")).suppressions == ()
    assert plan(*before, Lifted("x"), Suppressed("x")).suppressions == (Suppressed("x"),)
    assert fold([Line((*before, Lifted("x")))]).lifted == {"x"}
    assert fold([Line((Lifted("x"), Suppressed("x")))]).lifted == set()


def test_a_number_belongs_to_the_last_item_that_got_it_and_an_item_has_its_last_number() -> None:
    made = plan(Numbered("po", 1, "a", "u"), Numbered("po", 1, "b", "u"), Numbered("po", 2, "c", "u"), Numbered("po", 3, "c", "u"))
    assert {(one.seq, one.identity) for one in made.numbers} == {(1, "b"), (3, "c")}


def test_a_feed_has_its_present_name() -> None:
    made = plan(opened(5, "old"), Queued(5, 0, 3, "1"), Numbered("old", 1, "a", "u"), old="new")
    assert made.editions[0].opened.feed == made.numbers[0].feed == made.served[0].feed == "new"


def test_a_cancelled_edition_stays_cancelled_known_or_not() -> None:
    facts = (opened(5), Queued(5, 0, 3, "1"), Cancelled(5))
    assert plan(*facts).editions[0].cancelled
    assert plan(*facts, editions=(5,)).cancelled == (5,)


def test_lines_that_cannot_be_read_are_counted() -> None:
    assert fold([Line(None), Line((Suppressed("x"),)), Line(None)]).unreadable == 2


_STATUS = st.sampled_from([str(status) for status in DeliveryStatus])
_FACTS = st.lists(
    st.one_of(
        st.builds(opened, st.integers(1, 4)),
        st.builds(Queued, st.integers(1, 4), st.integers(0, 3), st.integers(3, 6), st.sampled_from(["1", "1,2", "2,9"])),
        st.builds(Became, _STATUS, st.integers(1, 4), st.sampled_from(["1", "2", "9"])),
    ),
    max_size=12,
)


@given(_FACTS, st.sets(st.integers(1, 4)))
def test_nothing_that_is_remade_can_be_sent(facts: list[Fact], known: set[int]) -> None:
    made = plan(*facts, editions=tuple(known), people=(1, 2))
    statuses = {each.status for one in made.editions for each in one.deliveries}
    assert not statuses & {DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED, DeliveryStatus.SENDING}
    assert not {one.opened.edition for one in made.editions} & known
    assert {one.edition for one in made.changes} <= known
    assert all(change.status is not DeliveryStatus.SENDING for change in made.changes)
