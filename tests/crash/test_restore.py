"""kill -9 at any step of a restore: the same command once more ends well, and nothing is sent twice (promise 11)."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs import operate, people, report
from pipeline.jobs.backup import write_backup
from pipeline.models import DeliveryStatus
from tests import forked
from tests.crash import sites
from tests.crash.servers import LoggingServer
from tests.crash.sites import SiteMaker
from tests.integration.command import gazet
from tests.servers.web import WebServer
from tests.world import World, moment

LOST = "po/2026-11-24T08:00"
NOW = "2026-11-24T08:00"
AT = "2026-11-24T10:00"
SOME = 150
_KILLED_AT_STEP = """
import os, signal, sys
folder, last, steps = sys.argv[1], int(sys.argv[2]), 0
TOUCHED = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.move", "shutil.copyfile", "sqlite3.connect"}
TOUCHED |= {"sqlite3.connect/handle", "socket.connect", "psycopg.connect"}
def hook(event, arguments):
    global steps
    if event in TOUCHED and (event.startswith("sqlite3") or any(folder in str(one) for one in arguments)):
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
sys.argv = ["gazet", "restore", *sys.argv[3:], "--site", folder]
from pipeline.cli import main
try:
    main()
finally:
    print("steps", steps)
"""


@pytest.fixture
def lost(tmp_path: Path, web: WebServer) -> World:
    """A site that sent an edition after its backup; bob left after that."""
    world = World(tmp_path / "site", web)
    world.news("Eerste", "2026-11-22T09:00")
    for name in ("ann", "bob"):
        world.subscribe(f"{name}@example.org", at="2026-11-22T12:00", cadence="daily")
    world.run("2026-11-23T08:00")
    write_backup(world.site, tmp_path / "backup.tar.gz", moment("2026-11-23T20:00"))
    world.news("Tweede", "2026-11-24T06:00")
    world.run("2026-11-24T08:00")
    people.unsubscribe(world.site, "bob@example.org", None, moment("2026-11-24T09:00"))
    toml = world.folder / "gazet.toml"
    toml.write_text(toml.read_text().replace("Platform", "Nieuw platform"))
    world.close()
    shutil.copytree(world.folder, tmp_path / "kept")
    return world


def restore(world: World, step: int, *options: str) -> tuple[int, int]:
    """Restore in a process that is killed at that step; its exit code, and how many steps it took."""
    words = (world.folder, str(step), world.folder.parent / "backup.tar.gz", "--now", AT, *options)
    code, out, _err = forked.run(_KILLED_AT_STEP, *words)
    steps = out.rpartition("steps ")[2]
    return code, int(steps) if steps.strip() else 0


def begin_anew(world: World) -> None:
    """The site as it was when it was lost."""
    world.close()
    shutil.rmtree(world.folder)
    shutil.copytree(world.folder.parent / "kept", world.folder)


def ends_well(world: World, *options: str) -> None:
    """Between the kill and the second restore nothing can be sent; after it nothing is repeated, and bob stays out."""
    before = len(world.mails)
    between = gazet("run", "--once", "--now", AT, site=world.folder)
    assert between.code in (0, 2), between
    assert len(between.faults) == (between.code == 2)
    assert len(world.mails) == before
    done = gazet("restore", world.folder.parent / "backup.tar.gz", "--now", AT, *options, site=world.folder)
    assert (done.code, done.err) == (0, ""), done
    assert "Nieuw" not in (world.folder / "gazet.toml").read_text() or options
    operate.set_paused(world.site, None, False)
    world.run("2026-11-24T10:01")
    assert len(world.mails) == before
    assert world.statuses(LOST) == dict.fromkeys(("ann@example.org", "bob@example.org"), DeliveryStatus.ACCEPTED)
    assert not [fault for one in report.verify(world.site, None) for fault in one.faults]
    world.news("Derde", "2026-11-24T12:00")
    world.run("2026-11-25T08:00")
    assert world.got("ann@example.org")[-1] == ["Derde"]
    assert ["Derde"] not in world.got("bob@example.org")
    assert not (world.folder / "var/restoring").exists()
    world.entries.pop()
    world._serve()


def test_a_restore_can_be_killed_anywhere_and_run_again(lost: World) -> None:
    code, steps = restore(lost, 0)
    assert code == 0
    assert steps > 60
    for step in [*random.sample(range(1, steps - 45), 4), *random.sample(range(steps - 45, steps + 1), 7)]:
        begin_anew(lost)
        code, _ = restore(lost, step)
        assert code == -9, step
        ends_well(lost)


def test_a_restore_to_postgresql_can_be_killed_and_run_again(lost: World, postgres_server: Any) -> None:
    """Whether it is killed before or after the copy: the one transaction of the copy is recognised."""
    steps = 0
    for back in (0, *random.sample(range(2, 25), 3)):  # the last two steps only tidy up: then it is done, and that database full
        name = postgres_server.create()
        begin_anew(lost)
        toml = lost.folder / "gazet.toml"
        toml.write_text(f'{toml.read_text()}[store]\nurl = "{postgres_server.url(name)}"\n')
        code, counted = restore(lost, steps - back if back else 0, "--keep-settings")
        steps = steps or counted
        assert code == (-9 if back else 0), back
        if back:
            ends_well(lost, "--keep-settings")
        lost.close()
        postgres_server.drop(name)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_store_that_is_lost_while_it_sends_repeats_nothing_and_names_who_is_in_doubt(
    site: SiteMaker, mail_server: LoggingServer, tmp_path: Path, store: str
) -> None:
    """kill -9 in the middle of an edition, and then the store of before it began is put back: the record knows each claim."""
    world = site(mail_server.port, SOME, store=store)
    backup = tmp_path / "backup.tar.gz"
    write_backup(world.site, backup, moment(NOW))
    world.close()
    delivery = sites.gazet(world, "deliver", "--now", NOW)
    mail_server.wait_for(random.randrange(5, SOME - 50))
    sites.killed(delivery)
    if store == "postgresql":  # its database is not empty; the backup comes back on SQLite
        toml = world.folder / "gazet.toml"
        toml.write_text("\n".join(line for line in toml.read_text().splitlines() if not line.startswith('url = "postgresql')))
    done = gazet("restore", backup, "--now", NOW, "--keep-settings", site=world.folder)
    assert done.err == ""
    sites.ended(sites.gazet(world, "resume"))
    sites.ended(sites.gazet(world, "deliver", "--now", NOW), 1)
    counted = sites.copies(mail_server.kept)
    assert set(counted.values()) == {1}, "somebody got it twice"
    found = sites.verified(world, 1)
    assert set(sites.addresses(SOME)) - set(counted) <= set(found["held"])
    assert 1 <= len(found["held"]) <= sites.CONNECTIONS
    assert found["sums"]["accepted"] == SOME - len(found["held"])
