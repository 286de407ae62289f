"""Upgrades and moves by hand: ``gazet migrate`` and ``gazet store copy``, as an operator types them."""

from __future__ import annotations

import resource
import shutil
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pipeline import app, config
from pipeline.models import DeliveryStatus
from pipeline.store import migrate, open_store, runs
from tests.conftest import WriteSettings
from tests.integration.command import gazet, gazet_process
from tests.store.builders import an_edition, must_claim
from tests.store.filled import fill
from tests.world import World, moment

COMMANDS = (
    ["run", "--once"],
    ["collect"],
    ["publish"],
    ["compose"],
    ["deliver"],
    ["status"],
    ["verify"],
    ["backup", "kept.tar.gz"],
    ["pause"],
    ["subscribers", "list"],
    ["store", "copy", "sqlite:///var/other.db"],
)


@pytest.fixture(params=["sqlite", "postgresql"])
def old_site(request: pytest.FixtureRequest, site_settings: WriteSettings) -> Path:
    """The folder of a site of the first version, with rows in every table."""
    url = "sqlite:///var/gazet.db" if request.param == "sqlite" else str(request.getfixturevalue("empty_postgres_url"))
    settings = site_settings(store=url)
    app.secret_of(settings, make=True)
    store = open_store(settings, check=False)
    migrate.migrate(store.engine, "0001")
    with store.write() as tx:
        fill(tx)
    store.close()
    return settings.folder


def _revision(folder: Path) -> str:
    store = open_store(config.load(folder), check=False)
    with store.read() as tx:
        found = migrate.revision(tx)
    store.close()
    return found


def _rename(folder: Path, url: str) -> None:
    """What the operator writes into gazet.toml after a copy."""
    path = folder / "gazet.toml"
    lines = [line for line in path.read_text().splitlines() if line != "[store]" and not line.startswith('url = "sqlite')]
    lines = [line for line in lines if not line.startswith('url = "postgresql')]
    path.write_text("\n".join([*lines, "[store]", f'url = "{url}"', ""]))


def test_every_command_refuses_a_store_that_waits_for_migrate_and_changes_nothing(old_site: Path) -> None:
    for words in COMMANDS:
        done = gazet(*words, site=old_site)
        assert done.code == 2, words
        [line] = done.faults
        assert "was made by an older Gazet" in line
        assert '"gazet migrate"' in line
    assert _revision(old_site) == "0001"


def test_check_says_what_is_pending_and_changes_nothing(old_site: Path) -> None:
    done = gazet("migrate", "--check", site=old_site)
    assert done.code == 1
    assert f"stands at 0001, belongs at {migrate.head()}" in done.out
    assert _revision(old_site) == "0001"
    assert gazet("migrate", site=old_site).code == 0
    assert gazet("migrate", "--check", site=old_site).code == 0
    assert gazet("migrate", "--check", "--json", site=old_site).json["done"] is False


def test_migrate_copies_the_store_and_prints_the_way_back(old_site: Path) -> None:
    done = gazet("migrate", "--now", "2026-11-24T08:00", site=old_site)
    assert done.code == 0, done.err
    copy = old_site / f"var/backups/before-{migrate.head()}-20261124T070000Z.db"
    assert copy.is_file()
    assert f"copied the store to {copy}" in done.out
    assert f"(0001 → {migrate.head()})" in done.out
    assert f"  cp {copy} {old_site / 'var/gazet.db'}" in done.out
    assert "gazet pause" in done.out
    assert _revision(old_site) == migrate.head()
    again = gazet("migrate", site=old_site)
    assert again.code == 0
    assert "is up to date" in again.out
    assert len(list(copy.parent.iterdir())) == 1


def test_the_printed_way_back_leads_back(site_settings: WriteSettings) -> None:
    """Its lines, as a shell runs them: afterwards the old store stands there again."""
    settings = site_settings()
    store = open_store(settings, check=False)
    migrate.migrate(store.engine, "0001")
    store.close()
    out = gazet("migrate", site=settings.folder).out.splitlines()
    lines = [line.strip() for line in out if line.strip().startswith(("rm ", "cp "))]
    assert len(lines) == 2
    subprocess.run("\n".join(lines), shell=True, check=True)
    assert _revision(settings.folder) == "0001"


