"""Copies of a store: every value as it was, on either database, or nothing at all."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from pipeline.errors import StoreError
from pipeline.store import Store, copy, database, migrate, subscribers
from tests import forked
from tests.store.builders import NOW, add_feed, add_items, an_edition, crowd, open_edition
from tests.store.filled import ROWS, fill

NewStore = Callable[[str], Store]


@pytest.fixture
def new_store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[NewStore]:
    """``new_store("sqlite")``: a database without tables, of that kind."""
    made = []

    def make(kind: str) -> Store:
        if kind == "sqlite":
            made.append(database.open_file(tmp_path / f"{len(made)}.db"))
        else:
            made.append(database._connect(database.make_url(request.getfixturevalue("empty_postgres_url"))))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _filled(store: Store) -> None:
    with store.write() as tx:
        fill(tx)


def _tables(store: Store) -> set[str]:
    return set(inspect(store.engine).get_table_names())


def _values(store: Store) -> dict[str, Any]:
    """Every value of every table, JSON as its text."""
    with store.read() as tx:
        tables = copy._tables(tx, sorted(_tables(store) - {"alembic_version"}))
        return {one.name: sorted((tuple(row) for row in tx.execute(copy.select(one))), key=repr) for one in tables}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_value_of_every_table_arrives_on_the_other_database(store: Store, new_store: NewStore, kind: str) -> None:
    _filled(store)
    target = new_store(kind)
    sums = copy.copy_store(store, target)
    assert {one.name: one.rows for one in sums} == dict.fromkeys(_values(store), ROWS)
    assert _values(target) == _values(store)
    with target.read() as tx:
        assert migrate.state(tx) is migrate.State.CURRENT


def test_there_and_back_gives_the_same_sums(store: Store, new_store: NewStore) -> None:
    _filled(store)
    there = copy.copy_store(store, middle := new_store("postgresql" if store.is_sqlite else "sqlite"))
    back = copy.copy_store(middle, end := new_store("sqlite"))
    assert there == back
    assert _values(end) == _values(store)


def test_json_keeps_its_spelling(store: Store, new_store: NewStore) -> None:
    """Its null is not the database's, and a number keeps its digits."""
    _filled(store)
    query = text("SELECT CAST(image AS TEXT) FROM items UNION ALL SELECT CAST(topics AS TEXT) FROM choices ORDER BY 1")
    copy.copy_store(store, middle := new_store("postgresql"))
    copy.copy_store(middle, end := new_store("sqlite"))
    found = []
    for one in (store, middle, end):
        with one.read() as tx:
            found.append(sorted(map(str, tx.execute(query).scalars())))
    assert found[0] == found[1] == found[2]
    assert "null" in found[0]
    assert "None" in found[0]


def test_a_sum_tells_when_one_value_differs(store: Store, new_store: NewStore) -> None:
    _filled(store)
    before = {one.name: one for one in copy.copy_store(store, new_store("sqlite"))}
    with store.write() as tx:
        tx.execute(text("UPDATE subscribers SET name = name || '.' WHERE id = (SELECT min(id) FROM subscribers)"))
    after = {one.name: one for one in copy.copy_store(store, new_store("sqlite"))}
    assert {name for name in before if before[name] != after[name]} == {"subscribers"}


def test_new_rows_get_ids_after_those_that_were_copied(store: Store, new_store: NewStore) -> None:
    an_edition(store, people=3)
    target = new_store("postgresql" if store.is_sqlite else "sqlite")
    copy.copy_store(store, target)
    with target.write() as tx:
        assert add_items(tx, [4, 5]) == [4, 5]
        [first, *_] = subscribers.records(tx)
        subscribers.add_consent(tx, first.id, "joined", "a form", NOW)
        open_edition(tx, due_at=NOW + timedelta(days=1))
        assert len(tx.execute(text("SELECT DISTINCT id FROM deliveries")).all()) == 6


def test_a_target_that_is_not_empty_is_refused_and_not_changed(store: Store, new_store: NewStore) -> None:
    _filled(store)
    target = new_store("postgresql" if store.is_sqlite else "sqlite")
    migrate.migrate(target.engine)
    with target.write() as tx:
        add_feed(tx)
    before = _values(target)
    with pytest.raises(StoreError, match="not empty"):
        copy.copy_store(store, target)
    assert _values(target) == before


def test_a_store_is_not_copied_into_itself(store: Store) -> None:
    _filled(store)
    before = _values(store)
    for hold in (False, True):
        with pytest.raises(StoreError, match="is the store itself"):
            copy.copy_store(store, store, hold=hold)
    assert _values(store) == before


def test_a_store_is_not_copied_into_itself_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "gazet.db")
    store, link = database.open_file(tmp_path / "gazet.db"), database.open_file(tmp_path / "link.db")
    with pytest.raises(StoreError, match="is the store itself"):
        copy.copy_store(store, link, hold=True)
    store.close()
    link.close()


def test_a_target_of_a_newer_gazet_is_refused(store: Store, new_store: NewStore) -> None:
    target = new_store("sqlite")
    migrate.migrate(target.engine)
    with target.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer Gazet"):
        copy.copy_store(store, target)


def test_a_copy_that_fails_leaves_neither_tables_nor_rows_and_can_be_run_again(store: Store, new_store: NewStore) -> None:
    _filled(store)
    target = new_store("postgresql" if store.is_sqlite else "sqlite")

    def stumble(name: str, done: int, total: int) -> None:
        if name == "variants" and done:
            raise StoreError("the cable was pulled")

    with pytest.raises(StoreError, match="cable"):
        copy.copy_store(store, target, progress=stumble)
    assert _tables(target) == set()
    copy.copy_store(store, target)
    assert _values(target) == _values(store)


