"""One side of the collecting benchmark in a process of its own: ``python -m bench.collect gazet|reader PORT COUNT FOLDER``.

Prints one line of JSON: seconds of the cold round and of the round of 304s, items stored, the peak memory in MB of the process
with its children, and the CPU seconds of each round, of the process and of its children.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.sources import ITEMS

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def urls(port: int, count: int) -> list[str]:
    """One host for each feed."""
    return [f"http://127.0.{number // 250}.{number % 250 + 1}:{port}/{number}.xml" for number in range(count)]


class Peak:
    """The most memory that this process and its children held at one time (RSS, every 50 ms)."""

    def __init__(self) -> None:
        self.kilobytes = 0
        self._stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.kilobytes = max(self.kilobytes, sum(map(_resident, [os.getpid(), *_children(os.getpid())])))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
    except OSError:
        return 0


def _used(pid: int) -> float:
    """CPU seconds of a process (proc(5): fields 14 and 15 in ticks)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reader_rounds(addresses: list[str], folder: Path) -> tuple[Callable[[], object], Callable[[], int]]:
    """The peer: lemon24's reader on a file of its own."""
    import reader

    peer = reader.make_reader(str(folder / "reader.db"), session_timeout=(30, 30))
    for url in addresses:
        peer.add_feed(url)
    return lambda: peer.update_feeds(scheduled=False), lambda: peer.get_entry_counts().total or 0


def gazet_rounds(addresses: list[str], folder: Path) -> tuple[Callable[[], object], Callable[[], int]]:
    """Gazet's engine: one site, a feed for each source, nobody subscribed, the collects of one tick a round."""
    from sqlalchemy import text

    from pipeline import app, config
    from pipeline.engines import local
    from pipeline.engines.local import LocalEngine, TickReport

    local._WAIT_FOR_COLLECTS = 600.0  # a tick waits a minute at most; a round is all of them

    _write_site(addresses, folder)
    app.secret_of(config.load(folder), make=True)
    # Its tables are made by a process before this one, as at a site that was there yesterday.
    subprocess.run([sys.executable, "-m", "pipeline", "migrate", "--site", str(folder)], check=True, stdout=subprocess.DEVNULL)
    site = app.open_site(folder)
    clock = [NOW]
    engine = LocalEngine(
        site,
        lambda: app.relay_for(site),
        process=app.process_name(),
        is_dead=app.dead_process(site),
        clock=lambda: clock[0],
        stop=threading.Event(),
        say=lambda _: None,
    )

    def collect() -> None:
        report = TickReport()
        engine._collect(report)
        assert len(report.collected) == len(addresses), len(report.collected)
        assert not report.problems, report.problems[:3]
        clock[0] += timedelta(hours=2)

    def stored() -> int:
        with site.store.read() as tx:
            return int(tx.execute(text("SELECT count(*) FROM items")).scalar_one())

    return collect, stored


def _write_site(addresses: list[str], folder: Path) -> None:
    (folder / "feeds").mkdir(parents=True)
    (folder / "gazet.toml").write_text(
        '[site]\ntitle = "Bench"\nurl = "https://nieuws.example.org"\ncontact = "a@example.org"\n'
        '[collect]\nallow = ["127.0.0.0/8"]\nspacing = "1s"\n',
        encoding="utf-8",
    )
    for number, url in enumerate(addresses):
        (folder / "feeds" / f"f{number}.toml").write_text(f'title = "Feed {number}"\n[[source]]\nurl = "{url}"\n', encoding="utf-8")


def main() -> None:
    """Two rounds of one side."""
    side, port, count, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    rounds = {"gazet": gazet_rounds, "reader": reader_rounds}[side]
    collect, stored = rounds(urls(port, count), folder)
    peak = Peak()
    took, cpu, beside = [], [], []
    for _ in range(2):
        begun, used, helped = time.monotonic(), time.process_time(), sum(map(_used, _children(os.getpid())))
        collect()
        took.append(time.monotonic() - begun)
        cpu.append(time.process_time() - used)
        beside.append(sum(map(_used, _children(os.getpid()))) - helped)
    items = stored()
    assert items == count * ITEMS, items
    print(
        json.dumps(
            {"cold": took[0], "same": took[1], "items": items, "megabytes": peak.kilobytes // 1024, "cpu": cpu, "beside": beside}
        )
    )


if __name__ == "__main__":
    main()
