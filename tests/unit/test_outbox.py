"""The outbox keeps what a relay would get, and nothing twice."""

from __future__ import annotations

import errno
import mailbox
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deliver.outbox import Outbox, OutboxSession, file_name
from pipeline.deliver.relay import Relay, Session
from pipeline.models import OutgoingMessage, RelayAnswer, Stage

DATA = b"Subject: News\r\n\r\n.dot\r\nFrom the start\r\n"


def message(key: str = "k1", data: bytes = DATA) -> OutgoingMessage:
    return OutgoingMessage(key=key, envelope_from="news@example.org", recipient="ann@example.org", data=data)


def opened(folder: Path) -> Session:
    relay: Relay = Outbox(folder)
    session = relay.connect()
    assert not isinstance(session, RelayAnswer)
    return session


def stored(folder: Path) -> list[bytes]:
    assert list((folder / "tmp").iterdir()) == []
    return sorted(path.read_bytes() for path in (folder / "new").iterdir())


def test_a_stored_message_is_accepted_byte_for_byte(tmp_path: Path) -> None:
    session = opened(tmp_path / "var" / "outbox")
    answer = session.send(message())
    assert answer.accepted
    assert answer.text == f"stored as {file_name('k1')}"
    assert stored(tmp_path / "var" / "outbox") == [DATA]
    assert session.usable
    session.close()
    assert not session.usable


def test_the_same_mail_sent_again_is_not_a_second_one(tmp_path: Path) -> None:
    for _ in range(3):
        assert opened(tmp_path).send(message()).accepted
    assert opened(tmp_path).send(message("k2", b"other")).accepted
    assert stored(tmp_path) == sorted([DATA, b"other"])


def test_a_mail_program_can_read_it(tmp_path: Path) -> None:
    opened(tmp_path).send(message())
    [mail] = mailbox.Maildir(tmp_path, create=False)
    assert mail["Subject"] == "News"


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    opened(tmp_path / "outbox").send(message())
    assert (tmp_path / "outbox" / "new").stat().st_mode & 0o077 == 0
    assert (tmp_path / "outbox" / "new" / file_name("k1")).stat().st_mode & 0o077 == 0


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_key_has_a_file_name_of_its_own(one: str, other: str) -> None:
    assert file_name(one).removesuffix(".eml").isalnum()
    assert (file_name(one) == file_name(other)) == (one == other)


@pytest.mark.parametrize("fails", ["write", "rename"])
def test_a_full_disk_is_an_answer_and_not_an_acceptance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    session = opened(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync", full) if fails == "write" else (Path, "replace", full)))
        answer = session.send(message())
    assert (answer.stage, answer.code, answer.handed_over) == (Stage.DOT, None, False)
    assert "No space left" in answer.text
    assert list((tmp_path / "new").iterdir()) == []
    assert session.usable
    assert session.send(message()).accepted
    assert stored(tmp_path) == [DATA]


def test_a_folder_that_cannot_be_synced_may_have_kept_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(tmp_path)

    def broken(_folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("pipeline.deliver.outbox._sync_folder", broken)
    answer = session.send(message())
    assert (answer.code, answer.handed_over) == (None, True)


def test_bytes_and_folder_are_synced_before_the_message_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(tmp_path)
    synced: list[str] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().parent.name)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    assert session.send(message()).accepted
    assert synced == ["tmp", tmp_path.name]


def test_a_folder_that_cannot_be_made_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file is in the way", encoding="utf-8")
    answer = Outbox(tmp_path / "outbox").connect()
    assert isinstance(answer, RelayAnswer)
    assert (answer.stage, answer.code) == (Stage.CONNECT, None)


def test_a_session_after_the_folder_is_gone_answers_too(tmp_path: Path) -> None:
    answer = OutboxSession(tmp_path / "nowhere").send(message())
    assert (answer.code, answer.handed_over) == (None, False)
