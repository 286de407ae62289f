"""A site of root's with a var of the service's, as docs/operations.md makes it: who may restore it, and whose files are then."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.jobs.backup import write_backup
from tests.integration.command import Ended, gazet
from tests.needs import missing
from tests.servers.web import WebServer
from tests.world import World, moment

SERVICE = 4242
AT = ("--now", "2026-11-24T10:00")
# All is imported first: root's Python may lie where nobody else can read it.
AS_SERVICE = """
import os, pkgutil, sys
import sqlalchemy.dialects.sqlite.pysqlite, xml.sax.expatreader
import pipeline
for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    if ".versions" not in module.name and not module.name.endswith(("env", "__main__")):
        __import__(module.name)
sys.argv = ["gazet", *sys.argv[2:]] if (user := int(sys.argv[1])) else []
os.setgroups([])
os.setgid(user)
os.setuid(user)
from pipeline import app
from pipeline.collect.apart import InProcess
app.readers = lambda seconds: InProcess()  # where this Python lies in root's home, no other user may start it
from pipeline.cli import main
main()
"""


class Owned:
    """The world, its backup, and commands as root or as the service."""

    def __init__(self, world: World, folder: Path) -> None:
        self.site, self.backup = world.folder, folder / "backup.tar.gz"
        world.news("Eerste", "2026-11-22T09:00")
        world.subscribe("ann@example.org", at="2026-11-22T12:00", cadence="daily")
        world.run("2026-11-23T08:00")
        (self.site / "gazet.toml").chmod(0o640)
        write_backup(world.site, self.backup, moment("2026-11-23T20:00"))
        world.close()
        self.backup.chmod(0o644)
        for path in (self.site / "var", *(self.site / "var").rglob("*")):
            os.chown(path, SERVICE, SERVICE)
        os.chown(self.site / "gazet.toml", 0, SERVICE)

    def service(self, *words: str | Path) -> Ended:
        argv = [sys.executable, "-c", AS_SERVICE, str(SERVICE), *map(str, words), "--site", str(self.site)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        return Ended(done.returncode, done.stdout, done.stderr)

    def edit(self) -> None:
        path = self.site / "gazet.toml"
        path.write_text(path.read_text() + "# changed\n")

    def not_the_services(self) -> list[Path]:
        """What in var the service could not use."""
        return [path for path in (self.site / "var").rglob("*") if path.lstat().st_uid != SERVICE]


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that others may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="gazet-owners-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def owned(folder: Path, web: WebServer) -> Iterator[Owned]:
    if os.geteuid() != 0:
        missing("only root may give files away")
    world = World(folder / "site", web)
    yield Owned(world, folder)
    world.close()


def test_what_could_not_be_put_in_place_is_said_before_anything_is(owned: Owned) -> None:
    owned.edit()
    before = {path: path.read_bytes() for path in owned.site.rglob("*") if path.is_file() and not path.name.endswith("lock")}
    refused = owned.service("restore", owned.backup, *AT)
    assert (refused.code, len(refused.faults)) == (1, 1), refused
    assert f"{owned.site}/gazet.toml cannot be written: Permission denied" in refused.err
    assert "as root" in refused.err
    after = {path: path.read_bytes() for path in owned.site.rglob("*") if path.is_file() and not path.name.endswith("lock")}
    assert after == before
    assert owned.service("status").code == 0
    done = owned.service("restore", owned.backup, "--keep-settings", *AT)
    assert (done.code, done.err) == (0, "")


def test_the_service_may_restore_where_only_its_own_files_change(owned: Owned) -> None:
    done = owned.service("restore", owned.backup, *AT)
    assert (done.code, done.err) == (0, "")


def test_what_root_restores_the_service_can_use(owned: Owned) -> None:
    owned.edit()
    for name in ("secret", "gazet.db", "lock", "serve.lock"):
        (owned.site / "var" / name).unlink(missing_ok=True)
    shutil.rmtree(owned.site / "var/record")
    done = gazet("restore", owned.backup, *AT, site=owned.site)
    assert (done.code, done.err) == (1, "")
    assert owned.not_the_services() == []
    status = (owned.site / "gazet.toml").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, SERVICE, 0o640)
    assert owned.service("resume").code == 0
    assert owned.service("run", "--once", *AT).code == 0
    assert owned.service("status").err == ""


def test_a_new_folder_gets_the_rights_that_the_files_had(owned: Owned, folder: Path) -> None:
    (folder / "new/var").mkdir(parents=True)
    os.chown(folder / "new/var", SERVICE, SERVICE)
    assert gazet("restore", owned.backup, *AT, site=folder / "new").code == 1
    modes = {name: stat.S_IMODE((folder / "new" / name).stat().st_mode) for name in ("gazet.toml", "feeds/po.toml", "var/secret")}
    assert modes == {"gazet.toml": 0o640, "feeds/po.toml": 0o644, "var/secret": 0o600}
    owned.site = folder / "new"
    assert owned.not_the_services() == []


def test_a_feed_is_added_by_who_owns_the_folder_and_others_are_told_so(owned: Owned, web: WebServer) -> None:
    refused = owned.service("add", web.url("/feed.xml"), "--slug", "twee")
    assert refused.code == 2
    assert f"as who owns {owned.site}/feeds" in refused.err
    assert gazet("add", web.url("/feed.xml"), "--slug", "twee", site=owned.site).code == 0
    assert owned.service("status").code == 0, "it reads the new file"
    assert owned.not_the_services() == []
