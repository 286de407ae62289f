"""``gazet run`` as a process, and the engine's tick: what hangs or fails never holds up the rest."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.engines import local
from tests.world import World

ROOT = Path(__file__).parents[2]


def start(world: World, *, script: bool) -> subprocess.Popen[str]:
    """``gazet run``, or the same through scheduler.py."""
    how = [str(ROOT / "scheduler.py")] if script else ["-m", "pipeline", "run"]
    command = [sys.executable, *how, "--site", str(world.folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")


@pytest.mark.parametrize("script", [False, True], ids=["gazet run", "scheduler.py"])
def test_run_ticks_at_once_from_any_folder_and_ends_on_sigterm(world: World, script: bool) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    process = start(world, script=script)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if '"event": "published"' in line:
            break
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=15)
    assert process.returncode == 0, "".join(said) + rest
    assert "Traceback" not in "".join(said) + rest
    assert (world.folder / "var/public/feeds/po.rss").exists()


def test_a_source_that_hangs_does_not_hold_up_the_digest_of_another_feed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.web.hang("/hangt")
    world.write_feed("traag", url=world.web.url("/hangt"))
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    monkeypatch.setattr(local, "_WAIT_FOR_COLLECTS", 1.0)
    world.run("2026-11-21T08:00")
    assert world.got("ann@example.org") == [["Eerste"]]
    assert world.web.requested("/hangt")
    world.web.stopped.set()


def test_a_job_that_fails_unexpectedly_is_recorded_and_stops_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(local, "publish_feed", broken)
    engine = world.engine("2026-11-21T08:00")
    engine.once()
    [problem] = engine.fresh_problems()
    assert "publish:po" in problem.what
    assert "a mistake of ours" in problem.what
    assert world.got("ann@example.org") == [["Eerste"]]
    monkeypatch.undo()
    world.run("2026-11-21T09:00")
    assert world.engine("2026-11-21T09:00").fresh_problems() == []
    with world.site.store.read() as tx:
        from pipeline.store import runs

        assert runs.problems(tx) == []


def test_a_stopped_engine_opens_nothing_more(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    stop = threading.Event()
    stop.set()
    report = world.run("2026-11-21T08:00", stop=stop)
    assert report.opened == []
    assert world.mails == []
    world.run("2026-11-21T08:01")
    assert world.got("ann@example.org") == [["Eerste"]]


def test_an_end_that_comes_as_a_delivery_begins_does_not_wait_for_a_thread_without_a_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One SIGTERM in seventy ended a run with 1: "cannot join thread before it is started"."""
    engine = world.engine("2026-11-21T08:00")
    begun: list[bool] = []

    class Thread(threading.Thread):
        def start(self) -> None:
            begun.append(self not in engine._beside.values())
            super().start()

    monkeypatch.setattr(local.threading, "Thread", Thread)
    engine._start("deliver", lambda: None)
    assert begun == [True]
    engine._beside["deliver"].join(10)
