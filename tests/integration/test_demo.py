"""What a new user meets first: the demo, from the checkout and from a wheel, and a site of their own."""

import email
import email.policy
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import feedparser
import pytest

from pipeline.demo import run
from tests.servers.smtp import SmtpServer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def played(tmp_path: Path) -> tuple[Path, str]:
    """A demo that was played, and everything it said."""
    said: list[str] = []
    run(tmp_path / "demo", said.append)
    return tmp_path / "demo", "\n".join(said)


def test_the_demo_sends_each_person_each_item_once_at_their_hour(played: tuple[Path, str]) -> None:
    folder, _ = played
    got: dict[str, list[tuple[str, int]]] = {}
    for path in (folder / "var/outbox/new").iterdir():
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        body = mail.get_body(("plain",))
        assert body is not None
        links = len(set(re.findall(r"http://127\.0\.0\.1:\d+/nieuws/\S+", body.get_content())))
        got.setdefault(str(mail["To"]), []).append((f"{mail['Date'].datetime:%Y-%m-%dT%H:%M}", links))
    assert {who: sorted(mails) for who, mails in got.items()} == {
        "Grace Hopper <grace@example.org>": [("2019-05-22T12:00", 2), ("2019-05-28T12:00", 1)],
        "Jan de Vries <jan@example.org>": [("2019-05-28T06:00", 2), ("2019-06-04T06:00", 1)],
        "Noor Yılmaz <noor@example.org>": [("2019-05-28T06:00", 2), ("2019-06-04T06:00", 1)],
    }


def test_the_demo_leaves_all_four_formats_and_says_where(played: tuple[Path, str]) -> None:
    folder, said = played
    for extension in ("rss", "atom", "json", "html"):
        path = folder / f"var/public/feeds/samen-opleiden.{extension}"
        assert path.stat().st_size > 500
        assert str(path) in said
    parsed = feedparser.parse((folder / "var/public/feeds/samen-opleiden.atom").read_bytes())
    assert not parsed.bozo
    assert [entry.title for entry in parsed.entries][1:] == [
        "Interview | Doorlopend leren en de bestuurder",
        "21 juni | Themabijeenkomst ‘Flexibel opleiden voor flexibel onderwijs’",
    ]
    [picture] = re.findall(r'<img src="\.\./(media/[^"]*)"', (folder / "var/public/feeds/samen-opleiden.html").read_text())
    assert (folder / "var/public" / picture).is_file()
    assert [entry.published[:10] for entry in parsed.entries] == ["2019-05-28", "2019-05-22", "2019-05-14"]


def test_the_demo_uses_no_relay_store_or_site_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        relay = [{"name": "p", "host": "127.0.0.1", "port": server.port, "tls": "none"}]
        given = {
            "GAZET_RELAY": json.dumps(relay),
            "GAZET_RELAY__P__PASSWORD": "x",
            "gazet_site__url": "https://nieuws.school.nl",
            "GAZET_STORE__URL": f"sqlite:///{tmp_path}/mine.db",
            "GAZET_SITE": str(tmp_path / "mine"),
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        run(tmp_path / "demo", lambda _: None)
        assert server.connections == 0
    assert len(list((tmp_path / "demo/var/outbox/new").iterdir())) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert {name: os.environ[name] for name in given} == given, "they are the caller's own"


def test_the_demo_can_be_played_again_but_never_over_somebody_elses_folder(tmp_path: Path) -> None:
    run(tmp_path / "demo", lambda _: None)
    run(tmp_path / "demo", lambda _: None)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    done = _gazet(["demo", str(tmp_path / "mine")])
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert (tmp_path / "mine/thesis.txt").read_text() == "precious"


def test_a_wheel_holds_templates_demo_and_feeds_and_works_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    where = _run([sys.executable, "-c", "import pipeline; print(pipeline.__file__)"], env, tmp_path)
    assert where.stdout.strip().startswith(str(tmp_path / "installed"))
    played = _run([sys.executable, "-m", "pipeline", "demo", "site"], env, tmp_path)
    assert played.returncode == 0, played.stderr
    assert len(list((tmp_path / "site/var/outbox/new").iterdir())) == 6
    made = _run([sys.executable, "-m", "pipeline", "init", "own"], env, tmp_path)
    assert made.returncode == 0, made.stderr
    status = _run([sys.executable, "-m", "pipeline", "status", "--site", "own", "--json"], env, tmp_path)
    assert json.loads(status.stdout)["feeds"] == []


def _gazet(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return _run([sys.executable, "-m", "pipeline", *arguments], dict(os.environ), ROOT)


def _run(command: list[str], env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
