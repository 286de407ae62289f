"""Opening the store: where the file lies, what is in force on each connection, and how times come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from pipeline.errors import StoreError
from pipeline.store import Store, feeds, open_store, runs
from tests.conftest import WriteSettings
from tests.store.builders import NOW, add_feed


def test_a_relative_path_is_relative_to_the_site_and_not_to_where_one_stands(
    site_settings: WriteSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = site_settings()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    open_store(settings).close()
    assert (tmp_path / "site/var/gazet.db").is_file()
    assert list(elsewhere.iterdir()) == []


def test_a_new_store_is_never_made_beside_published_files(site_settings: WriteSettings, tmp_path: Path) -> None:
    settings = site_settings()
    published = tmp_path / "site/var/public/feeds/po.rss"
    published.parent.mkdir(parents=True)
    published.write_text("<rss/>")
    with pytest.raises(StoreError, match="has run before") as refused:
        open_store(settings)
    assert "store.url" in refused.value.fix
    assert not (tmp_path / "site/var/gazet.db").exists()


def test_an_empty_public_folder_is_no_obstacle(site_settings: WriteSettings, tmp_path: Path) -> None:
    (tmp_path / "site/var/public").mkdir(parents=True)
    open_store(site_settings()).close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///:memory:", "names no file"),
        ("postgresql+psycopg://gazet:geheim@127.0.0.1:poort/gazet", "not a database URL"),
        ("postgresql+psycopg://gazet:geheim@127.0.0.1:9/gazet?connect_timeout=2", "127.0.0.1"),
    ],
)
def test_a_url_that_leads_nowhere_is_explained_without_its_password(url: str, said: str, site_settings: WriteSettings) -> None:
    with pytest.raises(StoreError, match=said) as refused:
        open_store(site_settings(store=url))
    assert "geheim" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused_and_kept(site_settings: WriteSettings, tmp_path: Path) -> None:
    path = tmp_path / "site/var/gazet.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"een brief aan de redactie" * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(site_settings())
    assert path.read_bytes() == b"een brief aan de redactie" * 100


def test_every_connection_to_sqlite_is_durable_private_and_patient(site_settings: WriteSettings) -> None:
    """A claim must outlive a power cut (FULL is 2), an erased address must be gone from the file."""
    store = open_store(site_settings())
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "busy_timeout": 30_000}
    try:
        with store.read() as first, store.read() as second:
            for tx in (first, second):
                assert {name: tx.execute(text(f"PRAGMA {name}")).scalar() for name in expected} == expected
    finally:
        store.close()


def test_a_reader_sees_one_moment_while_others_write(store: Store) -> None:
    with store.write() as tx:
        add_feed(tx)
    with store.read() as reading:
        before = feeds.state(reading, "po")
        with store.write() as tx:
            feeds.set_next_seq(tx, "po", 42)
        assert feeds.state(reading, "po") == before
    with store.read() as reading:
        assert feeds.state(reading, "po").next_seq == 42


def test_what_fails_half_way_is_not_written_at_all(store: Store) -> None:
    with store.write() as tx:
        add_feed(tx)
    with pytest.raises(ZeroDivisionError):
        _stumble(store)
    with store.read() as tx:
        assert feeds.state(tx, "po").next_seq == 1


def _stumble(store: Store) -> None:
    with store.write() as tx:
        feeds.set_next_seq(tx, "po", 42)
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "moment",
    [
        NOW,
        datetime(2026, 11, 24, 8, 0, 0, 123_456, tzinfo=ZoneInfo("Europe/Amsterdam")),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Amsterdam")),
        datetime(1969, 7, 20, 20, 17, 40, 1, tzinfo=UTC),
        datetime(2099, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
    ],
    ids=str,
)
def test_a_moment_comes_back_as_the_same_moment_in_utc_to_the_microsecond(store: Store, moment: datetime) -> None:
    with store.write() as tx:
        runs.start(tx, "tick", "here", moment)
    with store.read() as tx:
        found = runs.last(tx, "tick")
    assert found is not None
    assert found.started_at == moment.astimezone(UTC)
    assert found.started_at.utcoffset() == timedelta(0)
    assert found.finished_at is None


def test_a_datetime_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError, match="naive datetime"), store.write() as tx:
        runs.start(tx, "tick", "here", NOW.replace(tzinfo=None))
    with store.read() as tx:
        assert runs.last(tx, "tick") is None
