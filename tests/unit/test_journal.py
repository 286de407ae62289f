"""The journal says what was about to be sent and what was answered, whatever its process died of."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver import journal
from pipeline.deliver.journal import Account, Journal
from pipeline.errors import JournalError
from pipeline.models import RelayAnswer, Stage

LEASE = "host/boot/12/34#0"
TAKEN = RelayAnswer(Stage.DOT, 250, "2.0.0", "queued as 4F1", handed_over=True)
BUSY = RelayAnswer(Stage.RCPT, 451, "4.7.1", "later, “please”")


def _account(folder: Path) -> Account:
    [path] = journal.journals(folder)
    found = journal.read(path)
    assert found is not None
    return found


def test_what_was_intended_and_answered_is_on_file_before_anything_else_happens(tmp_path: Path) -> None:
    book = Journal(tmp_path, LEASE)
    book.claim([(1, 9, 101), (2, 9, 102), (3, 9, 103)])
    book.intend(1)
    book.outcome(1, TAKEN)
    assert _account(tmp_path).outcomes == {1: TAKEN}
    book.intend(2)
    book.outcome(2, BUSY)
    found = _account(tmp_path)
    assert (found.lease, found.boot, found.whole) == (LEASE, journal.boot_id(), True)
    assert found.claimed == {1: (9, 101), 2: (9, 102), 3: (9, 103)}
    assert found.intended == {1, 2}
    assert found.outcomes == {1: TAKEN, 2: BUSY}


def test_the_claim_before_is_known_until_another_one_and_one_before_that_is_not(tmp_path: Path) -> None:
    """A process may die before or behind the COMMIT of an outcome with the next claim."""
    book = Journal(tmp_path, LEASE)
    book.claim([(1, 9, 101), (2, 9, 102)])
    book.intend(1)
    book.outcome(1, TAKEN)
    book.claim([(2, 9, 102), (3, 9, 103)])
    assert _account(tmp_path).outcomes == {1: TAKEN}
    assert _account(tmp_path).claimed == {1: (9, 101), 2: (9, 102), 3: (9, 103)}
    book.claim([(4, 9, 104)])
    found = _account(tmp_path)
    assert (found.claimed, found.outcomes, found.intended) == ({2: (9, 102), 3: (9, 103), 4: (9, 104)}, {}, set())
    book.close(remove=True)
    assert journal.journals(tmp_path) == []


def test_a_delivery_that_is_claimed_again_was_not_begun(tmp_path: Path) -> None:
    book = Journal(tmp_path, LEASE)
    book.claim([(1, 9, 101)])
    book.intend(1)
    book.claim([(1, 9, 101)])
    assert _account(tmp_path).intended == set()


def test_a_file_that_is_half_full_begins_anew_with_the_claim_in_force(tmp_path: Path) -> None:
    book = Journal(tmp_path, LEASE)
    for number in range(1, 400):
        book.claim([(number, 9, 100 + number)])
        book.intend(number)
        book.outcome(number, RelayAnswer(Stage.DOT, 250, "2.0.0", "x" * 300, handed_over=True))
        book.forget()
    [path] = journal.journals(tmp_path)
    assert path.stat().st_size == journal._ROOM, "it never grew"
    assert 399 in _account(tmp_path).claimed


def test_a_journal_grows_with_what_relays_say(tmp_path: Path) -> None:
    book = Journal(tmp_path, LEASE)
    wordy = RelayAnswer(Stage.DOT, 250, "2.0.0", "x" * 300, handed_over=True)
    for number in range(1, 1001):
        book.outcome(number, wordy)
        book.intend(number + 1)
    assert len(_account(tmp_path).outcomes) == 1000


def test_a_process_that_is_killed_leaves_all_that_it_noted(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        book = Journal(tmp_path, LEASE)
        book.claim([(1, 9, 101)])
        book.intend(1)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert _account(tmp_path).intended == {1}


def test_a_disk_without_room_is_an_error_before_anything_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    book = Journal(tmp_path / "there", LEASE)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(JournalError, match="No space left"):
        Journal(tmp_path / "new", LEASE)
    with pytest.raises(JournalError, match="No space left"):
        book.claim([(number, 1, number) for number in range(20_000)])


@given(cut=st.integers(0, 400), junk=st.binary(max_size=20))
def test_a_file_that_ends_anywhere_tells_nothing_that_was_not_so(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    book = Journal(folder, LEASE)
    book.claim([(1, 9, 101), (2, 9, 102)])
    book.intend(1)
    book.outcome(1, TAKEN)
    book.intend(2)
    book.close(remove=False)
    [path] = journal.journals(folder)
    whole = path.read_bytes().partition(b"\0")[0]
    path.write_bytes(whole[:cut] + junk)
    found = journal.read(path)
    if found is not None:
        assert found.lease == LEASE
        assert found.intended <= {1, 2}
        assert found.outcomes.items() <= {1: TAKEN}.items()
    path.write_bytes(whole[:cut] + bytes(one ^ 1 for one in whole[cut : cut + 1]) + whole[cut + 1 :])
    hurt = journal.read(path)
    lines = whole[:cut].count(b"\n")
    if hurt is not None and cut < len(whole) and lines < whole.count(b"\n") - 1:
        assert not hurt.whole, "a damaged line before the last one: a missing intent proves nothing"


@given(st.binary(max_size=300))
def test_reading_is_total(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("journal") / "x.journal"
    path.write_bytes(data)
    journal.read(path)


def test_a_sealed_journal_lets_nothing_more_begin_and_whoever_reads_it_then_sees_each_intent(tmp_path: Path) -> None:
    book = Journal(tmp_path, LEASE)
    book.claim([(1, 9, 101), (2, 9, 102)])
    book.intend(1)
    book.seal()
    book.outcome(1, TAKEN)
    with pytest.raises(JournalError, match="taken away"):
        book.intend(2)
    assert _account(tmp_path).outcomes == {1: TAKEN}
    assert _account(tmp_path).intended == {1, 2}


def test_a_line_of_an_earlier_claim_is_none_of_a_later_one(tmp_path: Path) -> None:
    """After a power cut a page of the file may be an older one."""
    book = Journal(tmp_path, LEASE)
    [path] = journal.journals(tmp_path)
    book.claim([(1, 9, 101)])
    book.intend(1)
    book.outcome(1, BUSY)
    old = path.read_bytes().partition(b"\0")[0].split(b"\n")[3]
    book.claim([(1, 9, 101)])
    book.intend(1)
    path.write_bytes(path.read_bytes().partition(b"\0")[0] + old + b"\n")
    assert _account(tmp_path).outcomes == {}


def test_whether_its_process_lives_can_be_told_without_its_name(tmp_path: Path) -> None:
    book = Journal(tmp_path, LEASE)
    [path] = journal.journals(tmp_path)
    assert journal.is_held(path)
    book.close(remove=False)
    assert not journal.is_held(path)


def test_a_line_of_another_version_makes_a_journal_prove_less_and_stops_nobody(tmp_path: Path) -> None:
    book = Journal(tmp_path, LEASE)
    book.claim([(1, 9, 101), (2, 9, 102)])
    book.intend(1)
    book._write(journal._line('O 1 ["unheard-of", 250]', 1))
    book._write(journal._line("X 7", 1))
    book.outcome(2, TAKEN)
    found = _account(tmp_path)
    assert (found.whole, found.intended, found.outcomes) == (False, {1}, {2: TAKEN})
