"""The schema: made, upgraded with all its rows, refused when newer; whatever fails leaves everything as it was."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, CheckConstraint, inspect, select, text
from sqlalchemy.exc import DBAPIError

from pipeline.config import Settings
from pipeline.errors import StoreError
from pipeline.store import Store, bring_up_to_date, copy, database, deliveries, migrate, open_store, subscribers
from pipeline.store.schema import Base
from pipeline.store.upgrade import upgrade
from tests import forked
from tests.conftest import WriteSettings
from tests.store.builders import NOW, add_feed, an_edition
from tests.store.filled import fill

MIGRATIONS = Path(migrate.__file__).parent / "migrations"
LATER = '''\
"""A later version."""

import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("subscribers", "feeds", "subscriptions", "editions"):
        with op.batch_alter_table(table, recreate="{recreate}") as batch:
            batch.add_column(sa.Column("later", sa.Text(), nullable=False, server_default="yes"))
    {last}
'''

Later = Callable[..., None]


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Later:
    """``later(last="…")`` makes this Gazet one version newer: four parent tables are made anew, then ``last`` runs."""
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    head = migrate.head()

    def make(last: str = "", recreate: str = "auto") -> None:
        (copy / "versions/9001_later.py").write_text(LATER.format(head=head, last=last, recreate=recreate), encoding="utf-8")
        monkeypatch.setattr(migrate, "_SCRIPTS", copy)

    return make


def test_the_names_of_the_files_say_which_revisions_there_are_and_in_which_order() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert migrate.revisions() == [script.revision for script in reversed(list(scripts.walk_revisions()))]
    assert scripts.get_heads() == [migrate.head()]


def _differences(store: Store) -> list[Any]:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, Base.metadata)


def _rows(store: Store) -> dict[str, list[Any]]:
    """Every row of every table that Gazet knows."""
    found = {}
    with store.read() as tx:
        for table in Base.metadata.sorted_tables:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            found[table.name] = sorted(tx.execute(text(f"SELECT {columns} FROM {table.name}")).all(), key=repr)
    return found


def _revision(store: Store) -> str:
    with store.read() as tx:
        return str(tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def _filled(store: Store) -> dict[str, list[Any]]:
    an_edition(store, people=3)
    with store.write() as tx:
        [first, *_] = subscribers.records(tx)
        subscribers.add_consent(tx, first.id, "joined", "a form", first.next_due_at or pytest.fail("no moment"))
    rows = _rows(store)
    assert len(rows["deliveries"]) == 3
    assert rows["consents"]
    assert rows["feed_items"]
    return rows


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_empty_database_becomes_a_store_when_it_is_opened(
    kind: str, request: pytest.FixtureRequest, site_settings: WriteSettings
) -> None:
    url = request.getfixturevalue("empty_postgres_url") if kind == "postgresql" else "sqlite:///var/gazet.db"
    store = open_store(site_settings(store=url))
    try:
        assert set(inspect(store.engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
        assert _differences(store) == []
        assert bring_up_to_date(store) == "is up to date"
    finally:
        store.close()


def test_the_migrated_schema_is_the_one_the_code_knows(store: Store) -> None:
    assert _differences(store) == []


def test_every_index_and_check_of_the_code_is_in_the_database(store: Store) -> None:
    """Alembic compares neither CHECKs nor the conditions of partial indexes."""
    found = inspect(store.engine)
    for table in Base.metadata.sorted_tables:
        checks = {check["name"] for check in found.get_check_constraints(table.name)}
        assert checks == {str(one.name) for one in table.constraints if isinstance(one, CheckConstraint)}, table.name
        where = f"{store.engine.dialect.name}_where"
        partial = {index["name"] for index in found.get_indexes(table.name) if where in index["dialect_options"]}
        wanted = {str(one.name) for one in table.indexes if one.dialect_options["sqlite"]["where"] is not None}
        assert partial == wanted, table.name


def test_a_word_that_is_no_status_is_refused(store: Store) -> None:
    an_edition(store)
    with pytest.raises(StoreError, match="ck_deliveries_status"), store.write() as tx:
        tx.execute(text("UPDATE deliveries SET status = 'delivered'"))


@pytest.mark.parametrize("recreate", ["auto", "always"])
def test_an_upgrade_that_makes_parent_tables_anew_keeps_every_row(store: Store, later: Later, recreate: str) -> None:
    before = _filled(store)
    later(recreate=recreate if store.is_sqlite else "auto")
    assert bring_up_to_date(store) == "was brought up to date"
    assert _rows(store) == before
    assert _revision(store) == "9001"
    with store.read() as tx:
        assert tx.execute(text("SELECT DISTINCT later FROM subscribers")).scalars().all() == ["yes"]


def test_rows_keep_their_parents_after_an_upgrade(store: Store, later: Later) -> None:
    """Foreign keys are off while tables are made anew, and on again for everybody afterwards."""
    _filled(store)
    later(recreate="always" if store.is_sqlite else "auto")
    bring_up_to_date(store)
    with pytest.raises(StoreError, match=r"(?i)foreign key"), store.write() as tx:
        tx.execute(text("DELETE FROM subscribers"))


@pytest.mark.parametrize(
    "last",
    ["op.execute('INSERT INTO nothing VALUES (1)')", "op.execute('UPDATE subscriptions SET choice_id = 999')"],
    ids=["an error at the end", "rows without their parent"],
)
def test_a_migration_that_fails_leaves_everything_as_it_was(store: Store, later: Later, last: str) -> None:
    before, revision = _filled(store), _revision(store)
    later(last, recreate="always" if store.is_sqlite else "auto")
    with pytest.raises(StoreError):
        bring_up_to_date(store)
    assert _rows(store) == before
    assert _revision(store) == revision
    assert not any(column["name"] == "later" for column in inspect(store.engine).get_columns("subscribers"))
    if store.is_sqlite:
        with store.read() as tx:
            assert tx.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_migration_that_stumbles_in_python_leaves_everything_as_it_was(store: Store, later: Later) -> None:
    before, revision = _filled(store), _revision(store)
    later("raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        bring_up_to_date(store)
    assert _rows(store) == before
    assert _revision(store) == revision


def test_an_older_store_is_refused_until_it_is_brought_up_to_date(
    store_url: str, site_settings: WriteSettings, later: Later
) -> None:
    settings = site_settings(store=store_url)
    later()
    with pytest.raises(StoreError, match="gazet migrate") as refused:
        open_store(settings)
    assert not refused.value.retryable
    store = open_store(settings, check=False)
    assert bring_up_to_date(store) == "was brought up to date"
    store.close()
    open_store(settings).close()


def test_a_newer_store_is_refused_and_not_changed(store_url: str, site_settings: WriteSettings) -> None:
    settings = site_settings(store=store_url)
    store = open_store(settings)
    with store.write() as tx:
        add_feed(tx)
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = _rows(store)
    for attempt in (lambda: open_store(settings), lambda: bring_up_to_date(store)):
        with pytest.raises(StoreError, match="newer Gazet"):
            attempt()
    assert _rows(store) == before
    assert _revision(store) == "9999"
    store.close()


def test_deleting_a_parent_never_deletes_its_children(store: Store) -> None:
    edition = an_edition(store)
    with pytest.raises(StoreError, match=r"(?i)foreign key"), store.write() as tx:
        tx.execute(text("DELETE FROM editions"))
    with store.read() as tx:
        assert len(deliveries.of_edition(tx, edition.id)) == 1


def test_the_driver_s_own_errors_do_not_leave_the_store(store: Store) -> None:
    with pytest.raises(StoreError) as fault, store.write() as tx:
        tx.execute(text("SELECT * FROM nowhere"))
    assert isinstance(fault.value.__cause__, DBAPIError)
    assert "nowhere" in str(fault.value)
    assert not fault.value.retryable


RELEASED = ["0001"]
"""Revisions that sites out there may stand at."""


@pytest.fixture(params=["sqlite", "postgresql"])
def old_settings(request: pytest.FixtureRequest, site_settings: WriteSettings) -> Settings:
    """A site whose store has no tables yet."""
    url = "sqlite:///var/gazet.db" if request.param == "sqlite" else str(request.getfixturevalue("empty_postgres_url"))
    return site_settings(store=url)


@pytest.fixture(params=RELEASED)
def old_store(old_settings: Settings, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store at a released revision with rows in every table."""
    store = open_store(old_settings, check=False)
    migrate.migrate(store.engine, request.param)
    with store.write() as tx:
        fill(tx)
    yield store
    store.close()


