"""Backups: whole or not there, right while mail is sent, private, and read back only when nothing was done to them."""

from __future__ import annotations

import gzip
import io
import json
import resource
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import app
from pipeline.errors import BackupError
from pipeline.jobs import operate
from pipeline.jobs.backup import BACKED_UP, Backup, Member, read_backup, write_backup
from pipeline.store import copy, database, record
from tests import forked
from tests.integration.command import gazet, gazet_process
from tests.store.filled import fill
from tests.world import World, moment

NOW = moment("2026-11-24T08:00")
Change = Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]


def _members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]


def _rebuilt(file: Path, change: Change, *, mode: str = "w:gz") -> Path:
    """The same backup after somebody changed its members; the manifest is made to fit."""
    with tarfile.open(file) as archive:
        members = [(info, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]
    change(members)
    made = file.with_name("changed.tar.gz")
    with tarfile.open(made, mode) as archive:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data) if info.isreg() else info.size
            archive.addfile(info, io.BytesIO(data))
    return made


def _values(store: Any) -> dict[str, Any]:
    with store.read() as tx:
        names = [name for name in copy.inspect(tx).get_table_names() if name != "alembic_version"]
        return {one.name: sorted(map(tuple, tx.execute(copy.select(one))), key=repr) for one in copy._tables(tx, names)}


@pytest.fixture
def written(world: World, tmp_path: Path) -> Path:
    """A backup of a site that has sent an edition."""
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily")
    world.run(NOW)
    return write_backup(world.site, tmp_path / "kept.tar.gz", NOW).file


