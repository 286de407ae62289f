"""A store that cannot be written: locked, full or away. It says so, and nothing is half-written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, text

from pipeline.errors import StoreError
from pipeline.models import Choice, DeliveryStatus, EditionStatus, ItemStatus, SubscriptionStatus
from pipeline.store import (
    Store,
    Tx,
    deliveries,
    editions,
    feed_items,
    feeds,
    items,
    open_store,
    outputs,
    runs,
    sources,
    subscribers,
)
from pipeline.store.outputs import OutputState
from tests.conftest import WriteSettings
from tests.store.builders import (
    ACCEPTED,
    DAILY,
    NOW,
    SOURCE,
    TAKEN,
    add_feed,
    add_items,
    an_edition,
    candidate,
    must_claim,
    new_edition,
    subscribe,
)

WRITES: dict[str, Callable[[Tx], object]] = {
    "feeds.name_in_settings": lambda tx: feeds.name_in_settings(tx, {"new": ("https://new.example.org/",)}),
    "feeds.set_next_seq": lambda tx: feeds.set_next_seq(tx, "po", 99),
    "outputs.set_input": lambda tx: outputs.set_input(tx, "po", [OutputState("feeds/po", input_hash="hash")]),
    "feeds.set_site_paused": lambda tx: feeds.set_site_paused(tx, True),
    "sources.mark_collected": lambda tx: sources.mark_collected(tx, sources.sources(tx)[0], NOW),
    "items.add": lambda tx: items.add(tx, 1, SOURCE, candidate(77), status=ItemStatus.HELD, now=NOW),
    "feed_items.release": lambda tx: add_items(tx, [78]),
    "items.set_status": lambda tx: items.set_status(tx, 1, ItemStatus.WITHDRAWN, NOW),
    "feed_items.forget_numbers": lambda tx: feed_items.forget_numbers(tx, 1),
    "subscribers.subscribe": lambda tx: subscribe(tx, "new@example.org"),
    "subscribers.schedule": lambda tx: subscribers.schedule(tx, "po", DAILY, NOW),
    "subscribers.choice": lambda tx: subscribers.choice(tx, Choice(topics=("new",))),
    "subscribers.bounce": lambda tx: subscribers.bounce(tx, "p0@example.org", NOW),
    "subscribers.suppress": lambda tx: subscribers.suppress(tx, "a" * 64, "new", NOW),
    "editions.add": lambda tx: editions.add(tx, new_edition(label="new", due_at=NOW.replace(year=2027)), []),
    "editions.set_status": lambda tx: editions.set_status(tx, 1, EditionStatus.PAUSED),
    "deliveries.recover": lambda tx: deliveries.recover(tx, lambda lease: True, NOW),
    "runs.start": lambda tx: runs.start(tx, "tick", "here", NOW),
    "runs.problem": lambda tx: runs.problem(tx, "key", "what", "fix", NOW),
    "runs.relay_failed": lambda tx: runs.relay_failed(tx, "provider", "no", NOW),
}


@pytest.fixture
def lite(site_settings: WriteSettings) -> Iterator[Store]:
    """A store in a file, with an edition of two."""
    store = open_store(site_settings())
    an_edition(store, people=2)
    yield store
    store.close()


def _every_new_connection(store: Store, pragma: str) -> None:
    store.engine.dispose()
    event.listen(store.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))


@contextmanager
def _held_by_another_program(store: Store) -> Iterator[None]:
    other = sqlite3.connect(store.where, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


def _dump(store: Store) -> list[str]:
    connection = sqlite3.connect(store.where)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


@pytest.mark.parametrize("name", WRITES)
def test_a_write_to_a_locked_store_fails_after_a_while_and_may_be_tried_again(lite: Store, name: str) -> None:
    _every_new_connection(lite, "busy_timeout=20")
    before = _dump(lite)
    with _held_by_another_program(lite):
        with pytest.raises(StoreError, match="locked") as fault, lite.write() as tx:
            WRITES[name](tx)
        assert fault.value.retryable
        assert "try again" in fault.value.fix
        with lite.read() as tx:
            assert feeds.state(tx, "po").next_seq == 4
    assert _dump(lite) == before
    with lite.write() as tx:
        WRITES[name](tx)


def test_an_answer_that_could_not_be_written_is_written_when_the_store_is_free_again(lite: Store) -> None:
    with lite.read() as tx:
        edition = new_edition(id=editions.latest(tx, 1)[0].id)
    taken = must_claim(lite, edition)
    _every_new_connection(lite, "busy_timeout=20")
    with _held_by_another_program(lite), pytest.raises(StoreError), lite.write() as tx:
        deliveries.settle(tx, taken, ACCEPTED, TAKEN, NOW)
    with lite.write() as tx:
        deliveries.settle(tx, taken, ACCEPTED, TAKEN, NOW)
        assert deliveries.sums(tx, edition.id)[DeliveryStatus.ACCEPTED] == 1


def test_a_full_disk_loses_nothing_that_was_committed_and_says_what_to_do(lite: Store) -> None:
    before = _dump(lite)
    with lite.read() as tx:
        pages = tx.execute(text("PRAGMA page_count")).scalar_one()
    _every_new_connection(lite, f"max_page_count={pages + 3}")
    with pytest.raises(StoreError, match="full") as fault:
        _write_a_lot(lite)
    assert "Free some space" in fault.value.fix
    assert not fault.value.retryable
    assert _dump(lite) == before
    with lite.write() as tx:
        feeds.set_paused(tx, "po", True)


def _write_a_lot(store: Store) -> None:
    with store.write() as tx:
        subscribers.leave(tx, next(subscribers.records(tx)).id, SubscriptionStatus.UNSUBSCRIBED, NOW)
        for number in range(10, 200):
            items.add(tx, 1, SOURCE, candidate(number, content_html="x" * 4_000), status=ItemStatus.HELD, now=NOW)


def test_a_database_server_that_is_away_may_be_tried_again(site_settings: WriteSettings) -> None:
    with pytest.raises(StoreError, match="connection") as fault:
        open_store(site_settings(store="postgresql+psycopg://gazet:geheim@127.0.0.1:9/gazet"))
    assert fault.value.retryable
    assert "Start the database server" in fault.value.fix


def test_a_connection_that_the_server_ends_is_an_error_of_the_store_and_the_next_one_works(postgres_store: Store) -> None:
    with postgres_store.write() as tx:
        add_feed(tx)
    with pytest.raises(StoreError) as fault:
        _write_while_the_server_ends_it(postgres_store)
    assert fault.value.retryable
    with postgres_store.read() as tx:
        assert feeds.state(tx, "po").next_seq == 1


def _write_while_the_server_ends_it(store: Store) -> None:
    with store.write() as tx:
        feeds.set_next_seq(tx, "po", 42)
        mine = tx.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with store.write() as other:
            other.execute(text("SELECT pg_terminate_backend(:mine)"), {"mine": mine})
        feeds.set_next_seq(tx, "po", 43)