def _values(store: Store) -> dict[str, dict[str, list[Any]]]:
    """Each column of each table, as the queries of Gazet read it."""
    names = sorted({*inspect(store.engine).get_table_names()} - {"alembic_version"})
    found = {}
    with store.read() as tx:
        for table in copy._tables(tx, names):
            rows = sorted((tuple(row) for row in tx.execute(select(table))), key=repr)
            found[table.name] = {column.name: [row[place] for row in rows] for place, column in enumerate(table.columns)}
    return found


def _kept(before: dict[str, dict[str, list[Any]]], after: dict[str, dict[str, list[Any]]]) -> bool:
    """Whether every value that was there is there, in the same row."""
    return all(
        sorted(zip(*columns.values(), strict=True), key=repr)
        == sorted(zip(*(after[name][column] for column in columns), strict=True), key=repr)
        for name, columns in before.items()
    )


def test_an_upgrade_from_a_released_version_keeps_every_value_and_copies_the_store_first(old_store: Store, tmp_path: Path) -> None:
    before, revision = _values(old_store), _revision(old_store)
    kept = upgrade(old_store, tmp_path / "backups", NOW)
    assert kept is not None
    assert kept.name == f"before-{migrate.head()}-20261124T070000Z.db"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [one.name for one in kept.parent.iterdir()] == [kept.name]
    assert _kept(before, _values(old_store))
    assert _differences(old_store) == []
    copied = database.open_file(kept)
    assert _revision(copied) == revision
    assert _values(copied) == before
    copied.close()