def test_a_disk_that_is_full_at_the_copy_leaves_the_old_store(site_settings: WriteSettings) -> None:
    settings = site_settings()
    store = open_store(settings, check=False)
    migrate.migrate(store.engine, "0001")
    with store.write() as tx:
        fill(tx)
    store.close()
    size = (settings.folder / "var/gazet.db").stat().st_size

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    done = gazet_process("migrate", "--site", settings.folder, before=small)
    assert done.code == 1
    [line] = done.faults
    assert "could not be written" in line
    assert "Free some space" in line
    assert _revision(settings.folder) == "0001"
    assert list((settings.folder / "var/backups").iterdir()) == []
    assert gazet("migrate", site=settings.folder).code == 0


def test_a_newer_store_is_refused_with_what_to_do(any_world: World) -> None:
    with any_world.site.store.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for words in (["migrate"], ["migrate", "--check"], ["run", "--once"]):
        done = gazet(*words, site=any_world.folder)
        assert done.code == 2, "the service must not start again and again"
        assert "made by a newer Gazet" in done.err
        assert "pip install --upgrade gazet" in done.err
    with any_world.site.store.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": migrate.head()})


def test_migrate_waits_for_nobody_but_says_who_works(world: World) -> None:
    with app.site_lock(world.site.settings):
        done = gazet("migrate", site=world.folder)
        assert gazet("migrate", "--check", site=world.folder).code == 0
    assert done.code == 1
    assert "Another process runs jobs" in done.err


@pytest.mark.parametrize("back", [False, True], ids=["to PostgreSQL", "and back"])
def test_a_site_goes_on_from_the_copy_as_if_nothing_had_happened(world: World, empty_postgres_url: str, back: bool) -> None:
    """Nobody gets anything twice, and the next item comes to everybody."""
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily")
    world.subscribe("bob@example.org", cadence="daily")
    world.run("2026-11-23T08:00")
    world.close()
    done = gazet("store", "copy", empty_postgres_url, site=world.folder)
    assert done.code == 0, done.err
    assert "all sums are equal" in done.out
    _rename(world.folder, empty_postgres_url)
    if back:
        done = gazet("store", "copy", "sqlite:///var/again.db", site=world.folder)
        assert done.code == 0, done.err
        assert '  url = "sqlite:///var/again.db"' in done.out
        _rename(world.folder, "sqlite:///var/again.db")
    world.run("2026-11-23T09:00")
    assert len(world.mails) == 2
    world.news("Tweede", "2026-11-23T12:00")
    world.run("2026-11-24T08:00")
    assert world.got("ann@example.org") == world.got("bob@example.org") == [["Eerste"], ["Tweede"]]
    assert gazet("verify", site=world.folder).code == 0


def test_a_copy_leaves_the_source_as_it_was(world: World, tmp_path: Path) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily")
    world.run("2026-11-23T08:00")
    world.close()
    before = (world.folder / "var/gazet.db").read_bytes()
    done = gazet("store", "copy", "sqlite:///var/other.db", "--json", site=world.folder)
    assert done.code == 0, done.err
    assert {one["name"]: one["rows"] for one in done.json["tables"]}["deliveries"] == 1
    assert done.json["faults"] == []
    assert (world.folder / "var/gazet.db").read_bytes() == before


def test_a_copy_over_something_is_refused(world: World) -> None:
    world.subscribe("ann@example.org", cadence="daily")
    world.close()
    assert gazet("store", "copy", "sqlite:///var/other.db", site=world.folder).code == 0
    for url, why in (("sqlite:///var/other.db", "is not empty"), ("sqlite:///var/gazet.db", "is the store itself")):
        done = gazet("store", "copy", url, site=world.folder)
        assert done.code == 1
        assert why in done.err


