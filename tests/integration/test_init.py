"""``gazet init``: a site that works, written once, with what systemd and a container need."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import app, config
from pipeline.cli import new_site
from tests.integration.command import gazet, gazet_process
from tests.integration.terminal import on_terminal
from tests.needs import missing

MADE = [".dockerignore", ".gitignore", "Containerfile", "feeds", "gazet.service", "gazet.toml", "var"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_without_a_terminal_it_takes_the_options_and_says_what_is_next(tmp_path: Path) -> None:
    folder = tmp_path / "het nieuws"
    done = gazet("init", folder, "--title", 'De "krant" \\ 📰', "--url", "https://krant.example.org/", "--language", "nl")
    assert (done.code, done.err) == (0, "")
    assert names(folder) == MADE
    assert names(folder / "feeds") == ["README.md"]
    loaded = config.load(folder)
    assert (loaded.site.title, loaded.site.url, loaded.site.language) == ('De "krant" \\ 📰', "https://krant.example.org", "nl")
    assert stat.S_IMODE((folder / "var/secret").stat().st_mode) == 0o600
    assert "gazet add https://www.example.org/news/ --site" in done.out
    assert "still the example" in done.out, "krant.example.org is one, too"
    assert gazet("status", site=folder).code == 0


def test_an_example_address_is_told_from_ones_own(tmp_path: Path) -> None:
    assert "still the example https://news.example.org" in gazet("init", tmp_path / "a").out
    assert "put yours here" in (tmp_path / "a/gazet.toml").read_text(encoding="utf-8")
    assert "example https" not in gazet("init", tmp_path / "b", "--url", "https://nieuws.school.nl").out
    assert "put yours here" not in (tmp_path / "b/gazet.toml").read_text(encoding="utf-8")


def test_every_key_it_comments_out_is_one_that_exists(tmp_path: Path) -> None:
    gazet("init", tmp_path, "--yes")
    text = (tmp_path / "gazet.toml").read_text(encoding="utf-8")
    (tmp_path / "var/relay-password").write_text("x", encoding="utf-8")
    (tmp_path / "store-url").write_text("sqlite:///var/gazet.db", encoding="utf-8")
    text = re.sub(r"(?m)^# (\[\[relay|name|host|port|user|password_file|tls|connections|rate|url_file)", r"\1", text)
    text = text.replace("/run/secrets/store-url", "store-url").replace('url = "sqlite:///var/gazet.db"', "#")
    (tmp_path / "gazet.toml").write_text(text, encoding="utf-8")
    loaded = config.load(tmp_path)
    assert (loaded.relay[0].name, loaded.relay[0].effective_port, loaded.store.url_file) == ("provider", 587, "store-url")


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "feeds").mkdir()
    for name in ("Containerfile", "feeds/README.md"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
    done = gazet("init", tmp_path, "--yes")
    assert "Containerfile" not in done.out
    assert (tmp_path / "Containerfile").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "feeds/README.md").read_text(encoding="utf-8") == "mine"
    secret = (tmp_path / "var/secret").read_bytes()
    again = gazet("init", tmp_path, "--yes")
    assert (again.code, again.faults) == (2, [f"gazet: {tmp_path}/gazet.toml is there already. Edit it, or name another folder."])
    assert (tmp_path / "var/secret").read_bytes() == secret


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--url", "nieuws"), '--url: "nieuws" is not an http'),
        (("--contact", "x"), '--contact: "x" is not a mail address'),
        (("--language", "Nederlands!"), '--language: "Nederlands!" is not a language'),
        (("--timezone", "Mars/Olympus"), "--timezone: "),
        (("--title", "a\nb"), "--title: holds a line break"),
    ],
)
def test_a_wrong_option_leaves_nothing_behind(tmp_path: Path, words: tuple[str, ...], part: str) -> None:
    done = gazet("init", tmp_path / "deep/news", *words)
    assert (done.code, len(done.faults)) == (2, 1)
    assert part in done.err
    assert names(tmp_path) == []


def test_a_site_inside_a_clone_is_refused(tmp_path: Path) -> None:
    clone = tmp_path / "gazet"
    (clone / "pipeline").mkdir(parents=True)
    (clone / "pipeline/__main__.py").touch()
    (clone / "pyproject.toml").write_text('[project]\nname = "gazet"\n', encoding="utf-8")
    done = gazet_process("init", "sites/news", cwd=clone)
    assert (done.code, len(done.faults)) == (2, 1)
    assert f"{clone}/sites/news is inside a clone of Gazet. Name a folder elsewhere" in done.err
    assert names(clone) == ["pipeline", "pyproject.toml"]
    (clone / "pyproject.toml").write_text('[project]\nname = "another"\n', encoding="utf-8")
    assert gazet_process("init", "sites/news", cwd=clone).code == 0


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = gazet("init", tmp_path / "file/news")
    assert (done.code, len(done.faults)) == (2, 1)
    assert "Name a folder in which Gazet may write." in done.err


def test_on_a_terminal_it_asks_little_and_enter_takes_what_is_shown(tmp_path: Path) -> None:
    answers = ["Ons nieuws", "nieuws.school.nl", "https://nieuws.school.nl", "", "nl"]
    shown, code = on_terminal("init", "news", answers=answers, cwd=tmp_path)
    assert code == 0, shown
    assert [line.partition("[")[0] for line in shown.splitlines() if "]: " in line] == [
        "Title of the site ",
        "Its public address ",
        "Its public address ",
        "Mail address where people reach you ",
        "Language (nl or en) ",
    ]
    assert '"nieuws.school.nl" is not an http or https URL' in shown
    site = config.load(tmp_path / "news").site
    assert (site.title, site.url, site.contact, site.language) == (
        "Ons nieuws",
        "https://nieuws.school.nl",
        "news@example.org",
        "nl",
    )


def test_ctrl_c_leaves_nothing_and_an_option_is_not_asked_for(tmp_path: Path) -> None:
    shown, code = on_terminal("init", "news", "--title", "Nieuws", answers=["", "\x03"], cwd=tmp_path)
    assert (code, shown.count("]: ")) == (130, 2), shown
    assert "Title" not in shown
    assert names(tmp_path) == []


def test_an_end_while_writing_takes_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "secret_of", interrupted)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/notes.txt").write_text("mine", encoding="utf-8")
    assert gazet("init", tmp_path / "site", "--yes").code == 130
    assert names(tmp_path / "site") == ["notes.txt"]


def test_the_service_names_this_gazet_and_the_site_wherever_they_are(tmp_path: Path) -> None:
    folder = tmp_path / 'a b%c"d$e'
    gazet("init", folder, "--yes")
    unit = (folder / "gazet.service").read_text(encoding="utf-8")
    [start] = re.findall(r"(?m)^ExecStart=(.*)$", unit)
    assert start.startswith(f"{Path(sys.executable).with_name('gazet')} run --site ")
    assert start.endswith(f'"{tmp_path}/a b%%c\\"d$$e"')
    assert f'ReadWritePaths="{tmp_path}/a b%%c\\"d$e/var"' in unit, "only ExecStart knows variables"
    for line in ("User=gazet", "ProtectSystem=strict", "NoNewPrivileges=yes", "Restart=on-failure", "TimeoutStopSec=15"):
        assert f"\n{line}\n" in unit


@pytest.mark.parametrize(("place", "wanted"), [("/srv/news", "yes"), ("/home/ann/news", "read-only"), ("/root/news", "read-only")])
def test_a_site_below_a_home_can_still_be_read(monkeypatch: pytest.MonkeyPatch, place: str, wanted: str) -> None:
    monkeypatch.setattr(new_site, "gazet_words", lambda: ("/opt/gazet/bin/gazet",))
    answers = {"title": "x", "url": "https://x.example", "contact": "a@x.example", "language": "en", "timezone": "UTC"}
    unit = new_site.files(Path(place), answers)[Path(place) / "gazet.service"]
    assert f"ProtectHome={wanted}\n" in unit


def test_systemd_takes_the_unit_and_calls_it_well_confined(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze is not installed: the unit was not looked at by systemd")
    gazet("init", tmp_path / "een site", "--yes")
    unit = tmp_path / "een site/gazet.service"
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit], capture_output=True, text=True, check=False
    )
    [exposure] = re.findall(r"Overall exposure level for gazet.service: ([0-9.]+)", rated.stdout)
    assert float(exposure) < 2.0


def test_a_service_runs_from_any_folder_and_a_site_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    gazet("init", tmp_path / "news", "--yes")
    (tmp_path / "news/feeds/x.toml").write_text('title = "x"\n[[source]]\nurl = "http://127.0.0.1:1/"\n', encoding="utf-8")
    done = gazet_process("run", "--once", "--site", tmp_path / "news", cwd=Path("/"), before=lambda: os.umask(0o077))
    assert (done.code, len(done.faults)) == (1, 1), "the source is not reached, and that is all"
    assert not Path("/var/gazet.db").exists()
    (tmp_path / "news/var").rename(tmp_path / "elsewhere")
    (tmp_path / "news/var").touch()
    done = gazet_process("run", "--once", "--site", tmp_path / "news", cwd=Path("/"))
    assert (done.code, len(done.faults)) == (1, 1)
    assert f"{tmp_path}/news/var" in done.err


def test_the_container_file_needs_no_root_and_checks_its_health(tmp_path: Path) -> None:
    gazet("init", tmp_path, "--yes", "--title", "Nieuws $HOME\n".strip())
    text = (tmp_path / "Containerfile").read_text(encoding="utf-8")
    assert "# Gazet in a container: Nieuws $HOME\n" in text
    for line in ("FROM python:3.11-slim", "USER gazet", "VOLUME /site/var", "EXPOSE 8080", 'CMD ["gazet", "run"]'):
        assert f"\n{line}\n" in text
    assert "/healthz" in text
    assert 'pip install --no-cache-dir "${GAZET}"' in text
    assert '-v "$PWD":/site:ro' in text


def test_a_site_written_by_hand_gets_its_secret_by_a_word_of_its_own(tmp_path: Path) -> None:
    """And nothing else makes one: it may only be that the disk with var is away."""
    shutil.copytree(gazet_site(tmp_path), tmp_path / "hand")
    shutil.rmtree(tmp_path / "hand/var")
    (tmp_path / "hand/feeds/po.toml").write_text('title = "x"\n[[source]]\nurl = "https://www.example.org/"\n', encoding="utf-8")
    for words in (("run", "--once"), ("status",), ("serve",), ("backup", "x.tar.gz")):
        refused = gazet(*words, site=tmp_path / "hand")
        assert (refused.code, len(refused.faults)) == (2, 1)
        assert "gazet init --new-secret" in refused.err
        assert not (tmp_path / "hand/var/gazet.db").exists(), "no store in place of the one that is away"
    done = gazet("init", tmp_path / "hand", "--new-secret")
    assert (done.code, done.err) == (0, "")
    assert stat.S_IMODE((tmp_path / "hand/var/secret").stat().st_mode) == 0o600
    assert gazet("status", site=tmp_path / "hand").code == 0
    assert gazet("init", tmp_path / "hand", "--new-secret").code == 2


@pytest.mark.parametrize("trace", ["var/record/2026-11-24", "var/public/feeds/po.rss"])
def test_no_secret_is_made_for_a_site_that_shows_that_it_ran(tmp_path: Path, trace: str) -> None:
    folder = gazet_site(tmp_path)
    (folder / "var/secret").unlink()
    (folder / trace).parent.mkdir(parents=True, exist_ok=True)
    (folder / trace).touch()
    refused = gazet("init", folder, "--new-secret")
    assert refused.code == 2
    assert "has run before" in refused.err
    assert not (folder / "var/secret").exists()


def gazet_site(tmp_path: Path) -> Path:
    assert gazet("init", tmp_path / "made", "--yes").code == 0
    return tmp_path / "made"


def test_an_image_is_given_a_wheel_and_nothing_else_of_the_folder(tmp_path: Path) -> None:
    folder = gazet_site(tmp_path)
    rules = [line for line in (folder / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules == ["*", "!Containerfile", "!*.whl"]
    text = (folder / "Containerfile").read_text()
    assert "COPY Containerfile *.whl ./" in text, "a pattern that may match nothing needs a file that is surely there"
    assert text.index("COPY") < text.index("RUN pip")
    assert 'RUN pip install --no-cache-dir "${GAZET}"' in text
