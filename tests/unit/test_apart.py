"""Reading in processes of their own: whatever a document does to them is one ReadError, and the next document is read."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect import apart
from pipeline.collect.apart import InProcess, ReaderProcesses
from pipeline.collect.apart_answers import pack, unpack
from pipeline.config import PageSettings, RelaySettings, SourceSettings
from pipeline.errors import ReadError
from pipeline.models import Attachment, Confidence, Image, ParsedItem, ParsedSource, PollHints, Precision, ReadDate, SourceKind
from tests import stubborn

ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
URL = "https://a.example/nieuws"


@pytest.fixture
def readers():
    with ReaderProcesses(1, seconds=10, megabytes=32) as made:
        yield made


def refused(reading: ReaderProcesses, function: str, *args: object) -> ReadError:
    """The error of a call, after which the same readers still work."""
    with pytest.raises(ReadError) as caught:
        reading.call(f"tests.stubborn:{function}", *args, about=URL)
    reading.seconds = 20
    assert reading.call("tests.stubborn:echo", 1) == (1,)
    return caught.value


# --- what comes back


def test_the_same_comes_back_from_a_process_and_from_this_one(readers):
    date = ReadDate(datetime(2026, 5, 22, 10, 0, 0, 5, tzinfo=UTC), Precision.DAY, "22 mei \ud800\0", "words", Confidence.LIKELY)
    item = ParsedItem("/a", "é", published=date, image=Image("/b"), attachments=(Attachment("/c"),), categories=("x", "y"))
    hints = PollHints(timedelta(hours=1, microseconds=3), frozenset((1, 2)))
    source = ParsedSource(SourceKind.FEED, "a feed", (item,), hints=hints, links=frozenset(("/a",)))
    values = (
        source,
        (item,),
        None,
        True,
        1,
        0.5,
        b"\0\xff",
        "x",
        [1],
        {"a": date},
        frozenset((2,)),
        Confidence.LIKELY,
        timedelta(1),
    )
    assert readers.call(stubborn.echo, *values) == InProcess().call("tests.stubborn:echo", *values) == values


def test_what_cannot_be_handed_back_is_a_fault_that_says_so(readers):
    assert "TypeError" in refused(readers, "not_a_result").reason


def test_a_result_with_a_field_of_another_type_is_no_result(readers):
    assert refused(readers, "lie").reason.endswith("answered something else than a result")


@pytest.mark.parametrize(
    "data",
    [
        b'["Texts"]',
        b'["ParsedItem",["a"]]',
        b'["Image",["a","b","1",0]]',
        b'["datetime","never"]',
        b'["timedelta",[1e99,0,0]]',
        b'["SourceKind","x"]',
        b'["os.system","ls"]',
        b'["__class__",1]',
        b"[]",
        b"[[",
        b"[" * 100_000,
        b"\xff",
        b'["dict",[["list"],1]]',
    ],
)
def test_nothing_but_values_can_be_made_by_a_process_that_was_taken_over(data):
    with pytest.raises(ValueError, match=r"."):
        unpack(data)


@given(st.binary())
def test_any_bytes_unpack_or_are_refused(data):
    with contextlib.suppress(ValueError):
        unpack(data)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(), lambda inner: st.tuples(inner, inner)))
def test_packing_and_unpacking_gives_the_same(value):
    assert unpack(pack(value)) == value


@pytest.mark.parametrize("data", [b"", b"\0\0\0\1Rx", b"\xff\xff\xff\xffR", b"\0\0\0\2E[]", b"\0\0\0\0Q", b"\0\0\0\3F{}}", b"\0\0"])
def test_bytes_instead_of_an_answer_are_an_error_about_the_source(readers, data):
    assert refused(readers, "garbage", data).url == URL


# --- what goes wrong


def test_a_readers_own_refusal_arrives_with_address_reason_and_fix(readers):
    with pytest.raises(ReadError) as caught:
        readers.call(stubborn.refuse, url=URL)
    assert (caught.value.url, caught.value.reason, caught.value.fix) == (URL, "is not a feed", "Give another.")


@pytest.mark.parametrize(("kind", "name"), [("key", "KeyError"), ("panic", "Panic"), ("exit", "SystemExit")])
def test_a_mistake_in_a_reader_is_named_without_a_strangers_words(readers, kind, name):
    error = refused(readers, "mistake", kind)
    assert name in error.reason
    assert "stranger" not in str(error)
    assert "report" in error.fix


def test_a_mistake_in_this_process_reads_the_same():
    with pytest.raises(ReadError, match="KeyError"):
        InProcess().call("tests.stubborn:mistake", "key", about=URL)


def test_a_reader_that_does_not_exist_is_an_error_and_not_a_hang(readers):
    assert "AttributeError" in refused(readers, "nobody").reason


@pytest.mark.parametrize("function", ["stall", "stall_outside_python"])
def test_a_document_that_takes_too_long_is_given_up_and_its_process_is_gone(function):
    with ReaderProcesses(1, seconds=0.2) as readers:
        before = readers.call("tests.stubborn:pid")
        error = refused(readers, function)
        assert error.reason == "took longer than 0.2 s to read"
        assert "read_timeout" in error.fix
        assert not Path(f"/proc/{before}").exists()


@pytest.mark.parametrize("function", ["allocate", "keep"])
def test_a_document_that_needs_too_much_memory_is_given_up(readers, function):
    assert readers.call(f"tests.stubborn:{function}", 8)
    assert refused(readers, function, 300).reason == "needs more memory than 32 MB to be read"


def test_memory_that_a_reader_forgave_is_named_all_the_same(readers):
    assert refused(readers, "forgiven_memory").reason == "needs more memory than 32 MB to be read"


@pytest.mark.parametrize(
    ("function", "args", "says"),
    [
        ("crash", (), "SIGSEGV"),
        ("end_by", (signal.SIGBUS,), "SIGBUS"),
        ("end_by", (signal.SIGABRT,), "SIGABRT"),
        ("end_by", (signal.SIGKILL,), "needs more memory"),
        ("end_by", (signal.SIGALRM,), "took longer than"),
        ("end_with", (3,), "exit code 3"),
        ("end_with", (0,), "exit code 0"),
    ],
)
def test_a_process_that_dies_is_one_error_that_says_how(readers, function, args, says):
    error = refused(readers, function, *args)
    assert says in error.reason
    assert error.fix


# --- what it sees


def test_a_process_sees_no_secret_no_file_and_no_terminal(readers, monkeypatch, tmp_path):
    monkeypatch.setenv("GAZET_RELAY__0__PASSWORD", "geheim")
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        environment, files, _modules, same_session = readers.call("tests.stubborn:surroundings")
    assert "geheim" not in str(environment)
    assert {"PYTHONPATH", "PYTHONUTF8", "MALLOC_ARENA_MAX"} <= environment.keys()
    assert not {name for name in environment if name.startswith("GAZET")}
    assert not [name for name in files if not name.startswith(("pipe:", "/proc/", "/dev/null"))]
    assert not same_session


def test_a_process_writes_no_file(readers, tmp_path):
    assert readers.call("tests.stubborn:write_file", str(tmp_path / "x")) == "OSError"
    assert not (tmp_path / "x").exists() or not (tmp_path / "x").read_bytes()


def test_settings_arrive_as_plain_values_and_secrets_never(readers):
    source = SourceSettings(url=URL, page=PageSettings(item="article"))
    assert readers.call("tests.stubborn:title_of", source) == (URL, "article", False)
    with pytest.raises(TypeError, match="secret"):
        readers.call("tests.stubborn:echo", RelaySettings(name="x", host="h", password="geheim"))


def test_a_library_that_prints_does_not_spoil_the_answer(readers):
    assert readers.call("tests.stubborn:say", "hello") == "hello"


def test_reading_loads_neither_settings_nor_database_nor_the_web(readers):
    with pytest.raises(ReadError):
        readers.call("pipeline.collect.read:read", b"", url=URL, **READ)
    _environment, _files, modules, _session = readers.call("tests.stubborn:surroundings")
    assert not {"pydantic", "sqlalchemy", "requests", "pipeline.config", "typer", "starlette"} & set(modules)


READ = {
    "content_type": "",
    "kind": SourceKind.AUTO,
    "page": PageSettings(),
    "language": "nl",
    "zone": "Europe/Amsterdam",
    "now": datetime(2026, 11, 24, tzinfo=UTC),
    "max_items": 500,
}


def test_calling_for_a_reader_loads_none_of_the_parsers_here():
    code = """if True:
        import sys, datetime
        from pipeline.collect.apart import ReaderProcesses
        from pipeline.config import PageSettings
        from pipeline.models import SourceKind
        body = b"<rss version='2.0'><channel><item><title>x</title></item></channel></rss>"
        named = dict(url="https://a.example/", content_type="", kind=SourceKind.FEED, page=PageSettings(), language="", zone="UTC")
        with ReaderProcesses(1) as readers:
            now = datetime.datetime.now(datetime.UTC)
            parsed = readers.call("pipeline.collect.read:read", body, now=now, max_items=5, **named)
        print(parsed.items[0].title, sorted({"feedparser", "dateparser", "nh3", "babel", "jinja2"} & set(sys.modules)))
    """
    ran = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd="/", env=ENVIRONMENT)
    assert (ran.stdout, ran.stderr) == ("x []\n", "")


# --- many at once, and the end


def test_one_that_is_stuck_holds_up_no_other(tmp_path):
    with ReaderProcesses(2, seconds=30) as readers, ThreadPoolExecutor(8) as threads:
        stuck = threads.submit(readers.call, "tests.stubborn:wait_for", str(tmp_path / "go"))
        others = [threads.submit(readers.call, "tests.stubborn:echo", number) for number in range(20)]
        assert [one.result(30) for one in others] == [(number,) for number in range(20)]
        assert not stuck.done()
        (tmp_path / "go").touch()
        assert stuck.result(30)


def test_there_are_never_more_processes_than_agreed():
    with ReaderProcesses(2) as readers, ThreadPoolExecutor(8) as threads:
        pids = set(threads.map(lambda _: readers.call("tests.stubborn:pid"), range(40)))
        assert len(pids) <= 2
        assert set(readers.processes()) == pids


def test_nobody_waits_for_ever_for_a_process_that_is_free(tmp_path):
    with ReaderProcesses(1, seconds=0.1) as readers, ThreadPoolExecutor(1) as threads:
        readers.seconds = 30
        stuck = threads.submit(readers.call, "tests.stubborn:wait_for", str(tmp_path / "go"))
        while not readers.processes():
            time.sleep(0.01)
        readers.seconds = 0.02
        with pytest.raises(ReadError, match="busy with other sources"):
            readers.call("tests.stubborn:echo", about=URL)
        (tmp_path / "go").touch()
        assert stuck.result(30)


def test_a_process_that_ended_of_idleness_is_replaced_without_a_word(readers):
    first = readers.call("tests.stubborn:pid")
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert readers.call("tests.stubborn:pid") != first


def test_idle_and_used_up_processes_end_by_themselves(monkeypatch):
    code = "from pipeline.collect import apart_child as c; c.IDLE, c.DOCUMENTS = {}; c.main(5)"
    started = subprocess.Popen

    def start(limits):
        def popen(args, **options):
            return started([args[0], "-P", "-c", code.format(limits)], **options)

        monkeypatch.setattr(apart.subprocess, "Popen", popen)

    start("60, 2")
    with ReaderProcesses(1) as readers:
        assert len({readers.call("tests.stubborn:pid") for _ in range(4)}) == 2
    start("0.01, 9")
    with ReaderProcesses(1) as readers:
        first = readers.call("tests.stubborn:pid")
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        monkeypatch.setattr(apart._Child, "lives", lambda _self: True)  # it ended in the very moment in which it is asked
        assert readers.call("tests.stubborn:pid") != first


def test_a_process_that_keeps_memory_is_replaced():
    with ReaderProcesses(1, megabytes=100) as readers:
        readers.call("tests.stubborn:echo")
        first = readers.call("tests.stubborn:keep", 60)
        assert readers.call("tests.stubborn:pid") != first


def test_close_ends_all_and_calls_under_way_fail(tmp_path):
    readers = ReaderProcesses(2, seconds=30)
    readers.call("tests.stubborn:pid")
    with ThreadPoolExecutor(1) as threads:
        stuck = threads.submit(readers.call, "tests.stubborn:wait_for", str(tmp_path / "never"))
        pids = readers.processes()
        readers.close()
        with pytest.raises(ReadError, match="Gazet is ending"):
            stuck.result(30)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    with pytest.raises(ReadError, match="Gazet is ending"):
        readers.call("tests.stubborn:echo")


@pytest.mark.parametrize("busy", [False, True])
def test_they_end_when_the_parent_is_killed(busy, tmp_path):
    """Also in the middle of a document: stdin's end for the idle, an alarm for the busy."""
    os.mkfifo(tmp_path / "stalls")
    code = f"""if True:
        from pipeline.collect.apart import ReaderProcesses
        readers = ReaderProcesses(1, seconds=0.1)
        print(readers.call("tests.stubborn:pid"), flush=True)
        readers.seconds = 60
        readers.call("tests.stubborn:stall", "{tmp_path}/stalls") if {busy} else input()
    """
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code], stdin=PIPE, stdout=PIPE, text=True, env=ENVIRONMENT, cwd="/"
    ) as parent:
        assert parent.stdout is not None
        watch = os.pidfd_open(int(parent.stdout.readline()))
        if busy:
            (tmp_path / "stalls").read_bytes()  # waits until it stalls
        parent.kill()
    assert select.select([watch], [], [], 30)[0]  # readable once it has ended
    os.close(watch)


def test_where_no_process_can_be_started_the_error_says_what_to_look_at(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with ReaderProcesses(1) as readers, pytest.raises(ReadError, match=r"no process could be started.*TasksMax"):
        readers.call("tests.stubborn:echo")
