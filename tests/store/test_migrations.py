"""The schema: made, upgraded with all its rows, refused when newer; whatever fails leaves everything as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import DBAPIError

from pipeline.errors import StoreError
from pipeline.store import Store, bring_up_to_date, deliveries, migrate, open_store, subscribers
from pipeline.store.schema import Base
from tests.conftest import WriteSettings
from tests.store.builders import add_feed, an_edition

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
    head = migrate.ScriptDirectory(str(MIGRATIONS)).get_current_head()
    config = migrate._config

    def moved() -> Any:
        changed = config()
        changed.set_main_option("script_location", str(copy))
        return changed

    def make(last: str = "", recreate: str = "auto") -> None:
        (copy / "versions/9001_later.py").write_text(LATER.format(head=head, last=last, recreate=recreate), encoding="utf-8")
        monkeypatch.setattr(migrate, "_config", moved)

    return make


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