def test_a_value_that_changes_on_its_way_is_noticed_and_nothing_is_written(store: Store, new_store: NewStore) -> None:
    _filled(store)
    target = new_store("sqlite")
    migrate.migrate(target.engine)
    with target.write() as tx:
        tx.execute(
            text("CREATE TRIGGER worm AFTER INSERT ON relays BEGIN UPDATE relays SET failures = 9 WHERE name = new.name; END")
        )
    with pytest.raises(StoreError, match="relays are not those of the source"):
        copy.copy_store(store, target)
    assert not any(_values(target).values())


def test_a_text_that_postgresql_cannot_hold_is_said_and_nothing_is_written(postgres_url: str, tmp_path: Path) -> None:
    source = database.open_file(tmp_path / "source.db")
    migrate.migrate(source.engine)
    with source.write() as tx:
        add_feed(tx)
        tx.execute(text("UPDATE sources SET reason = 'a' || char(0) || 'b'"))
    target = database._connect(database.make_url(postgres_url))
    with pytest.raises(StoreError, match="NUL"):
        copy.copy_store(source, target)
    assert not any(_values(target).values())
    source.close()
    target.close()


def test_nobody_writes_to_a_source_that_is_held(store: Store, new_store: NewStore) -> None:
    """Else a person who leaves meanwhile would come back with the copy."""
    _filled(store)
    done = threading.Event()
    seen = []

    def write() -> None:
        with store.write() as tx:
            tx.execute(text("UPDATE relays SET reason = 'later'"))
        done.set()

    writer = threading.Thread(target=write)

    def start(name: str, count: int, total: int) -> None:
        if not writer.is_alive() and not done.is_set():
            writer.start()
        seen.append(done.is_set())

    copy.copy_store(store, new_store("sqlite"), hold=True, progress=start)
    writer.join(30)
    assert done.is_set()
    assert not any(seen)


def test_what_is_written_while_a_copy_runs_is_in_it_wholly_or_not_at_all(store: Store, new_store: NewStore) -> None:
    """An edition is opened while the feeds are copied already: the copy has none of it."""
    with store.write() as tx:
        add_feed(tx)
        add_items(tx, range(1, 4))
        crowd(tx, 5)
    opened = []

    def open_one(name: str, done: int, total: int) -> None:
        if name == "items" and not opened:
            opened.append(threading.Thread(target=_open, args=(store,)))
            opened[0].start()
            opened[0].join(30)

    target = new_store("sqlite")
    copy.copy_store(store, target, progress=open_one)
    with target.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM editions")).scalar() == 0
        assert tx.execute(text("SELECT count(*) FROM deliveries")).scalar() == 0
        assert set(tx.execute(text("SELECT settled_seq FROM subscriptions")).scalars()) == {0}
    with store.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM deliveries")).scalar() == 5


def _open(store: Store) -> None:
    with store.write() as tx:
        open_edition(tx)


def test_a_snapshot_is_one_private_file_with_every_value(store: Store, tmp_path: Path) -> None:
    _filled(store)
    path = tmp_path / "kept/copy.db"
    path.parent.mkdir()
    copy.snapshot(store, path)
    assert [one.name for one in path.parent.iterdir()] == ["copy.db"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = database.open_file(path)
    assert _values(kept) == _values(store)
    kept.close()


def test_a_snapshot_does_not_wait_for_a_writer_nor_make_one_wait(store: Store, tmp_path: Path) -> None:
    """A sender holds its transaction while the snapshot is taken, and commits afterwards."""
    _filled(store)
    before = _values(store)
    with store.write() as tx:
        tx.execute(text("UPDATE relays SET reason = 'not committed'"))
        copy.snapshot(store, tmp_path / "copy.db")
    kept = database.open_file(tmp_path / "copy.db")
    assert _values(kept) == before
    kept.close()


def test_a_snapshot_of_a_damaged_store_is_refused(tmp_path: Path) -> None:
    store = database.open_file(tmp_path / "gazet.db")
    migrate.migrate(store.engine)
    an_edition(store, people=200)
    store.close()
    with sqlite3.connect(tmp_path / "gazet.db") as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'deliveries'").fetchone()[0]
        size = raw.execute("PRAGMA page_size").fetchone()[0]
    raw.close()
    with (tmp_path / "gazet.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xaa" * size)
    store = database.open_file(tmp_path / "gazet.db")
    with pytest.raises(StoreError, match="damaged"):
        copy.snapshot(store, tmp_path / "copy.db")
    store.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.store import copy, database
source, target = (database._connect(database.make_url(url)) for url in sys.argv[1:3])
def progress(name, done, total):
    if name == sys.argv[3] and done:
        os.kill(os.getpid(), signal.SIGKILL)
copy.copy_store(source, target, progress=progress)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", ["feeds", "deliveries"])
def test_a_killed_copy_leaves_the_target_empty_and_can_be_run_again(
    store: Store, new_store: NewStore, kind: str, name: str
) -> None:
    _filled(store)
    target = new_store(kind)
    urls = [one.engine.url.render_as_string(hide_password=False) for one in (store, target)]
    code, _out, err = forked.run(KILLED, *urls, name)
    assert code == -9, err
    assert _tables(target) == set()
    copy.copy_store(store, target)
    assert _values(target) == _values(store)