def test_what_a_migration_adds_reads_as_the_code_expects_it(old_store: Store, tmp_path: Path) -> None:
    """A default that is text where bytes belong would end every query of that table."""
    upgrade(old_store, tmp_path, NOW)
    with old_store.read() as tx:
        for table in Base.metadata.sorted_tables:
            for row in tx.execute(select(table)):
                kinds = {column.name: column.type.python_type for column in table.columns if not isinstance(column.type, JSON)}
                assert all(isinstance(row._mapping[name], kind | None) for name, kind in kinds.items()), (table.name, row)


def test_rows_have_their_parents_after_an_upgrade_from_a_released_version(old_store: Store, tmp_path: Path) -> None:
    upgrade(old_store, tmp_path, NOW)
    with pytest.raises(StoreError, match=r"(?i)foreign key"), old_store.write() as tx:
        tx.execute(text("DELETE FROM feeds"))


def test_the_copy_is_the_way_back(old_settings: Settings, old_store: Store) -> None:
    """Put where the store was, it is the store as it was, and can be upgraded again."""
    before = _values(old_store)
    kept = upgrade(old_store, old_settings.path("var/backups"), NOW)
    assert kept is not None
    old_store.close()
    back = old_settings.path("var/gazet.db")
    for name in ("", "-wal", "-shm"):
        Path(f"{back}{name}").unlink(missing_ok=True)
    shutil.copy(kept, back)
    again = database.open_file(back)
    assert _values(again) == before
    upgrade(again, old_settings.path("var/backups"), NOW + timedelta(hours=1))
    assert _kept(before, _values(again))
    again.close()


def test_a_store_that_is_up_to_date_is_neither_copied_nor_changed(store: Store, tmp_path: Path) -> None:
    before = _filled(store)
    assert upgrade(store, tmp_path / "backups", NOW) is None
    assert not (tmp_path / "backups").exists()
    assert _rows(store) == before


def test_a_store_that_cannot_be_copied_is_not_migrated(old_store: Store, tmp_path: Path) -> None:
    before, revision = _values(old_store), _revision(old_store)
    (tmp_path / "backups").write_text("a file is in the way")
    with pytest.raises(StoreError, match="cannot be copied"):
        upgrade(old_store, tmp_path / "backups", NOW)
    assert _values(old_store) == before
    assert _revision(old_store) == revision


def test_a_step_that_fails_leaves_the_old_store_and_its_copy(old_store: Store, later: Later, tmp_path: Path) -> None:
    before, revision = _values(old_store), _revision(old_store)
    later("raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        upgrade(old_store, tmp_path, NOW)
    assert _values(old_store) == before
    assert _revision(old_store) == revision


def test_a_newer_store_is_neither_copied_nor_changed_by_an_upgrade(store: Store, tmp_path: Path) -> None:
    with store.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer Gazet"):
        upgrade(store, tmp_path / "backups", NOW)
    assert not (tmp_path / "backups").exists()


KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from pipeline.cli import main
left, done = int(sys.argv.pop(1)), 0
def count(*_):
    global done
    done += 1
    if done == left:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(Engine, "before_cursor_execute", count)
event.listen(Engine, "commit", count)
try:
    main()
finally:
    print("steps:", done)
"""


def _migrate(folder: Path, left: int) -> tuple[int, str]:
    """``gazet migrate`` in a process that is killed at its statement or COMMIT number ``left``: exit code and errors."""
    code, _out, err = forked.run(KILLED, str(left), "migrate", "--site", folder)
    return code, err


def test_a_killed_migration_has_happened_or_not_and_can_be_run_again(old_settings: Settings, old_store: Store) -> None:
    """Killed at ever later moments, from the first statement on to the COMMIT, until one was too late for it."""
    before, revision = _values(old_store), _revision(old_store)
    left, kills, after = 1, 0, revision
    while after == revision:
        code, said = _migrate(old_settings.folder, left)
        store = open_store(old_settings, check=False)
        after = _revision(store)
        kills += code == -9
        if after == revision:
            assert code == -9, said
            assert _values(store) == before
        store.close()
        left += max(4, left // 2)
    assert kills > 5, "it was too short to be killed"
    store = open_store(old_settings)
    assert _kept(before, _values(store))
    assert _differences(store) == []
    store.close()
