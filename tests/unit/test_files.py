import contextlib
import errno
import gzip
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import brotli
import pytest

from pipeline.errors import PublishError
from pipeline.publish.compressed import with_siblings
from pipeline.publish.files import file_hash, publish_files, remove_files

AT = datetime(2019, 5, 28, 6, 0, tzinfo=UTC)
LATER = AT + timedelta(days=1)


def modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_the_time_of_its_content_and_for_all_to_read(tmp_path):
    path = tmp_path / "a" / "b.rss"
    publish_files(path.parent, "b", {"rss": b"news"}, AT)
    assert (path.read_bytes(), modified(path), path.stat().st_mode & 0o777) == (b"news", AT, 0o644)


def test_an_unchanged_file_is_not_touched(tmp_path):
    publish_files(tmp_path, "po", {"rss": b"news", "json": b"{}"}, AT)
    before = {name: (tmp_path / name).stat().st_ino for name in names(tmp_path)}
    publish_files(tmp_path, "po", {"rss": b"news", "json": b"{}"}, AT)
    assert {name: (tmp_path / name).stat().st_ino for name in names(tmp_path)} == before
    assert set(before) == {"po.rss", "po.json"}


@pytest.mark.parametrize("harm", ["missing", "other bytes", "other time"])
def test_a_file_that_is_missing_or_differs_is_written_again_with_the_stored_time(tmp_path, harm):
    publish_files(tmp_path, "po", {"rss": b"news"}, AT)
    path = tmp_path / "po.rss"
    if harm == "missing":
        path.unlink()
    elif harm == "other bytes":
        path.write_bytes(b"junk")
        os.utime(path, (AT.timestamp(), AT.timestamp()))
    else:
        os.utime(path, (1, 1))
    publish_files(tmp_path, "po", {"rss": b"news"}, AT)
    assert (path.read_bytes(), modified(path)) == (b"news", AT)


def test_fractions_of_a_second_do_not_make_a_file_look_changed(tmp_path):
    at = AT + timedelta(microseconds=654_321)
    publish_files(tmp_path, "po", {"rss": b"news"}, at)
    inode = (tmp_path / "po.rss").stat().st_ino
    publish_files(tmp_path, "po", {"rss": b"news"}, at)
    assert (tmp_path / "po.rss").stat().st_ino == inode


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_full_or_broken_disk_leaves_every_old_file_and_nothing_else(tmp_path, monkeypatch, code, failing):
    publish_files(tmp_path, "po", {"rss": b"old", "atom": b"old", "json": b"old"}, AT)
    calls = []
    real = os.fsync

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(PublishError) as caught:
        publish_files(tmp_path, "po", {"rss": b"new", "atom": b"new", "json": b"new"}, LATER)
    assert os.strerror(code) in str(caught.value)
    assert caught.value.retryable
    assert names(tmp_path) == ["po.atom", "po.json", "po.rss"]
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"old"}
    assert {modified(path) for path in tmp_path.iterdir()} == {AT}


def test_a_folder_that_cannot_be_made_is_a_publish_error_that_names_the_file(tmp_path):
    (tmp_path / "public").write_text("a file where the folder should be")
    with pytest.raises(PublishError, match=r"po\.rss"):
        publish_files(tmp_path / "public", "po", {"rss": b"news"}, AT)


