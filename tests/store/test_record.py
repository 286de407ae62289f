"""The record beside the database: on disk before the COMMIT, readable whatever happened, without an address (promise 11)."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from pipeline.errors import StoreError
from pipeline.models import DeliveryStatus, EditionStatus, ItemStatus, SubscriptionStatus
from pipeline.store import Store, deliveries, editions, feed_items, feeds, items, record, sources, subscribers
from pipeline.store.record import Became, Began, EditionOpened, Fact, Left, Mark, Numbered, Queued, Record, Suppressed
from tests.store.builders import (
    ACCEPTED,
    NOW,
    TAKEN,
    add_feed,
    add_items,
    an_edition,
    candidate,
    decided,
    must_claim,
    open_edition,
    settle,
    subscribe,
)


def kept(store: Store) -> list[Fact]:
    """All facts on record, in their order."""
    assert store.record is not None
    folder = store.record.folder
    lines = [line for day in record.days(folder) for line in record.parse(record.raw_lines(folder, day))]
    assert all(line.facts is not None for line in lines)
    return [fact for line in lines for fact in line.facts or ()]


def day_file(store: Store) -> Path:
    """The only file there is."""
    assert store.record is not None
    [path] = list(store.record.folder.iterdir())
    return path


def test_an_edition_is_on_record_with_its_numbers_and_everybody_it_goes_to(store: Store) -> None:
    edition = an_edition(store, 3)
    facts = kept(store)
    assert [(one.feed, one.seq, one.url) for one in facts if isinstance(one, Numbered)] == [
        ("po", number, f"https://www.example.org/nieuws/bericht-{number}/") for number in (1, 2, 3)
    ]
    moment = "2026-11-24T07:00:00+00:00"
    [opened] = [one for one in facts if isinstance(one, EditionOpened)]
    assert opened == EditionOpened(edition.id, "po", moment, moment, edition.label, "nieuws.example.org")
    [queued] = [one for one in facts if isinstance(one, Queued)]
    with store.read() as tx:
        people = {one.id for one in subscribers.records(tx)}
    assert (queued.edition, queued.from_seq, queued.to_seq, set(record.identities(queued))) == (edition.id, 0, 3, people)


def test_every_way_a_delivery_can_go_is_on_record(store: Store) -> None:
    edition = an_edition(store, 4)

    def words(tx_block: Any) -> list[tuple[str, int]]:
        before = len(kept(store))
        with store.write() as tx:
            tx_block(tx)
        changed = [one for one in kept(store)[before:] if isinstance(one, Became)]
        assert {one.edition for one in changed} <= {edition.id}
        return [(one.status, len(record.identities(one))) for one in changed]

    first, second = must_claim(store, edition), must_claim(store, edition, lease="two")
    assert [one for one in kept(store) if isinstance(one, Became)] == [
        Became("sending", edition.id, str(first.subscription_id), "provider"),
        Became("sending", edition.id, str(second.subscription_id), "provider"),
    ]
    assert words(lambda tx: deliveries.settle(tx, first, ACCEPTED, TAKEN, NOW)) == [("accepted", 1)]
    assert words(lambda tx: deliveries.settle(tx, first, ACCEPTED, None, NOW)) == [], "the lease is gone, nothing was written"
    assert words(lambda tx: deliveries.recover(tx, lambda lease: lease == "two", NOW)) == [("queued", 1)]
    failed = must_claim(store, edition)
    assert words(lambda tx: deliveries.settle(tx, failed, decided(DeliveryStatus.FAILED), None, NOW)) == [("failed", 1)]
    assert words(lambda tx: deliveries.defer(tx, [failed.id], NOW, NOW)) == [("deferred", 1)]
    assert words(lambda tx: deliveries.end_open(tx, edition.id, DeliveryStatus.EXPIRED, "late", NOW)) == [("expired", 3)]
    assert words(lambda tx: deliveries.requeue(tx, edition.id, (DeliveryStatus.EXPIRED,), NOW)) == [("queued", 3)]
    lost = must_claim(store, edition)
    settle(store, lost, decided(DeliveryStatus.UNCERTAIN))
    assert words(lambda tx: deliveries.resend(tx, lost.id)) == [("queued", 1)]
    with store.write() as tx:
        editions.set_status(tx, edition.id, EditionStatus.CANCELLED)
    assert kept(store)[-1] == record.Cancelled(edition.id)


def test_whoever_leaves_is_on_record_by_identity_and_keyed_hash_alone(store: Store) -> None:
    assert store.record is not None
    store.record.address_hash = lambda address: f"hash of {len(address)}"
    with store.write() as tx:
        add_feed(tx)
        one, two = subscribe(tx, "ann@example.org"), subscribe(tx, "bob@example.org", status=SubscriptionStatus.PENDING)
        out = subscribe(tx, "cas@example.org", status=SubscriptionStatus.COMPLAINED)
    with store.write() as tx:
        subscribers.leave(tx, one, SubscriptionStatus.UNSUBSCRIBED, NOW)
        subscribers.activate(tx, two, 7, NOW)
        subscribers.suppress(tx, "0123", "no such user ann@example.org", NOW)
        subscribers.bounce(tx, "bob@example.org", NOW)
    assert kept(store) == [
        Left(out, "complained", "hash of 15"),
        Left(one, "unsubscribed", "hash of 15"),
        Began(two, 7),
        Suppressed("0123"),
        Left(two, "bounced", "hash of 15"),
    ]
    assert b"@" not in day_file(store).read_bytes()


def test_a_record_of_an_earlier_version_that_does_not_say_who_suppressed_an_address_is_read(store: Store) -> None:
    with store.write() as tx:
        subscribers.suppress(tx, "0123", subscribers.ERASED, NOW)
    line = day_file(store).read_bytes()
    assert b'["suppressed","0123","person"]' in line
    [old] = record.parse([line.replace(b',"person"', b"").strip()])
    assert old.facts == (Suppressed("0123"),)
    [odd] = record.parse([line.replace(b'"person"', b"1").strip()])
    assert odd.facts is None


def test_an_address_of_an_item_with_an_at_sign_is_kept_and_looks_like_none(store: Store) -> None:
    with store.write() as tx:
        add_feed(tx)
        source = sources.sources(tx)[0]
        strange = candidate(url="https://www.example.org/@redactie/1?to=ann@example.org")
        made = items.add(tx, source.id, source.url, strange, status=ItemStatus.RELEASED, now=NOW)
        feed_items.release(tx, "po", [made], {made}, NOW)
    assert b"@" not in day_file(store).read_bytes()
    assert [one.url for one in kept(store) if isinstance(one, Numbered)] == [strange.url]


def test_what_is_rolled_back_is_not_on_record_and_what_says_nothing_costs_nothing(store: Store) -> None:
    assert store.record is not None
    with store.write() as tx:
        add_feed(tx)
    assert not store.record.folder.exists()

    def fail() -> None:
        with store.write() as tx:
            add_items(tx, [1])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not store.record.folder.exists()


def test_the_record_is_on_disk_before_the_commit(store: Store) -> None:
    seen: list[int] = []
    with store.write() as tx:
        add_feed(tx)
    event.listen(store.engine, "commit", lambda _: seen.append(len(kept(store))))
    with store.write() as tx:
        add_items(tx, [1, 2])
    assert seen == [2]


def test_a_commit_that_fails_takes_its_line_back(store: Store) -> None:
    with store.write() as tx:
        add_feed(tx)
    with store.write() as tx:
        tx.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
        deferred = "REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED"
        tx.execute(text(f"CREATE TABLE children (parent INTEGER {deferred})"))

    def fail() -> None:
        with store.write() as tx:
            add_items(tx, [1])
            tx.execute(text("INSERT INTO children VALUES (7)"))

    try:
        with pytest.raises(StoreError):
            fail()
        assert kept(store) == []
        assert len(day_file(store).read_bytes().splitlines()) == 2
    finally:
        with store.write() as tx:
            tx.execute(text("DROP TABLE children"))
            tx.execute(text("DROP TABLE parents"))


def test_a_record_that_cannot_be_written_stops_the_transaction_and_says_what_to_do(store: Store) -> None:
    assert store.record is not None
    with store.write() as tx:
        add_feed(tx)
    store.record.folder.parent.mkdir(parents=True, exist_ok=True)
    store.record.folder.write_text("a file where the folder should be")
    with pytest.raises(StoreError, match=r"record .* cannot be written") as error, store.write() as tx:
        add_items(tx, [1])
    assert error.value.fix
    with store.read() as tx:
        assert feed_items.count_in(tx, "po") == 0


def test_a_full_disk_stops_the_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.write() as tx:
        add_feed(tx)

    def full(_file: int, data: Any) -> int:
        if len(data) > 20:
            return int(real(_file, bytes(data[:20])))
        raise OSError(28, "No space left on device")

    real = os.write
    monkeypatch.setattr(record.os, "write", full)
    with pytest.raises(StoreError, match="No space left") as error, store.write() as tx:
        add_items(tx, [1])
    assert "Free some space" in error.value.fix
    monkeypatch.undo()
    with store.read() as tx:
        assert feed_items.count_in(tx, "po") == 0
    with store.write() as tx:
        add_items(tx, [2])
    assert store.record is not None
    read = list(record.parse(record.raw_lines(store.record.folder, day_file(store).name)))
    assert [fact.seq for line in read for fact in line.facts or () if isinstance(fact, Numbered)] == [1]
    assert any(line.facts is None for line in read), "the torn part is a line of its own"


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    kept_by = Record(tmp_path)
    notes = record.Notes(str)
    notes.facts = [Mark("backup", "one")]
    kept_by.write(notes)
    [path] = list(tmp_path.iterdir())
    path.write_bytes(path.read_bytes() + b'{"t":"07:00:00.000000","facts":[["mark","backup","t')
    notes.facts = [Mark("backup", "three")]
    kept_by.write(notes)
    read = [line.facts for line in record.parse(record.raw_lines(tmp_path, path.name))]
    assert read == [(Mark("backup", "one"),), None, (Mark("backup", "three"),)]


def test_several_processes_append_without_tearing_each_other(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pipeline.store.record import *\n"
        "notes = Notes(str); kept = Record(Path(sys.argv[1]))\n"
        "for n in range(200): notes.facts = [Became('queued', n, ','.join(['7'] * 3000))]; kept.write(notes)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(4)]
    assert [one.wait(60) for one in writers] == [0] * 4
    lines = [line for day in record.days(tmp_path) for line in record.parse(record.raw_lines(tmp_path, day))]
    assert len(lines) == 800
    assert all(line.facts for line in lines)


def test_the_last_word_stands_last_also_when_a_clock_was_ahead_and_is_right_again(tmp_path: Path) -> None:
    ours, staged = tmp_path / "record", tmp_path / "staged"
    record.append_lines(ours / "2099-11-24", [b'{"t":"08:00:00.000000","facts":[["began",7,3]]}'])
    for folder, beside in ((ours, None), (staged, ours)):
        notes = record.Notes(str)
        notes.facts = [Left(7, "unsubscribed", "")]
        Record(folder, beside=beside).write(notes)
        assert record.days(folder) == ["2099-11-24"]
    assert record.newest_facts(ours)[-1] == Left(7, "unsubscribed", "")


def test_the_newest_ninety_days_are_kept(tmp_path: Path) -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(95):
        (tmp_path / f"{first + timedelta(number):%Y-%m-%d}").touch()
    (tmp_path / "notes.txt").touch()
    record.prune(tmp_path)
    assert record.days(tmp_path)[0] == "2026-01-06"
    assert len(record.days(tmp_path)) == 90
    assert (tmp_path / "notes.txt").exists()


def test_two_records_become_one_without_a_line_twice(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    record.append_lines(ours / "2026-01-01", [b"a", b"b", b"c"])
    record.append_lines(theirs / "2026-01-01", [b"a", b"b", b"d"])
    record.append_lines(theirs / "2026-01-02", [b"e"])
    assert record.unite(ours, theirs) == 2
    assert record.unite(ours, theirs) == 0
    assert record.raw_lines(ours, "2026-01-01") == [b"a", b"b", b"c", b"d"]
    assert record.raw_lines(ours, "2026-01-02") == [b"e"]


def test_only_the_end_behind_the_last_restore_is_looked_at(tmp_path: Path) -> None:
    kept_by, notes = Record(tmp_path), record.Notes(str)
    for fact in (Became("accepted", 1, "1"), Mark("restore", "x"), Became("accepted", 2, "1")):
        notes.facts = [fact]
        kept_by.write(notes)
    assert record.newest_facts(tmp_path) == [Mark("restore", "x"), Became("accepted", 2, "1")]
    assert record.newest_facts(tmp_path / "none") == []


_JSON = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=4), max_leaves=6)


@given(st.lists(st.binary(max_size=40) | _JSON.map(lambda one: record._encode({"facts": [one]})), max_size=5))
def test_whatever_stands_in_the_file_is_a_fact_or_an_unreadable_line(lines: list[bytes]) -> None:
    assert len(list(record.parse(lines))) <= len(lines)


_NUMBER, _WORD = st.integers(0, 2**63 - 1), st.text(max_size=20)
_FACT = st.one_of(
    st.builds(Numbered, _WORD, _NUMBER, _WORD, _WORD),
    st.builds(Became, st.sampled_from([str(one) for one in DeliveryStatus]), _NUMBER, _NUMBER.map(str), _WORD),
    st.builds(Began, _NUMBER, _NUMBER),
    st.builds(Suppressed, _WORD),
    st.builds(Mark, _WORD, _WORD),
)


@given(st.lists(_FACT, min_size=1, max_size=4))
def test_facts_come_back_as_they_were(facts: list[Fact]) -> None:
    line = record._encode({"t": "07:00:00.000001", "facts": [record._plain(fact) for fact in facts]})
    assert b"@" not in line
    assert [one.facts for one in record.parse([line])] == [tuple(facts)]
    assert record.needle(facts[0]) in line


def test_an_item_that_had_a_number_gets_it_again(store: Store) -> None:
    with store.write() as tx:
        add_feed(tx)
        made = add_items(tx, [1, 2])
        [known] = [item.item.identity for item in feed_items.newest(tx, "po", 2) if item.item.id == made[1]]
        for table in ("feed_items", "item_origins", "items"):
            tx.execute(text(f"DELETE FROM {table}"))
        tx.execute(text("UPDATE feeds SET next_seq = 9"))
        values = "('po', 4, 'urn:uuid:other', 'https://www.example.org/nieuws/bericht-1/'), ('po', 5, :known, '')"
        tx.execute(text(f"INSERT INTO restored_numbers (feed, seq, identity, url) VALUES {values}"), {"known": known})
        add_items(tx, [1, 2, 3])
        numbers = {listed.item.url[-2:-1]: listed.seq for listed in feed_items.newest(tx, "po", 9)}
        assert numbers == {"1": 4, "2": 5, "3": 9}
        assert feeds.state(tx, "po").next_seq == 10
        assert tx.execute(text("SELECT count(*) FROM restored_numbers")).scalar() == 0


def test_open_edition_counts_as_before(store: Store) -> None:
    """The people are read before they are queued: an edition for nobody writes no line about people."""
    with store.write() as tx:
        add_feed(tx)
        add_items(tx, [1])
        subscribe(tx, "ann@example.org", status=SubscriptionStatus.UNSUBSCRIBED)
        open_edition(tx)
    assert [one for one in kept(store) if isinstance(one, Queued)] == []