def test_faults_that_verify_finds_are_said_for_both_stores(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily")
    world.run("2026-11-23T08:00")
    with world.site.store.write() as tx:
        tx.execute(text("UPDATE editions SET audience = 7"))
    world.close()
    done = gazet("store", "copy", "sqlite:///var/other.db", site=world.folder)
    assert done.code == 1
    assert done.err.count("audience is 7, but its deliveries add up to 1") == 2


def test_a_password_is_never_shown(world: World, tmp_path: Path) -> None:
    assert world.site
    url = "postgresql+psycopg://gazet:hunter2@127.0.0.1:1/gazet"
    (tmp_path / "url").write_text(url + "\n")
    for words in (
        [url],
        ["--url-file", tmp_path / "url"],
        [url, "--json"],
        ["mysql://u:hunter2@h/x"],
        ["oracle+oracledb://u:hunter2@h/x"],
        [url.replace("+psycopg", "")],
    ):
        done = gazet("store", "copy", *words, site=world.folder)
        assert done.code in (1, 2)
        assert len(done.faults) == 1
        assert "hunter2" not in done.out + done.err


def test_the_url_of_a_copy_may_be_in_a_file(world: World, tmp_path: Path) -> None:
    assert world.site
    (tmp_path / "url").write_text("sqlite:///var/other.db\n")
    done = gazet("store", "copy", "--url-file", tmp_path / "url", site=world.folder)
    assert done.code == 0, done.err
    assert f'  url_file = "{tmp_path / "url"}"' in done.out
    (tmp_path / "latin").write_bytes("sqlite:///café.db".encode("latin-1"))
    for name, why in (("latin", "it is not UTF-8 text"), ("gone", "No such file"), (".", "Is a directory")):
        refused = gazet("store", "copy", "--url-file", tmp_path / name, site=world.folder)
        assert (refused.code, len(refused.faults)) == (2, 1)
        assert why in refused.err
    for words in (["mysql://h/x"], [], ["sqlite:///x.db", "--url-file", tmp_path / "url"]):
        assert gazet("store", "copy", *words, site=world.folder).code == 2


def test_a_store_that_another_process_works_on_is_not_copied(world: World) -> None:
    with app.site_lock(world.site.settings):
        done = gazet("store", "copy", "sqlite:///var/other.db", site=world.folder)
    assert done.code == 1
    assert "Another process runs jobs" in done.err
    assert not (world.folder / "var/other.db").exists()


@pytest.mark.parametrize("words", [["store", "copy", "sqlite:///var/other.db"], ["migrate"]])
def test_nothing_is_put_in_place_of_a_store_that_is_served(words: list[str], world: World) -> None:
    """Whoever leaves meanwhile would be in the old one alone."""
    assert world.site
    with app.serving(world.folder):
        done = gazet(*words, site=world.folder)
    assert done.code == 1
    assert "gazet serve" in done.err
    assert not (world.folder / "var/other.db").exists()
    assert gazet(*words, site=world.folder).code == 0
    with app.serving(world.folder, alone=True):
        refused = gazet("serve", site=world.folder)
    assert (refused.code, "since" in refused.err) == (1, True)


@pytest.mark.parametrize("words", [["store", "copy", "sqlite:///var/other.db"], ["migrate"]])
def test_a_postgresql_store_with_a_living_process_is_left_alone(
    words: list[str], site_settings: WriteSettings, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ticks, and one that only sends. One that has ended, here or elsewhere, is in nobody's way."""
    settings = site_settings(store=postgres_url)
    app.secret_of(settings, make=True)
    store = open_store(settings)
    living = _process(1)
    for process, seen, refused in (
        (living, datetime.now(UTC), True),
        (living.replace("/1/", "/999999/"), datetime.now(UTC), False),
        (f"elsewhere:1/{living.split('/', 1)[1]}", datetime.now(UTC), True),
        (f"elsewhere:1/{living.split('/', 1)[1]}", moment("2026-01-01T08:00"), False),
    ):
        with store.write() as tx:
            run = runs.start(tx, "tick", process, seen)
            runs.finish(tx, run, seen, {})
            if words == ["migrate"]:
                tx.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": migrate.head()})
        (settings.folder / "var/other.db").unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            if words == ["migrate"]:  # pretend that something is pending
                patch.setattr("pipeline.store.upgrade.upgrade", lambda *_, **__: None)
                patch.setattr("pipeline.store.upgrade.Waiting.pending", property(lambda _: True))
            done = gazet(*words, site=settings.folder)
        assert (done.code == 1) is refused, (process, done)
        assert ("Another process works on the store" in done.err) is refused
    store.close()


def _process(pid: int) -> str:
    """The name of a living process of this machine."""
    machine, boot, _, _ = app.process_name().rsplit("/", 3)
    return f"{machine}/{boot}/{pid}/{app._start_time(pid)}"


def test_a_postgresql_store_with_a_living_sender_is_not_copied(site_settings: WriteSettings, postgres_url: str) -> None:
    settings = site_settings(store=postgres_url)
    app.secret_of(settings, make=True)
    store = open_store(settings)
    edition = an_edition(store)
    must_claim(store, edition, lease=f"{_process(1)}#abc")
    done = gazet("store", "copy", "sqlite:///var/other.db", site=settings.folder)
    assert done.code == 1
    assert f"pid 1 on {_process(1).partition(':')[0]}" in done.err
    with store.write() as tx:
        tx.execute(text("UPDATE deliveries SET status = :status"), {"status": DeliveryStatus.ACCEPTED})
    assert gazet("store", "copy", "sqlite:///var/other.db", site=settings.folder).code in (0, 1)
    assert (settings.folder / "var/other.db").exists()
    store.close()


def test_two_migrations_of_one_postgresql_store_at_once_end_well(site_settings: WriteSettings, empty_postgres_url: str) -> None:
    settings = site_settings(store=empty_postgres_url)
    store = open_store(settings, check=False)
    migrate.migrate(store.engine, "0001")
    with store.write() as tx:
        fill(tx)
    faults: list[BaseException] = []

    def one() -> None:
        try:
            migrate.migrate(store.engine)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    store.close()
    assert _revision(settings.folder) == migrate.head()


def test_a_new_version_waits_for_migrate_and_then_sends_what_was_due(
    site_settings: WriteSettings, tmp_path: Path, web: Any
) -> None:
    """A site that was sent to before the upgrade gets its next edition after it, and nothing twice."""
    world = World(tmp_path / "site", web)
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily")
    world.run("2026-11-23T08:00")
    _downgrade(world)
    world.close()
    assert gazet("run", "--once", "--now", "2026-11-24T08:00", site=world.folder).code == 2
    assert gazet("migrate", site=world.folder).code == 0
    world.news("Tweede", "2026-11-23T12:00")
    done = gazet("run", "--once", "--now", "2026-11-24T08:00", site=world.folder)
    assert done.code == 0, done.err
    assert world.got("ann@example.org") == [["Eerste"], ["Tweede"]]
    world.close()


def _downgrade(world: World) -> None:
    """The store as the first version would have left it."""
    store = world.site.store
    old = world.folder / "old.db"
    from pipeline.store import copy, database

    with store.read() as tx:
        tables = copy._tables(tx, [name for name in copy.inspect(tx).get_table_names() if name != "alembic_version"])
        made = database.open_file(old)
        migrate.migrate(made.engine, "0001")
        with made.write() as new:
            there = {one.name: one for one in copy._tables(new, [one.name for one in tables])}
            for one in (table for table in tables if table.name in there):
                target = there[one.name]
                rows = [tuple(row) for row in tx.execute(copy.select(*(one.c[column.name] for column in target.columns)))]
                if rows:
                    names = [column.name for column in target.columns]
                    new.execute(copy.insert(target), [dict(zip(names, row, strict=True)) for row in rows])
        made.close()
    world.close()
    for name in ("-wal", "-shm"):
        (world.folder / f"var/gazet.db{name}").unlink(missing_ok=True)
    shutil.move(old, world.folder / "var/gazet.db")
