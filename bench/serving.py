"""A feed over HTTP beside nginx's static server: ``measure()`` for ``make bench``; alone: ``python -m bench.serving``.

One worker each on this machine, asked by wrk over kept connections, in turns; of each the best turn counts. The processor
time of a request (proc(5)) stands beside it: other work on the machine changes that the least.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

FEED = "/feeds/po.rss"
FEED_BYTES = 100 * 1024
FILES = 1000
TURNS = 5
SECONDS = 2
NEEDED = {"wrk": "wrk", "nginx": "nginx-light"}
NGINX = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
    types {{ application/rss+xml rss; }}
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {folder}/site/var/public; }}
}}
"""
Row = tuple[str, str, str, str]


@dataclass
class Side:
    """One server: where it is, and of each kind of request its best rate and the processor time of one in microseconds."""

    pid: int
    port: int
    rate: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)


def measure() -> tuple[list[Row], str]:
    """Rows for the table, and a sentence on memory; only a sentence where something is missing that Debian has."""
    missing = [package for program, package in NEEDED.items() if not shutil.which(program)]
    if missing:
        return [], f"Serving was not measured: apt-get install {' '.join(missing)}\n"
    folder = Path(tempfile.mkdtemp(prefix="gazet-bench-"))
    folder.chmod(0o755)
    try:
        _write_site(folder / "site")
        with _gazet(folder) as ours, _nginx(folder) as theirs:
            _compare(ours, theirs)
            memory = _memory(ours)
        rows = [_row(kind, ours, theirs) for kind in ("200", "304")]
    finally:
        shutil.rmtree(folder)
    return rows, f"{memory} {_costs(ours, theirs)}\n"


def _write_site(folder: Path) -> None:
    feeds = folder / "var/public/feeds"
    feeds.mkdir(parents=True)
    (folder / "feeds").mkdir()
    (folder / "gazet.toml").write_text(
        '[site]\ntitle = "Bench"\nurl = "https://nieuws.example.org"\ncontact = "a@example.org"\n', encoding="utf-8"
    )
    (folder / "feeds/po.toml").write_text('title = "Po"\n[[source]]\nurl = "https://www.example.org/"\n', encoding="utf-8")
    words = " ".join(f"woord{number % 977}" for number in range(FEED_BYTES))
    for number in range(FILES):
        name = "po.rss" if number == 0 else f"f{number}.rss"
        (feeds / name).write_text(f"{number} {words}"[:FEED_BYTES], encoding="utf-8")


@contextmanager
def _gazet(folder: Path) -> Iterator[Side]:
    command = [sys.executable, "-m", "bench.serving", str(folder / "site")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Side(process.pid, int(process.stdout.readline()))
        finally:
            process.terminate()


@contextmanager
def _nginx(folder: Path) -> Iterator[Side]:
    port = _free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port), encoding="utf-8")
    with subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield Side(process.pid, port)
        finally:
            process.terminate()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            return _ask(port, FEED)
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("nginx did not start")


def _ask(port: int, path: str, tag: str = "") -> tuple[int, str, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    line.request("GET", path, headers={"If-None-Match": tag} if tag else {})
    answer = line.getresponse()
    found = answer.status, answer.headers["etag"], answer.read()
    line.close()
    return found


def _compare(ours: Side, theirs: Side) -> None:
    tags = {}
    for side in (ours, theirs):
        status, tags[side.port], body = _ask(side.port, FEED)
        assert (status, len(body)) == (200, FEED_BYTES)
        assert _ask(side.port, FEED, tags[side.port])[::2] == (304, b"")
    for _ in range(TURNS):
        for kind in ("200", "304"):
            for side in (theirs, ours):
                _turn(side, kind, tags[side.port] if kind == "304" else "")


def _turn(side: Side, kind: str, tag: str) -> None:
    condition = ["-H", f"If-None-Match: {tag}"] if tag else []
    before = _used(side.pid)
    command = ["wrk", "-t1", "-c32", f"-d{SECONDS}s", *condition, f"http://127.0.0.1:{side.port}{FEED}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said
    rate, asked = re.search(r"Requests/sec:\s*([\d.]+)", said), re.search(r"(\d+) requests in", said)
    assert rate, said
    assert asked, said
    side.rate[kind] = max(side.rate.get(kind, 0), float(rate[1]))
    side.cost[kind] = min(side.cost.get(kind, 1e9), 1e6 * (_used(side.pid) - before) / int(asked[1]))


def _used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(side: Side) -> str:
    before = _resident(side.pid)
    for number in range(1, FILES):
        status, _, body = _ask(side.port, f"/feeds/f{number}.rss")
        assert (status, len(body)) == (200, FEED_BYTES)
    grown, all_of_it = (_resident(side.pid) - before) // 1024, FILES * FEED_BYTES // 1_000_000
    return f"Serving: after {FILES} different files ({all_of_it} MB) the server holds {grown} MB more than before."


def _resident(pid: int) -> int:
    """Kilobytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def _row(kind: str, ours: Side, theirs: Side) -> Row:
    what = {"200": f"a feed of {FEED_BYTES // 1024} KB served, 200", "304": "the same, 304"}[kind]
    mine, peers = ours.rate[kind], theirs.rate[kind]
    return what, f"{mine:,.0f}/s", f"nginx, static, 1 worker: {peers:,.0f}/s", f"{mine / peers:.2f}"


def _costs(ours: Side, theirs: Side) -> str:
    kinds = [f"{ours.cost[kind]:.0f} µs for a {kind}, nginx {theirs.cost[kind]:.0f} µs" for kind in ("200", "304")]
    return f"CPU: {'; '.join(kinds)}."


def serve(folder: Path) -> None:
    """The web server of a site in this process, until SIGTERM."""
    from pipeline import app, config
    from pipeline.web.application import application
    from pipeline.web.server import WebServer

    app.secret_of(config.load(folder), make=True)
    (folder / "var/public").rename(folder / "var/later")  # a store is not made beside published files
    site = app.open_site(folder)
    (folder / "var/later").rename(folder / "var/public")
    server = WebServer(application(lambda: site, lambda: datetime.now(UTC), lambda _: None), "127.0.0.1:0")
    server.start()
    print(server.url.rpartition(":")[2], flush=True)
    signal.sigwait([signal.SIGTERM])
    server.stop()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        serve(Path(sys.argv[1]))
    else:
        for line in (found := measure())[0]:
            print(" | ".join(line))
        print(found[1])
