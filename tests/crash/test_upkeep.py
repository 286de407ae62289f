"""kill -9 at any step of ``migrate`` and ``store copy``: the same command once more ends well, and the old store is whole."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import config
from pipeline.store import migrate, open_store
from pipeline.store.copy import TableSum, copy_store
from pipeline.store.database import open_file
from tests import forked
from tests.conftest import write_settings
from tests.integration.command import gazet
from tests.store.filled import fill

_KILLED_AT_STEP = """
import os, signal, sys
from sqlalchemy import Engine, event
folder, last, steps = sys.argv[1], int(sys.argv[2]), 0
TOUCHED = {"open", "os.rename", "os.remove", "os.mkdir", "sqlite3.connect", "sqlite3.connect/handle"}
def step(*_):
    global steps
    steps += 1
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)
def hook(name, arguments):
    if name in TOUCHED and (name.startswith("sqlite3") or any(folder in str(one) for one in arguments)):
        step()
sys.addaudithook(hook)
for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
    event.listen(Engine, moment, step)
sys.argv = ["gazet", *sys.argv[3:], "--site", folder]
from pipeline.cli import main
try:
    main()
finally:
    print("steps", steps)
"""


def killed(folder: Path, step: int, *words: str) -> tuple[int, int]:
    """The command in a process that is killed at that step (0: never); its exit code, and how many steps it took."""
    code, out, _err = forked.run(_KILLED_AT_STEP, folder, str(step), *words)
    steps = out.rpartition("steps ")[2]
    return code, int(steps) if steps.strip() else 0


def some(steps: int) -> list[int]:
    """Steps to be killed at: anywhere, and more often at the end, where names change and transactions end."""
    return [random.randrange(1, steps - 20), *random.sample(range(steps - 20, steps + 1), 2)]


def old_site(folder: Path, url: str) -> Path:
    """A site of the first version with rows in every table."""
    settings = write_settings(folder, store=url)
    store = open_store(settings, check=False)
    migrate.migrate(store.engine, "0001")
    with store.write() as tx:
        fill(tx)
    store.close()
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of the store that is killed."""
    return str(request.param)


@pytest.fixture
def databases(request: pytest.FixtureRequest, kind: str) -> Any:
    """Makes the URL of an empty store of that kind."""
    made: list[str] = []

    def make(name: str = "gazet") -> str:
        if kind == "sqlite":
            return f"sqlite:///var/{name}.db"
        made.append(request.getfixturevalue("postgres_server").create())
        return str(request.getfixturevalue("postgres_server").url(made[-1]))

    yield make
    for one in made:
        request.getfixturevalue("postgres_server").drop(one)


def test_an_upgrade_can_be_killed_anywhere_and_run_again(tmp_path: Path, databases: Any) -> None:
    code, steps = killed(old_site(tmp_path / "counted", databases()), 0, "migrate")
    assert code == 0
    assert steps > 60
    for number, step in enumerate(some(steps)):
        folder = old_site(tmp_path / str(number), databases())
        assert killed(folder, step, "migrate")[0] == -9, step
        between = gazet("status", site=folder)
        assert between.code in (0, 1, 2)
        assert "Traceback" not in between.err
        done = gazet("migrate", site=folder)
        assert (done.code, done.err) == (0, ""), step
        assert gazet("migrate", "--check", site=folder).code == 0
        kept = [path.name for path in (folder / "var/backups").iterdir()]
        assert len(kept) in (1, 2), "each of them whole"
        assert all(name.startswith("before-") and name.endswith(".db") for name in kept), kept


def test_a_copy_can_be_killed_anywhere_and_run_again(tmp_path: Path, databases: Any) -> None:
    """Where it was killed after all was done, it says that the new store is not empty; nothing half is ever taken for whole."""
    source = old_site(tmp_path / "source", "sqlite:///var/gazet.db")
    assert gazet("migrate", site=source).code == 0
    shutil.copytree(source, tmp_path / "counted")
    _, steps = killed(tmp_path / "counted", 0, "store", "copy", databases("new"))
    assert steps > 60
    before = all_sums(source)
    for number, step in enumerate(some(steps)):
        folder, url = tmp_path / str(number), databases("new")
        shutil.copytree(source, folder)
        assert killed(folder, step, "store", "copy", url)[0] == -9, step
        done = gazet("store", "copy", url, site=folder)
        assert "all sums are equal" in done.out or "is not empty" in done.err, (step, done)
        assert all_sums(folder) == before
        (folder / "gazet.toml").write_text((folder / "gazet.toml").read_text().replace("sqlite:///var/gazet.db", url))
        assert all_sums(folder) == before, "what stands in the new store is whole"


def all_sums(folder: Path) -> list[TableSum]:
    """Of all tables of a site's store."""
    store, other = open_store(config.load(folder)), open_file(folder / "var/sums.db")
    try:
        return copy_store(store, other)
    finally:
        store.close()
        other.close()
        (folder / "var/sums.db").unlink()
