import pytest

from pipeline.compose.select import select
from pipeline.models import Choice, ItemStatus
from tests.factories import make_feed_item

EVERYTHING = Choice()


def numbers(selection):
    return None if selection is None else [found.seq for found in selection.items]


def test_the_newest_come_first_whatever_the_order_they_arrive_in():
    items = [make_feed_item(seq) for seq in (101, 103, 102)]
    assert numbers(select(items, EVERYTHING, max_items=25, min_items=1)) == [103, 102, 101]


def test_what_does_not_fit_is_counted():
    found = select([make_feed_item(seq) for seq in range(1, 31)], EVERYTHING, max_items=25, min_items=1)
    assert numbers(found) == list(range(30, 5, -1))
    assert found.more == 5


def test_exactly_as_many_as_fit_leave_nothing_more():
    assert select([make_feed_item(seq) for seq in (1, 2)], EVERYTHING, max_items=2, min_items=1).more == 0


def test_too_few_items_are_no_digest():
    items = [make_feed_item(1), make_feed_item(2)]
    assert select(items, EVERYTHING, max_items=25, min_items=3) is None
    assert numbers(select(items, EVERYTHING, max_items=25, min_items=2)) == [2, 1]


def test_nothing_new_is_no_digest_even_where_none_is_asked_for():
    assert select([], EVERYTHING, max_items=25, min_items=0) is None


def test_items_that_are_only_published_are_neither_shown_nor_counted():
    items = [make_feed_item(1, mailed=False), make_feed_item(2), make_feed_item(3, mailed=False)]
    found = select(items, EVERYTHING, max_items=1, min_items=1)
    assert (numbers(found), found.more) == ([2], 0)


@pytest.mark.parametrize("status", [ItemStatus.HELD, ItemStatus.WITHDRAWN, ItemStatus.DISCARDED])
def test_only_released_items_are_mailed(status):
    assert select([make_feed_item(1, status=status)], EVERYTHING, max_items=25, min_items=1) is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(topics=("bestuur",)), [3, 1]),
        (Choice(topics=("bestuur", "mbo")), [3, 2, 1]),
        (Choice(topics=("onbekend",)), None),
        (Choice(words=("subsidie",)), [4, 2]),
        (Choice(words=("subsidie", "strasse")), [4, 3, 2]),
        (Choice(topics=("bestuur",), words=("strasse",)), [3]),
        (Choice(topics=("bestuur",), words=("subsidie",)), None),
    ],
)
def test_any_topic_and_any_word_suffice_and_where_both_are_chosen_both_must_match(choice, expected):
    items = [
        make_feed_item(1, categories=("Bestuur ",), title="Jaarverslag", summary="", kicker=""),
        make_feed_item(2, categories=("MBO",), title="SUBSIDIE open", summary="", kicker=""),
        make_feed_item(3, categories=("bestuur",), title="", summary="Aan de Straße", kicker=""),
        make_feed_item(4, categories=(), title="", summary="", kicker="Subsidieregeling"),
    ]
    assert numbers(select(items, choice, max_items=25, min_items=1)) == expected


def test_the_label_above_a_title_counts_as_a_topic():
    items = [make_feed_item(1, categories=(), kicker="Agenda"), make_feed_item(2, categories=(), kicker="Nieuws")]
    assert numbers(select(items, Choice(topics=("agenda",)), max_items=25, min_items=1)) == [1]
