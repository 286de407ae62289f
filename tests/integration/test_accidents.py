"""Accidents of operators and machines: nothing is sent by mistake, nothing is lost, and one line helps."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.store import editions
from tests import forked
from tests.crash.servers import HoldingServer
from tests.forked import GAZET, Forked
from tests.integration.command import Ended, gazet, gazet_process
from tests.integration.ledger import RELAY
from tests.integration.real import RealRelay
from tests.integration.running import Running
from tests.needs import missing
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World

ANN = "ann@example.org"
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = "2026-11-23T10:00", "2026-11-24T08:00", "2026-11-25T08:00", "2026-11-26T08:00"
A_YEAR_AHEAD = "2027-11-24T07:00"
_DROP_FROM_BOUNDING_SET = 24  # prctl(2)
_OVERRIDES_RIGHTS = (1, 2)  # capabilities(7): CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_MEGABYTE = 1_000_000

MakeWorld = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path, web: WebServer) -> Iterator[MakeWorld]:
    """Makes a site with a daily reader, and others by their rhythm; one item was found on Monday."""
    made: list[World] = []

    def make(*others: str, relay: str = "", folder: Path = tmp_path / "site") -> World:
        world = World(folder, web, relay=relay)
        made.append(world)
        world.news("Eerste", "2026-11-23T09:00")
        world.subscribe(ANN, cadence="daily", at=MONDAY)
        for cadence in others:
            world.subscribe(f"{cadence}@example.org", cadence=cadence, at=MONDAY)
        said = run_once(world, MONDAY).faults
        assert all("less than 200 MB left" in line for line in said), said
        return world

    yield make
    for world in made:
        world.close()


def relay_to(server: SmtpServer, password: str = "") -> str:
    """A relay table; a high port of loopback passes nothing on, port 587 counts as the world."""
    more = f'user = "u"\npassword = "{password}"' if password else ""
    return RELAY.format(host=server.host, port=server.port, tls="none", connections=1, more=more)


def run_once(world: World, at: str = "", before: Callable[[], None] | None = None) -> Ended:
    """``gazet run --once``; with ``before`` in a process of its own, in which that is called first."""
    world.close()
    clock = ("--now", at) if at else ()
    if before is None:
        return gazet("run", "--once", *clock, site=world.folder)
    return gazet_process("run", "--once", *clock, "--site", world.folder, cwd=Path("/"), before=before)


def one_line(ended: Ended, *words: str, code: int = 1) -> None:
    """The command said one line on standard error, and these words are in it."""
    assert ended.code == code, ended
    assert len(ended.faults) == 1, ended.err
    for word in words:
        assert word in ended.faults[0], ended.faults[0]


def got(server: SmtpServer) -> list[str]:
    return [kept.recipient for kept in server.messages]


def test_a_working_folder_elsewhere_changes_nothing_and_gets_nothing(make: MakeWorld, tmp_path: Path) -> None:
    world = make()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = gazet_process("run", "--once", "--now", TUESDAY, cwd=elsewhere, env={"GAZET_SITE": str(world.folder)})
    assert (done.code, done.err) == (0, "")
    one_line(gazet_process("run", "--once", cwd=elsewhere), "gazet.toml", "this file is missing", "--site DIR", code=2)
    assert world.got(ANN) == [["Eerste"]]
    assert list(elsewhere.iterdir()) == []


def test_of_two_runs_at_once_the_second_says_who_is_at_work(make: MakeWorld) -> None:
    with HoldingServer() as server:
        world = make(relay=relay_to(server))
        server.hold("content")
        words = ("run", "--once", "--now", TUESDAY, "--site", world.folder)
        with Forked(GAZET, *words, quiet=True) as first:
            server.wait_for_held(1)
            second = Ended(*forked.run(GAZET, *words))
            one_line(second, f"pid {first.pid}: gazet run", "Wait for it, or stop it first")
            assert gazet("status", "--now", TUESDAY, site=world.folder).code == 0
            server.go_on()
            assert first.communicate(timeout=30)[1] == ""
        assert first.returncode == 0
        assert got(server) == [ANN]


def bound_by_rights() -> None:
    """From its exec on even root's process is bound by the rights of files, as that of a service's own user is."""
    libc = ctypes.CDLL(None)
    for capability in _OVERRIDES_RIGHTS:
        libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


@contextlib.contextmanager
def read_only(*paths: Path) -> Iterator[None]:
    """Nobody may write these; afterwards they are as they were."""
    before = {path: path.stat().st_mode for path in paths}
    for path, mode in before.items():
        path.chmod(mode & ~0o222)
    yield
    for path, mode in before.items():
        path.chmod(mode)


def test_only_var_need_be_written(make: MakeWorld) -> None:
    """As under the systemd unit: the settings belong to somebody else."""
    world = make()
    with read_only(world.folder, world.folder / "gazet.toml", world.folder / "feeds", world.folder / "feeds/po.toml"):
        done = run_once(world, TUESDAY, bound_by_rights)
    assert (done.code, done.err) == (0, "")
    assert world.got(ANN) == [["Eerste"]]


def test_a_folder_that_cannot_be_written_stops_everything_before_it_begins(make: MakeWorld) -> None:
    world = make()
    with read_only(world.folder / "var", *world.folder.glob("var/**/*")):
        one_line(
            run_once(world, TUESDAY, bound_by_rights), "var/lock: Permission denied", "must be able to write in the site's var"
        )
    assert world.mails == []
    assert run_once(world, TUESDAY, bound_by_rights).code == 0
    assert world.got(ANN) == [["Eerste"]]


def test_published_files_that_cannot_be_written_hold_up_no_mail(make: MakeWorld) -> None:
    world = make()
    world.news("Tweede", "2026-11-24T07:00")
    public = world.folder / "var/public/feeds"
    before = (public / "po.rss").read_bytes()
    with read_only(public):
        one_line(run_once(world, TUESDAY, bound_by_rights), "feeds", "Permission denied", "unchanged", "correct the rights")
        assert (public / "po.rss").read_bytes() == before
    assert world.got(ANN) == [["Tweede", "Eerste"]]
    assert run_once(world, WEDNESDAY).code == 0
    assert b"Tweede" in (public / "po.rss").read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        missing("only root may make a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, *, leave: int) -> None:
    """Leave so many bytes."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(65536)) == 65536:
            pass
    os.truncate(filler, filler.stat().st_size - leave)