def test_a_backup_holds_the_store_the_record_the_settings_and_the_secret(any_world: World, tmp_path: Path) -> None:
    any_world.news("Eerste", "2026-11-20T09:00")
    any_world.subscribe("ann@example.org", cadence="daily")
    (any_world.folder / "templates/locale").mkdir(parents=True)
    (any_world.folder / "templates/locale/fr.po").write_text('msgid ""\nmsgstr ""\n')
    (any_world.folder / "feeds/po.intro.md").write_text("Beste lezer,")
    any_world.run(NOW)
    done = gazet("backup", tmp_path / "kept.tar.gz", "--now", "2026-11-24T09:00", "--json", site=any_world.folder)
    assert done.code == 0, done.err
    file = Path(done.json["file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    backup = read_backup(file)
    backup.extract(tmp_path / "out")
    for name in ("gazet.toml", "feeds/po.toml", "feeds/po.intro.md", "templates/locale/fr.po", "var/secret"):
        assert (tmp_path / "out/site" / name).read_bytes() == (any_world.folder / name).read_bytes()
    assert stat.S_IMODE((tmp_path / "out/site/var/secret").stat().st_mode) == 0o600
    kept = database.open_file(tmp_path / "out/gazet.db")
    assert _values(kept) == _values(any_world.site.store)
    kept.close()
    days = [path.name for path in (tmp_path / "out/record").iterdir()]
    assert days == record.days(any_world.folder / record.FOLDER)
    assert backup.manifest.store == ("sqlite" if any_world.site.store.is_sqlite else "postgresql")
    assert backup.manifest.made_at == moment("2026-11-24T09:00")


def test_every_value_of_every_table_is_in_a_backup(any_world: World, tmp_path: Path) -> None:
    with any_world.site.store.write() as tx:
        fill(tx)
    write_backup(any_world.site, tmp_path / "kept.tar.gz", NOW)
    read_backup(tmp_path / "kept.tar.gz").extract(tmp_path / "out")
    kept = database.open_file(tmp_path / "out/gazet.db")
    assert _values(kept) == _values(any_world.site.store)
    kept.close()


def test_the_record_of_the_site_and_of_the_archive_hold_the_mark_of_a_backup(written: Path, world: World) -> None:
    backup = read_backup(written)
    backup.extract(written.parent / "out")
    for folder, words in (
        (world.folder / record.FOLDER, [record.BACKUP, BACKED_UP]),
        (written.parent / "out/record", [record.BACKUP]),
    ):
        marks = _marks(folder)
        assert [mark.what for mark in marks] == words
        assert {mark.identity for mark in marks} == {backup.manifest.id}


def _marks(folder: Path) -> list[record.Mark]:
    lines = record.parse([line for day in record.days(folder) for line in record.raw_lines(folder, day)])
    return [fact for line in lines for fact in line.facts or () if isinstance(fact, record.Mark)]


def test_a_backup_made_while_mail_is_sent_is_of_one_moment_and_its_record_is_not_behind_it(world: World, tmp_path: Path) -> None:
    """Backups are made one after the other, by a process of its own as it were, while an edition is opened and sent."""
    world.news("Eerste", "2026-11-20T09:00")
    for number in range(40):
        world.subscribe(f"p{number}@example.org", cadence="daily")
    ended = threading.Event()
    files = []

    def keep_on() -> None:
        site = app.open_site(world.folder)
        while not ended.is_set():
            files.append(write_backup(site, tmp_path / f"{len(files)}.tar.gz", NOW).file)
        site.store.close()

    keeper = threading.Thread(target=keep_on)
    keeper.start()
    try:
        world.run(NOW)
    finally:
        ended.set()
        keeper.join()
    assert sum(world.sums("po/2026-11-24T08:00").values()) == 40
    for place, file in enumerate(files):
        read_backup(file).extract(tmp_path / f"out{place}")
        with sqlite3.connect(tmp_path / f"out{place}/gazet.db") as kept:
            rows = kept.execute(
                "SELECT e.audience, count(d.id) FROM editions e JOIN deliveries d ON d.edition_id = e.id GROUP BY e.id"
            )
            assert all(audience == count for audience, count in rows.fetchall())
            accepted = {one for (one,) in kept.execute("SELECT subscription_id FROM deliveries WHERE status = 'accepted'")}
        kept.close()
        assert accepted <= _told(tmp_path / f"out{place}/record")


def test_whatever_the_copied_store_knows_is_in_the_copied_record(
    any_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edition is opened and sent between the mark and the copy of the store: nothing holds it up."""
    from pipeline.jobs import backup

    any_world.news("Eerste", "2026-11-20T09:00")
    any_world.subscribe("ann@example.org", cadence="daily")
    real = backup.snapshot

    def late(*words: Any, **options: Any) -> str:
        any_world.run(NOW)
        return real(*words, **options)

    monkeypatch.setattr(backup, "snapshot", late)
    read_backup(write_backup(any_world.site, tmp_path / "kept.tar.gz", NOW).file).extract(tmp_path / "out")
    with sqlite3.connect(tmp_path / "out/gazet.db") as kept:
        accepted = {one for (one,) in kept.execute("SELECT subscription_id FROM deliveries WHERE status = 'accepted'")}
    kept.close()
    assert accepted
    assert accepted <= _told(tmp_path / "out/record")


def _told(folder: Path) -> set[int]:
    """The subscriptions of whose deliveries this record says anything."""
    facts = [
        fact for day in record.days(folder) for line in record.parse(record.raw_lines(folder, day)) for fact in line.facts or ()
    ]
    return {one for fact in facts if isinstance(fact, record.Became) for one in record.identities(fact)}


def test_a_folder_gets_a_backup_by_site_and_time_and_keeps_the_newest(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    other = folder / "gazet-elders.example.org-20200101T000000Z.tar.gz"
    other.write_bytes(b"\x1f\x8bnot ours to remove")
    for day in (20, 21, 22, 23):
        done = gazet("backup", folder, "--keep", "2", "--now", f"2026-11-{day}T04:00", site=world.folder)
        assert done.code == 0, done.err
    names = sorted(path.name for path in folder.iterdir())
    assert names == [other.name, *(f"gazet-nieuws.example.org-202611{day}T030000Z.tar.gz" for day in (22, 23))]
    assert "removed 1 older backup" in done.out


def test_the_backup_just_made_stays_when_the_clock_went_back(world: World, tmp_path: Path) -> None:
    gazet("backup", tmp_path, "--now", "2027-11-24T04:00", site=world.folder)
    done = gazet("backup", tmp_path, "--keep", "1", "--now", "2026-11-24T04:00", "--json", site=world.folder)
    assert Path(done.json["file"]).exists()
    assert [Path(one).name for one in done.json["removed"]] == ["gazet-nieuws.example.org-20271124T030000Z.tar.gz"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere/kept.tar.gz"], "There is no folder"),
        (["var/public/kept.tar.gz"], "would be public"),
        (["feeds"], "in every later backup"),
        (["gazet.toml"], "is there and is no whole backup"),
        (["var/gazet.db"], "is there and is no whole backup"),
        (["var/photos.tar.gz"], "is there and is no whole backup"),
        (["kept.tar.gz", "--keep", "3"], "--keep needs a folder"),
    ],
)
def test_a_place_where_a_backup_does_harm_is_refused(world: World, words: list[str], said: str) -> None:
    assert world.site
    (world.folder / "var/public").mkdir(parents=True, exist_ok=True)
    with tarfile.open(world.folder / "var/photos.tar.gz", "w:gz") as archive:
        archive.add(world.folder / "gazet.toml", "gazet.db")
    world.close()  # which takes SQLite's -shm away
    before = {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
    done = gazet("backup", world.folder / words[0], *words[1:], site=world.folder)
    assert done.code == 2
    assert said in done.err
    left = {
        path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file() and path.suffix not in (".db-shm", ".db-wal")
    }
    assert left == before


def test_secrets_inside_the_folder_are_kept_and_those_outside_are_named_and_never_shown(tmp_path: Path, web: Any) -> None:
    relay = '[[relay]]\nname = "p"\nhost = "127.0.0.1"\nport = 2525\nuser = "u"\npassword_file = "{}"\n'
    outside = tmp_path / "relay-password"
    outside.write_text("hunter2")
    world = World(tmp_path / "site", web, relay=relay.format(outside))
    done = gazet("backup", tmp_path / "a.tar.gz", site=world.folder, env={"GAZET_ALERTS__PING": "https://ping.example.org/s3cret"})
    assert done.code == 0, done.err
    assert f"not in it, keep a copy of it yourself: {outside}" in done.out
    assert "not in it, set in the environment: GAZET_ALERTS__PING" in done.out
    assert b"hunter2" not in b"".join(_members(tmp_path / "a.tar.gz").values())
    assert b"s3cret" not in b"".join(_members(tmp_path / "a.tar.gz").values())
    (world.folder / "var/password").write_text("hunter2")
    text = (world.folder / "gazet.toml").read_text().replace(str(outside), "var/password")
    (world.folder / "gazet.toml").write_text(text)
    done = gazet("backup", tmp_path / "b.tar.gz", site=world.folder)
    assert _members(tmp_path / "b.tar.gz")["site/var/password"] == b"hunter2"
    assert "hunter2" not in done.out + done.err


KILLED = """
import os, signal, sys
from sqlalchemy import event
from pipeline.cli import main
from pipeline.jobs import backup
step, done = int(sys.argv.pop(1)), 0
def count(name):
    real = getattr(backup, name)
    def counted(*words, **options):
        global done
        done += 1
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **options)
    setattr(backup, name, counted)
for name in ("snapshot", "_add", "_info", "_remove_older"):
    count(name)
main()
"""


def test_a_killed_backup_leaves_the_last_one_whole_and_the_next_one_tidies_up(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    assert gazet("backup", folder / "kept.tar.gz", site=world.folder).code == 0
    before = (folder / "kept.tar.gz").read_bytes()
    for step in (1, 2, 3, 5, 7):
        words = (str(step), "backup", folder / "kept.tar.gz", "--site", world.folder)
        assert forked.run(KILLED, *words)[0] == -9
        assert (folder / "kept.tar.gz").read_bytes() == before
    assert len(list(folder.iterdir())) == 2, "what a killed one left is removed by the next"
    done = gazet("backup", folder / "kept.tar.gz", site=world.folder)
    assert done.code == 0, done.err
    assert [path.name for path in folder.iterdir()] == ["kept.tar.gz"]
    read_backup(folder / "kept.tar.gz")


def test_the_folder_of_a_backup_that_is_being_made_is_left_alone(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.jobs import backup

    real = backup.snapshot

    def meanwhile(*words: Any, **options: Any) -> str:
        monkeypatch.setattr(backup, "snapshot", real)
        write_backup(world.site, tmp_path / "other.tar.gz", NOW)
        return real(*words, **options)

    monkeypatch.setattr(backup, "snapshot", meanwhile)
    write_backup(world.site, tmp_path / "kept.tar.gz", NOW)
    made = {read_backup(tmp_path / name).manifest.id for name in ("kept.tar.gz", "other.tar.gz")}
    assert len(made) == 2, "both are whole"


def test_a_full_disk_leaves_the_last_backup_and_says_what_to_do(world: World, tmp_path: Path) -> None:
    write_backup(world.site, tmp_path / "kept.tar.gz", NOW)
    last = (tmp_path / "kept.tar.gz").read_bytes()
    world.close()

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = gazet_process("backup", tmp_path / "kept.tar.gz", "--site", world.folder, before=small)
    assert done.code == 1
    [line] = done.faults
    assert "Free some space" in line
    assert (tmp_path / "kept.tar.gz").read_bytes() == last
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".gazet")]
    assert [mark.what for mark in _marks(world.folder / record.FOLDER)].count(BACKED_UP) == 1


def test_a_backup_is_extracted_only_into_a_new_folder(written: Path) -> None:
    (written.parent / "out").mkdir()
    (written.parent / "out/mine").write_text("x")
    with pytest.raises(BackupError, match="not empty"):
        read_backup(written).extract(written.parent / "out")


def test_a_backup_that_changes_after_it_was_read_is_not_extracted(written: Path) -> None:
    backup = read_backup(written)
    other = Backup(written, backup.manifest.__class__(**{**_fields(backup.manifest), "members": _with_other_sum(backup)}))
    with pytest.raises(BackupError, match="changed while"):
        other.extract(written.parent / "out")


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _with_other_sum(backup: Backup) -> tuple[Member, ...]:
    return tuple(Member(one.name, one.size, "0" * 64) for one in backup.manifest.members)


def _put(name: str, data: bytes = b"x", **changes: Any) -> Change:
    """Add a member, and name it in the manifest."""

    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        for key, value in changes.items():
            setattr(info, key, value)
        manifest = json.loads(members[-1][1])
        manifest["members"].append({"name": name, "size": len(data), "sha256": __import__("hashlib").sha256(data).hexdigest()})
        members[-1:] = [(info, data), (members[-1][0], json.dumps(manifest).encode())]

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_put("../escaped"), "no part of one"),
        (_put("/etc/escaped"), "no part of one"),
        (_put("site/../../escaped"), "no part of one"),
        (_put("site//etc/escaped"), "no part of one"),
        (_put("site/./escaped"), "no part of one"),
        (_put("site/a\nb"), "no part of one"),
        (_put("site/a\\b"), "no part of one"),
        (_put("record/../x"), "no part of one"),
        (_put("record/latest"), "no part of one"),
        (_put("other"), "no part of one"),
        (_put("site/link", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "no ordinary file"),
        (_put("site/link", b"", type=tarfile.LNKTYPE, linkname="gazet.db"), "no ordinary file"),
        (_put("site/pipe", b"", type=tarfile.FIFOTYPE), "no ordinary file"),
        (_put("site/dev", b"", type=tarfile.CHRTYPE), "no ordinary file"),
        (_put("site/folder", b"", type=tarfile.DIRTYPE), "no ordinary file"),
        (_put("site/sparse", b"", type=tarfile.GNUTYPE_SPARSE), "no ordinary file"),
        (_put("gazet.db"), "in it twice"),
        (lambda members: members.append((tarfile.TarInfo("site/late"), b"")), "not its end"),
        (lambda members: members.pop(), "its end is missing"),
        (lambda members: members.pop(0), "not those that its manifest names"),
        (lambda members: members.insert(0, (tarfile.TarInfo("site/more"), b"")), "not those that its manifest names"),
        (lambda members: members.__setitem__(0, (members[0][0], members[0][1][:-1] + b"?")), "not those that its manifest"),
        (lambda members: members.__setitem__(-1, (members[-1][0], b'{"format": 1}')), "manifest cannot be read"),
        (lambda members: members.__setitem__(-1, (members[-1][0], b"[" * 100_000)), "manifest cannot be read"),
    ],
)
def test_a_hostile_or_changed_archive_is_refused_before_anything_is_written(written: Path, change: Change, why: str) -> None:
    changed = _rebuilt(written, change)
    before = sorted(path for path in written.parent.parent.rglob("*"))
    with pytest.raises(BackupError, match=why) as refused:
        read_backup(changed)
    assert str(changed) in str(refused.value)
    assert sorted(path for path in written.parent.parent.rglob("*")) == before


def test_a_backup_of_a_newer_format_says_which_gazet_can_read_it(written: Path) -> None:
    def newer(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[-1] = (members[-1][0], members[-1][1].replace(b'"format": 1', b'"format": 2'))

    with pytest.raises(BackupError, match="in a newer format"):
        read_backup(_rebuilt(written, newer))


@pytest.mark.parametrize(
    "text",
    [b"", b"hello", b"\x1f\x8b", gzip.compress(b""), gzip.compress(b"\0" * 10_240), b"SQLite format 3\0"],
    ids=["empty", "words", "magic", "nothing-packed", "zeros-packed", "database"],
)
def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(text)
    with pytest.raises(BackupError, match="not a whole backup"):
        read_backup(tmp_path / "x.tar.gz")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(BackupError, match="cannot be read"):
            read_backup(path)


def test_a_header_that_unpacks_to_gigabytes_is_not_taken_into_memory(tmp_path: Path) -> None:
    """A pax header of 3 GB of zeros is 3 MB when packed; tarfile would read it as a whole."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 3_000_000_000
    with gzip.open(tmp_path / "x.tar.gz", "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(30):
            file.write(b"\0" * 10_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BackupError):
        read_backup(tmp_path / "x.tar.gz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.fixture(scope="module")
def small_backup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    """The bytes of a backup."""
    from tests.conftest import write_settings

    folder = tmp_path_factory.mktemp("small")
    write_settings(folder)
    site = app.open_site(folder)
    yield write_backup(site, folder / "kept.tar.gz", NOW).file.read_bytes()
    site.store.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_happens_to_the_bytes_a_backup_is_read_as_it_was_or_refused(
    small_backup: bytes, data: st.DataObject, tmp_path: Path
) -> None:
    """Changed below the compression, where gzip's checksum does not help, and above it."""
    packed = data.draw(st.booleans())
    raw = bytearray(small_backup if packed else gzip.decompress(small_backup))
    for _ in range(data.draw(st.integers(1, 4))):
        header = st.integers(0, 600) | st.integers(len(raw) - 5000, len(raw) - 1) | st.integers(0, len(raw) - 1)
        raw[data.draw(header)] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(raw)))
    file = tmp_path / "x.tar.gz"
    file.write_bytes(bytes(raw[:cut]) if packed else gzip.compress(bytes(raw[:cut]), 1))
    try:
        backup = read_backup(file)
    except BackupError:
        return
    (tmp_path / "small.tar.gz").write_bytes(small_backup)
    assert {one.name: one.sha256 for one in backup.manifest.members} == {
        one.name: one.sha256 for one in read_backup(tmp_path / "small.tar.gz").manifest.members
    }


def test_a_backup_works_beside_a_running_gazet_and_from_elsewhere(world: World, tmp_path: Path) -> None:
    """The site lock is held, and the command starts in another folder, as from cron."""
    with app.site_lock(world.site.settings):
        done = gazet_process("backup", tmp_path / "kept.tar.gz", "--site", world.folder, cwd=Path("/"))
    assert done.code == 0, done.err
    assert "wrote" in done.out
    read_backup(tmp_path / "kept.tar.gz")


def test_a_read_only_folder_is_said_in_one_line(world: World, tmp_path: Path) -> None:
    """As root every folder can be written; /proc cannot."""
    done = gazet("backup", "/proc/kept.tar.gz", site=world.folder)
    assert done.code == 1
    [line] = done.faults
    assert "could not be written" in line


def test_a_paused_site_is_backed_up_and_its_pause_with_it(world: World, tmp_path: Path) -> None:
    operate.set_paused(world.site, None, True)
    write_backup(world.site, tmp_path / "kept.tar.gz", NOW)
    read_backup(tmp_path / "kept.tar.gz").extract(tmp_path / "out")
    with sqlite3.connect(tmp_path / "out/gazet.db") as kept:
        assert kept.execute("SELECT paused FROM site").fetchall() == [(1,)]
    kept.close()
