"""Items and their numbers: in order, never given twice, and everything a source said comes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest

from pipeline.models import Attachment, Image, ItemStatus, KnownItem, Precision, ReadDate
from pipeline.store import Store, feed_items, feeds, items
from tests.store.builders import NOW, SOURCE, add_feed, add_items, candidate


@pytest.fixture
def source(store: Store) -> int:
    """The source of the feed ``po``."""
    with store.write() as tx:
        return add_feed(tx)


def _numbers(store: Store, slug: str = "po") -> list[int]:
    with store.read() as tx:
        return sorted(listed.seq for listed in feed_items.newest(tx, slug, 10_000))


def test_items_get_the_next_numbers_in_the_order_given(store: Store, source: int) -> None:
    with store.write() as tx:
        first = add_items(tx, [7, 3])
        second = add_items(tx, [5])
        listed = sorted(feed_items.newest(tx, "po", 99), key=lambda one: one.seq)
        assert [(one.seq, one.item.id) for one in listed] == list(zip([1, 2, 3], [*first, *second], strict=True))
        assert feeds.state(tx, "po").next_seq == 4
        feed_items.release(tx, "po", [], set(), NOW)
        assert feeds.state(tx, "po").next_seq == 4


def test_a_number_given_back_is_never_given_to_another_item(store: Store, source: int) -> None:
    with store.write() as tx:
        _, last = add_items(tx, [1, 2])
        feed_items.forget_numbers(tx, last)
        items.set_status(tx, last, ItemStatus.HELD, NOW)
        assert items.status_of(tx, last) is ItemStatus.HELD
        add_items(tx, [3])
    assert _numbers(store) == [1, 3]
    with store.write() as tx:
        items.set_status(tx, last, ItemStatus.RELEASED, NOW)
        feed_items.release(tx, "po", [last], {last}, NOW)
    assert _numbers(store) == [1, 3, 4]


def test_releases_at_the_same_time_never_share_a_number(store: Store, source: int) -> None:
    with store.write() as tx:
        made = [items.add(tx, source, SOURCE, candidate(n), status=ItemStatus.RELEASED, now=NOW) for n in range(40)]
    together = Barrier(2)

    def release(part: list[int]) -> None:
        together.wait()
        for item_id in part:
            with store.write() as tx:
                feed_items.release(tx, "po", [item_id], set(), NOW)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(release, [made[::2], made[1::2]]))
    assert _numbers(store) == list(range(1, 41))


def test_each_feed_counts_for_itself(store: Store, source: int) -> None:
    with store.write() as tx:
        feeds.name_in_settings(tx, {"po": (SOURCE,), "vo": (SOURCE,)})
        [first, second] = add_items(tx, [1, 2])
        feed_items.release(tx, "vo", [second], set(), NOW)
        assert items.feeds_of(tx, first) == ["po", "vo"]
        [listed, *_] = items.listing(tx)
    assert _numbers(store, "vo") == [1]
    assert listed.numbers == {"po": 2, "vo": 1}


def test_everything_a_source_said_of_an_item_comes_back(store: Store, source: int) -> None:
    moment = datetime(2019, 5, 22, 10, 0, tzinfo=UTC)
    wanted = candidate(
        published=ReadDate(moment, Precision.DAY, "22 mei 2019", "dutch"),
        updated=ReadDate(NOW, Precision.TIME, "nu", "iso"),
        authors=("Zoë", "O’Neill"),
        categories=("Nieuws", "PO"),
        image=Image("https://www.example.org/a.jpg", "een \U0001f3eb", 640, 480),
        attachments=(Attachment("https://www.example.org/a.pdf", "application/pdf", 3_000_000_000, "Bijlage"), Attachment("b")),
        content_html="<p>“Zo’n” \u2028 \U0001f3eb</p>",
    )
    with store.write() as tx:
        made = items.add(tx, source, SOURCE, wanted, status=ItemStatus.RELEASED, now=NOW)
        feed_items.release(tx, "po", [made], {made}, NOW)
        [listed] = feed_items.newest(tx, "po", 5)
    item = listed.item
    for name in ("url", "title", "content_html", "authors", "categories", "image", "attachments", "language", "content_hash"):
        assert getattr(item, name) == getattr(wanted, name), name
    assert (item.published_at, item.published_precision, item.updated_at) == (moment, Precision.DAY, NOW)
    assert (listed.seq, listed.mailed, listed.released_at, item.first_seen_at) == (1, True, NOW, NOW)


def test_an_item_without_a_date_was_published_when_it_was_first_seen_and_stays_so(store: Store, source: int) -> None:
    with store.write() as tx:
        [made] = add_items(tx, [1])
        items.change(tx, source, made, candidate(title="Anders"), NOW.replace(year=2027))
        [listed] = feed_items.newest(tx, "po", 1)
    assert (listed.item.title, listed.item.published_at, listed.item.published_precision) == ("Anders", NOW, Precision.TIME)


def test_the_identity_of_an_item_is_permanent_and_depends_on_source_and_key_alone(store: Store, source: int) -> None:
    with store.write() as tx:
        [made] = add_items(tx, [1])
        before = feed_items.newest(tx, "po", 1)[0].item.identity
        items.change(tx, source, made, candidate(keys=("guid:new",), url="https://elsewhere.example.org/"), NOW)
        assert feed_items.newest(tx, "po", 1)[0].item.identity == before
    assert before == "urn:uuid:" + before.removeprefix("urn:uuid:")
    assert before == _identity_elsewhere(store)


def _identity_elsewhere(store: Store) -> str:
    """The identity the same item would get in another, new store: nothing in it comes from this database."""
    import uuid

    return uuid.uuid5(uuid.NAMESPACE_URL, f"{SOURCE}\nguid:1").urn


def test_more_keys_than_a_database_takes_parameters_are_looked_up(store: Store, source: int) -> None:
    keys = tuple(f"guid:{number}" for number in range(1_234))
    with store.write() as tx:
        made = items.add(tx, source, SOURCE, candidate(keys=keys), status=ItemStatus.HELD, now=NOW)
        found = items.known(tx, source, [*keys, *(f"url:{number}" for number in range(40_000))])
        here = KnownItem(made, candidate().content_hash, candidate().url, candidate().title, "", NOW)
        assert found == dict.fromkeys(keys, here)
        assert items.known(tx, source + 1, keys) == {}
        items.add_keys(tx, source, [(made, candidate(keys=(*keys[:2], "url:new")))])
        assert items.known(tx, source, ["url:new"]) == {"url:new": here}


@pytest.mark.parametrize(
    ("count", "cursor"),
    [(0, 6), (1, 4), (2, 1), (3, 0), (50, 0)],
    ids=["none", "one", "two", "all there are", "more than there are"],
)
def test_a_new_subscription_starts_just_before_the_latest_mailable_items(
    store: Store, source: int, count: int, cursor: int
) -> None:
    """Numbers 1, 2 and 5 are mailable; 3 was withdrawn, 4 and 6 were never meant for mails."""
    with store.write() as tx:
        made = [
            *add_items(tx, [1, 2, 3]),
            *add_items(tx, [4], mailed=False),
            *add_items(tx, [5]),
            *add_items(tx, [6], mailed=False),
        ]
        items.set_status(tx, made[2], ItemStatus.WITHDRAWN, NOW)
        assert feed_items.seq_before_newest_mailed(tx, "po", count) == cursor


def test_a_feed_without_a_mailable_item_starts_at_its_end(store: Store, source: int) -> None:
    with store.write() as tx:
        assert feed_items.seq_before_newest_mailed(tx, "po", 5) == 0
        add_items(tx, [1, 2], mailed=False)
        assert feed_items.seq_before_newest_mailed(tx, "po", 5) == 2


def test_a_withdrawn_item_leaves_the_feed_and_keeps_its_number(store: Store, source: int) -> None:
    with store.write() as tx:
        [first, _] = add_items(tx, [1, 2])
        items.set_status(tx, first, ItemStatus.WITHDRAWN, NOW)
        assert feed_items.count_in(tx, "po") == 1
        [withdrawn] = items.listing(tx, slug="po", status=ItemStatus.WITHDRAWN)
        assert withdrawn.numbers == {"po": 1}
    assert _numbers(store) == [2]


def test_held_items_are_counted_and_are_in_no_feed(store: Store, source: int) -> None:
    with store.write() as tx:
        items.add(tx, source, SOURCE, candidate(1), status=ItemStatus.HELD, now=NOW)
        add_items(tx, [2])
        assert items.counts(tx) == {ItemStatus.HELD: 1, ItemStatus.RELEASED: 1}
    assert _numbers(store) == [1]