def test_a_full_disk_loses_nothing_repeats_nothing_and_is_said(make: MakeWorld, small_disk: Path) -> None:
    """From no room at all upwards, so that every step of a run is the one that fails once."""
    with SmtpServer() as server:
        world = make(relay=relay_to(server), folder=small_disk / "site")
        assert "less than 200 MB left" in " ".join(gazet("status", site=world.folder).out.split())
        world.news("Tweede", "2026-11-24T07:00")
        fill(small_disk, leave=0)
        one_line(run_once(world, TUESDAY), " disk", "othing that was committed is lost")
        for room in range(40_000, 240_000, 40_000):
            fill(small_disk, leave=room)
            done = run_once(world, TUESDAY)
            assert "Traceback" not in done.err
            assert all(" disk" in line for line in done.faults), done.err
        (small_disk / "filler").unlink()
        assert run_once(world, TUESDAY).code == 0
        assert got(server) == [ANN]
        assert b"Tweede" in server.messages[0].data
        assert world.sums("po/2026-11-24T08:00") == {"accepted": 1}


def test_a_limit_on_files_loses_nothing_and_is_said(make: MakeWorld) -> None:
    world = make()
    world.news("Tweede", "2026-11-24T07:00")
    for most in (0, 4096, 65536, 131072):
        done = run_once(world, TUESDAY, lambda most=most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
        assert done.code == 1
        assert "Nothing that was committed is lost" in done.err
    assert run_once(world, TUESDAY).code == 0
    assert world.got(ANN) == [["Tweede", "Eerste"]]


def test_a_record_that_is_removed_is_said_until_a_backup_begins_anew(make: MakeWorld, tmp_path: Path) -> None:
    world = make()
    assert world.got(ANN) == []
    assert run_once(world, TUESDAY).code == 0
    shutil.rmtree(world.folder / "var/record")
    one_line(run_once(world, TUESDAY), "record", "does not know the newest edition", "gazet backup FILE")
    assert "FAIL  record" in gazet("doctor", site=world.folder).out
    assert run_once(world, TUESDAY).faults == [], "it was said"
    assert gazet("status", site=world.folder).code == 1
    assert gazet("backup", tmp_path / "kept.tar.gz", site=world.folder).code == 0
    assert run_once(world, TUESDAY).faults == []
    assert gazet("status", site=world.folder).code == 0


def test_a_record_that_goes_on_without_its_past_is_said_too(make: MakeWorld) -> None:
    world = make()
    assert run_once(world, TUESDAY).code == 0
    shutil.rmtree(world.folder / "var/record")
    assert gazet("subscribers", "unsubscribe", ANN, site=world.folder).code == 0
    assert list((world.folder / "var/record").iterdir())
    one_line(run_once(world, TUESDAY), "record", "does not know the newest edition")


def test_a_disk_that_is_away_gets_no_new_site_in_its_place(make: MakeWorld) -> None:
    world = make()
    (world.folder / "var").rename(world.folder / "away")
    (world.folder / "var").mkdir()
    one_line(run_once(world, TUESDAY), "var/secret", "is the disk with var there?", code=2)
    assert {path.name for path in (world.folder / "var").iterdir()} <= {"lock"}
    (world.folder / "var/lock").unlink(missing_ok=True)
    (world.folder / "var").rmdir()
    (world.folder / "away").rename(world.folder / "var")
    assert run_once(world, TUESDAY).code == 0


def test_a_missing_secret_is_never_replaced_by_another(make: MakeWorld) -> None:
    """Every unsubscribe link that was ever sent needs it."""
    world = make()
    secret = world.folder / "var/secret"
    kept = secret.read_bytes()
    secret.unlink()
    for command in (("run", "--once", "--now", TUESDAY), ("deliver", "--now", TUESDAY), ("status",), ("preview", "po")):
        one_line(gazet(*command, site=world.folder), "var/secret", "missing", "restore it from a backup", code=2)
    assert not secret.exists()
    assert world.mails == []
    secret.write_bytes(kept)
    assert run_once(world, TUESDAY).code == 0
    assert world.got(ANN) == [["Eerste"]]


@pytest.fixture
def real_relay() -> Iterator[SmtpServer]:
    """A relay that counts as one that reaches real people."""
    try:
        with RealRelay(users={"u": "sesam"}) as server:
            yield server
    except PermissionError:
        missing("only root may listen on port 587 here, and no other relay counts as a real one")


def named(world: World, relay: SmtpServer) -> None:
    """From now on it has that relay."""
    world.close()
    with (world.folder / "gazet.toml").open("a") as file:
        file.write(relay_to(relay, "sesam"))


def editions_of(world: World) -> list[str]:
    with world.site.store.read() as tx:
        found = [one.label for one in editions.latest(tx, 9)]
    world.close()
    return found


def test_a_rehearsed_moment_writes_to_nobody_through_a_real_relay(make: MakeWorld, real_relay: SmtpServer) -> None:
    world = make()
    named(world, real_relay)
    one_line(run_once(world, TUESDAY), "reaches real people", "sends nothing with --now", "nothing is lost")
    for command in ("compose", "deliver"):
        one_line(gazet(command, "--now", TUESDAY, site=world.folder), "sends nothing with --now")
    assert real_relay.connections == 0
    assert editions_of(world) == [], "the next run, without --now, would send it"


def test_an_example_as_the_sites_address_writes_to_nobody_through_a_real_relay(make: MakeWorld, real_relay: SmtpServer) -> None:
    """Every link in the mail would lead nowhere; so no test mail opens the way, and what is due waits."""
    now = datetime.now(UTC)
    world = make()
    named(world, real_relay)
    world.news("Nu", now.isoformat())
    world.subscribe("eva@example.org", cadence="instant", at=(now - timedelta(hours=1)).isoformat())
    world.close()
    once = run_once(world)
    one_line(once, "writes to no subscriber yet", "https://nieuws.example.org", "Put the public address into gazet.toml")
    assert run_once(world).err == "", "cron is told once"
    assert real_relay.connections == 0
    assert editions_of(world) == [], "its links would be frozen"
    status = gazet("status", site=world.folder)
    assert "still the example" in status.out


def test_a_first_run_with_five_hundred_old_items_mails_the_newest_few(world: World) -> None:
    for number in range(1, 501):
        world.news(f"Bericht {number}", "2026-11-20T09:00")
    world.subscribe(ANN, cadence="daily", at=MONDAY)
    world.subscribe("eva@example.org", cadence="instant", at=MONDAY)
    world.close()
    assert "495 of 500 only published in po, not mailed: a first collect mails the newest few" in run_once(world, MONDAY).out
    for at in (TUESDAY, WEDNESDAY, THURSDAY):
        assert run_once(world, at).code == 0
    newest = [f"Bericht {number}" for number in (500, 499, 498, 497, 496)]
    assert world.got(ANN) == [newest]
    assert world.got("eva@example.org") == [newest]
    assert (world.folder / "var/public/feeds/po.rss").read_text().count("<item>") == 50


def test_settings_that_break_while_it_runs_leave_the_old_ones_in_force(world: World) -> None:
    now = datetime.now(UTC)
    world.news("Eerste", now.isoformat())
    world.subscribe(ANN, cadence="instant", at=(now - timedelta(hours=1)).isoformat())
    world.close()
    path = world.folder / "feeds/po.toml"
    good = path.read_text()
    with Running(world.folder) as run:
        run.wait_for('"sent"')
        path.write_text(good.replace("[digest]", "[digest"))
        said = run.wait_for("were edited and not taken")["message"]
        assert "feeds/po.toml" in said
        assert "What ran before goes on" in said
        one_line(gazet("status", site=world.folder), "feeds/po.toml", "line 8", code=2)
        path.write_text(
            good.replace('every = "1m"', 'every = "30m"').replace('title = "Samen Opleiden: nieuws"', 'title = "Anders"')
        )
        run.wait_for('"published"')
        assert run.ended() == 0, run.said
    assert "Anders" in (world.folder / "var/public/feeds/po.rss").read_text()
    assert world.got(ANN) == [["Eerste"]]


def test_a_feed_file_that_is_deleted_lets_its_feed_rest_and_put_back_it_goes_on(make: MakeWorld) -> None:
    world = make()
    path = world.folder / "feeds/po.toml"
    text = path.read_text()
    world.write_feed("blijft")
    assert run_once(world, TUESDAY).code == 0
    path.unlink()
    world.news("Tweede", "2026-11-24T09:00")
    one_line(run_once(world, WEDNESDAY), "its file feeds/po.toml is gone, so it rests", "Put the file back")
    assert run_once(world, WEDNESDAY).err == ""
    path.write_text(text)
    assert run_once(world, THURSDAY).code == 0
    assert world.got(ANN) == [["Eerste"], ["Tweede"]]


def test_a_clock_that_was_a_year_ahead_and_came_back_repeats_nothing_and_loses_nothing(make: MakeWorld) -> None:
    world = make("weekly", "instant")
    world.news("Meegenomen", TUESDAY)
    ahead = run_once(world, A_YEAR_AHEAD).out
    assert "1 of 1 only published in po, not mailed: too old for a digest" in ahead
    assert '"gazet items omit --undo ID" mails one' in ahead
    doctor = gazet("doctor", site=world.folder)
    assert "which is in the future: this machine's clock was or is wrong" in doctor.out
    assert gazet("items", "omit", "2", "--undo", site=world.folder).code == 0
    for at, news in ((TUESDAY, "Tweede"), (WEDNESDAY, "Derde"), ("2026-12-01T08:00", "Vierde")):
        assert run_once(world, at).code == 0
        world.news(news, at)
        world.close()
    assert run_once(world, "2026-12-01T09:00").code == 0
    assert run_once(world, "2026-12-02T08:00").code == 0
    assert run_once(world, "2026-12-08T08:00").code == 0
    for address in (ANN, "weekly@example.org", "instant@example.org"):
        assert sorted(title for mail in world.got(address) for title in mail) == sorted(
            ["Eerste", "Meegenomen", "Tweede", "Derde", "Vierde"]
        )