def test_a_new_folder_can_be_read_by_web_servers_and_written_by_the_sites_owner(tmp_path):
    """Whatever the umask says; and where root published, so that the service can go on."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 4711, 4711)
    before = os.umask(0o077)
    try:
        publish_files(tmp_path / "feeds/po/topic", "a", {"rss": b"news"}, AT)
    finally:
        os.umask(before)
    for folder in (tmp_path / "feeds", tmp_path / "feeds/po", tmp_path / "feeds/po/topic"):
        assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o755, tmp_path.stat().st_uid)


def test_the_new_files_are_on_the_disk_before_the_first_old_one_is_replaced(tmp_path, monkeypatch):
    steps = []
    real_fsync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("sync"), real_fsync(descriptor))[1])
    monkeypatch.setattr(Path, "replace", lambda self, target: (steps.append("replace"), real_replace(self, target))[1])
    publish_files(tmp_path, "po", {"rss": b"a", "atom": b"b"}, AT)
    assert steps == ["sync", "sync", "replace", "replace", "sync"]


def test_the_hash_of_a_file_tells_its_bytes_and_none_that_it_is_missing(tmp_path):
    path = tmp_path / "po.rss"
    assert file_hash(path) is None
    path.write_bytes(b"abc")
    assert file_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(PublishError):
        file_hash(tmp_path)


def test_what_a_killed_publisher_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".po.rss.{dead.pid}-1.tmp"
    namesake = tmp_path / f".po.rss.{os.getpid()}-1.tmp"  # in a container every Gazet has the same number
    living = tmp_path / f".po.atom.{os.getppid()}-1.tmp"
    others = tmp_path / f".ander.rss.{dead.pid}-1.tmp"
    for path in (left, namesake, living, others):
        path.write_bytes(b"half")
    publish_files(tmp_path, "po", {"rss": b"news"}, AT)
    assert names(tmp_path) == sorted(["po.rss", living.name, others.name])


def test_what_another_thread_of_this_process_writes_is_left_alone(tmp_path):
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    writing = tmp_path / f".po.atom.{os.getpid()}-{thread.ident}.tmp"
    writing.write_bytes(b"half")
    publish_files(tmp_path, "po", {"rss": b"news"}, AT)
    assert writing.exists()
    go_on.set()
    thread.join()
    publish_files(tmp_path, "po", {"rss": b"more"}, LATER)
    assert names(tmp_path) == ["po.rss"]


def test_a_failure_between_two_files_says_that_some_are_new(tmp_path, monkeypatch):
    publish_files(tmp_path, "po", {"rss": b"old", "atom": b"old"}, AT)
    real, calls = Path.replace, []

    def second_fails(self, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", second_fails)
    with pytest.raises(PublishError, match="some are new already") as caught:
        publish_files(tmp_path, "po", {"rss": b"new", "atom": b"new"}, LATER)
    assert caught.value.replaced
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == [b"new", b"old"]


def test_a_failure_before_the_first_file_says_that_all_are_old(tmp_path, monkeypatch):
    publish_files(tmp_path, "po", {"rss": b"old", "atom": b"old"}, AT)

    def fails(_self, _target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(PublishError, match="the files published before are unchanged") as caught:
        publish_files(tmp_path, "po", {"rss": b"new", "atom": b"new"}, LATER)
    assert not caught.value.replaced
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"old"}


LONG = b"<item>the same words again</item>\n" * 200
PO = ["po.rss", "po.rss.br", "po.rss.gz"]


def unpacked(folder: Path) -> set[bytes]:
    """What a reader gets of the feed, in every coding there is."""
    codings = {"": bytes, ".gz": gzip.decompress, ".br": brotli.decompress}
    paths = {suffix: folder / f"po.rss{suffix}" for suffix in codings}
    return {codings[suffix](path.read_bytes()) for suffix, path in paths.items() if path.exists()}


def test_siblings_say_the_same_in_fewer_bytes_and_are_the_same_every_time(tmp_path):
    made = with_siblings({"rss": LONG, "json": b"{}"})
    assert made == with_siblings({"rss": LONG, "json": b"{}"})
    assert sorted(made) == ["json", "rss", "rss.br", "rss.gz"], "a small file gains nothing"
    assert made["rss.gz"][:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "neither a name nor a time"
    assert all(len(made[name]) < len(LONG) for name in ("rss.br", "rss.gz"))
    publish_files(tmp_path, "po", made, AT)
    assert unpacked(tmp_path) == {LONG}
    assert {modified(path) for path in tmp_path.iterdir()} == {AT}


def test_bytes_that_do_not_shrink_have_no_siblings():
    assert list(with_siblings({"rss": os.urandom(5000)})) == ["rss"]


def test_no_sibling_ever_lies_beside_a_file_that_it_is_no_copy_of(tmp_path, monkeypatch):
    publish_files(tmp_path, "po", with_siblings({"rss": LONG, "atom": LONG}), AT)
    seen = []

    def watched(real):
        def step(self, *args, **kwargs):
            done = real(self, *args, **kwargs)
            seen.append(unpacked(tmp_path))
            return done

        return step

    monkeypatch.setattr(Path, "replace", watched(Path.replace))
    monkeypatch.setattr(Path, "unlink", watched(Path.unlink))
    publish_files(tmp_path, "po", with_siblings({"rss": LONG * 2, "atom": LONG * 2}), LATER)
    assert [LONG] in map(list, seen)
    assert [LONG * 2] in map(list, seen)
    assert all(len(one) == 1 for one in seen)


def test_a_failure_at_any_step_leaves_no_sibling_of_other_bytes(tmp_path, monkeypatch):
    for failing in range(1, 8):
        publish_files(tmp_path, "po", with_siblings({"rss": LONG}), AT)
        steps = iter(range(1, 100))

        def step(real, steps=steps, failing=failing):
            def limited(self, *args, **kwargs):
                if (not self.name.endswith(".tmp") or args) and next(steps) == failing:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                return real(self, *args, **kwargs)

            return limited

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", step(Path.replace))
            patch.setattr(Path, "unlink", step(Path.unlink))
            with contextlib.suppress(PublishError):
                publish_files(tmp_path, "po", with_siblings({"rss": LONG * 2}), LATER)
        assert unpacked(tmp_path) in ({LONG}, {LONG * 2}), failing
        publish_files(tmp_path, "po", with_siblings({"rss": LONG * 2}), LATER)
        assert names(tmp_path) == PO


def test_siblings_of_a_file_that_shrank_or_was_renamed_go(tmp_path):
    publish_files(tmp_path, "po", with_siblings({"rss": LONG}), AT)
    publish_files(tmp_path, "po", with_siblings({"rss": b"short"}), LATER)
    assert names(tmp_path) == ["po.rss"]
    publish_files(tmp_path, "po", with_siblings({"rss": LONG}), AT)
    remove_files(tmp_path, "po", ["rss"])
    assert names(tmp_path) == []
