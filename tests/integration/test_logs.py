"""The log of ``gazet run``: lines for people or objects for programs, with nothing in it that is nobody else's business."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from pipeline import config
from pipeline.cli.logs import Log, LogFormat, logging_to_stderr
from pipeline.errors import ConfigError, GazetError, Problem
from pipeline.jobs.lines import Line, crashed
from tests.conftest import WriteSettings
from tests.integration.command import gazet
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World

PASSWORD = "geheim-wachtwoord-7431"
RELAY = f"""
[[relay]]
name = "test"
host = "127.0.0.1"
port = %d
tls = "none"
user = "post@example.org"
password = "{PASSWORD}"
"""


def objects(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Everything on standard error, each line one object."""
    out, err = captured.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_a_line_becomes_an_object_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr(LogFormat.JSON) as log:
        log(Line("opened po/2026-11-24T08:00: é", "opened", {"feed": "po", "items": 3}))
        log("iets anders")
    first, second = objects(capsys)
    assert list(first) == ["timestamp", "level", "event", "message", "feed", "items"]
    assert first["timestamp"].endswith("+00:00")
    assert (first["level"], first["event"], first["feed"], first["items"]) == ("info", "opened", "po", 3)
    assert (second["event"], second["message"]) == ("said", "iets anders")


def test_elsewhere_than_on_a_terminal_the_log_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr(LogFormat.AUTO) as log:
        log("zonder terminal")
    assert objects(capsys)[0]["message"] == "zonder terminal"


def test_what_libraries_log_goes_the_same_way_and_request_lines_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    with logging_to_stderr(LogFormat.JSON):
        try:
            raise ZeroDivisionError("in a page")
        except ZeroDivisionError:
            logging.getLogger("uvicorn.error").exception("Exception in %s application", "ASGI")
        logging.getLogger("apscheduler.executors.default").warning("a beat was late")
        logging.getLogger("apscheduler.executors.default").info("a beat like any other")
        logging.getLogger("uvicorn.access").warning("GET /unsubscribe/abc")
    web, beat = objects(capsys)
    assert (web["level"], web["logger"], web["message"]) == ("error", "uvicorn.error", "Exception in ASGI application")
    assert "ZeroDivisionError: in a page" in web["exception"]
    assert (beat["level"], beat["message"]) == ("warning", "a beat was late")
    assert logging.getLogger().handlers == before, "nothing of the log outlives the command"


def test_what_nobody_caught_is_in_the_log_with_its_traceback_and_without_values(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        hidden = "ann@" + "example.org"
        raise ZeroDivisionError(f"a mistake about {hidden}")

    with pytest.raises(typer.Exit) as ended, logging_to_stderr(LogFormat.JSON) as log:  # noqa: PT012
        thread = threading.Thread(target=fail, name="deliver")
        thread.start()
        thread.join()
        log(crashed("publish:po", "Traceback (most recent call last):\n  …\nKeyError: 'x'\n"))
        fail()
    in_thread, in_job, in_main = objects(capsys)
    assert ended.value.exit_code == 1
    assert (in_thread["level"], in_thread["job"]) == ("critical", "deliver")
    assert (in_job["level"], in_job["job"], in_job["message"]) == ("error", "publish:po", "! publish:po: KeyError: 'x'")
    for one in (in_thread, in_main):
        assert "in fail" in one["exception"]
        assert "a…@example.org" in one["exception"]
        assert "ann@" not in json.dumps(one)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (GazetError("The relay is away.", fix="Wait."), 1, "The relay is away. Wait."),
        (ConfigError([Problem("gazet.toml", "site.url is missing")]), 2, "gazet.toml: site.url is missing"),
        (PermissionError(13, "Permission denied", "var/lock"), 1, "var/lock: Permission denied. Correct the file"),
    ],
    ids=["gazet", "settings", "system"],
)
def test_what_a_person_can_mend_ends_with_one_line_and_its_exit_code(
    error: Exception, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, logging_to_stderr(LogFormat.JSON):
        raise error
    [said] = objects(capsys)
    assert ended.value.exit_code == code
    assert (said["level"], said["event"]) == ("error", "ended")
    assert said["message"].startswith(says)
    assert "exception" not in said


@pytest.mark.parametrize(
    "text",
    [
        "550 no such user ann.de-vries+nieuws@example.org here",
        '<"ann de vries"@example.org> refused',
        "ann%40example.org",
        "https://nieuws.example.org/unsubscribe/dG9rZW4.c2lnbg-_~=",
        "https://nieuws.example.org/sub/path/read/dG9rZW4.c2lnbg-_~= ",
        "subject=unsubscribe%20dG9rZW4.Tq62GwwZrhai44jM8260RSq2pllXcflOVtcO-7hCD08",
        "postgresql+psycopg://gazet:dG9rZW4=x@db.example.org/gazet",
        f"535 bad credentials {PASSWORD}",
        "Max retries exceeded with url: /dG9rZW4-ping",
    ],
)
def test_no_address_token_or_password_is_logged(
    text: str, site_settings: WriteSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = site_settings()
    path = settings.folder / "gazet.toml"
    extra = RELAY % 2525 + '[alerts]\nping = "https://ping.example.org/dG9rZW4-ping"\n'
    path.write_text(path.read_text(encoding="utf-8") + extra, encoding="utf-8")
    settings = config.load(settings.folder)
    for form in (LogFormat.JSON, LogFormat.TEXT):
        with logging_to_stderr(form) as log:
            log.about(lambda: settings)
            log(Line(text, "said", {"reply": text, "list": [text], "table": {"x": text}}))
            logging.getLogger("uvicorn.error").error(text)
        said = capsys.readouterr().err
        assert said.count("…") >= 2
        for secret in ("ann@", "ann.de", "ann de", "ann%40", "dG9rZW4", PASSWORD):
            assert secret not in said


@given(st.text(min_size=1))
def test_no_text_of_strangers_forges_an_entry_or_steers_a_terminal(text: str) -> None:
    cleaned = Log().without_secrets(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", cleaned)
    with pytest.MonkeyPatch.context() as patched:
        written = _Written()
        patched.setattr(sys, "stderr", written)
        with logging_to_stderr(LogFormat.JSON) as log:
            log(Line(text, "said", {"title": text}))
        with logging_to_stderr(LogFormat.TEXT) as log:
            log(text)
    first, *others = written.text.rstrip("\n").split("\n")
    assert json.loads(first)["title"] == cleaned
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", others[0])
    assert all(line.startswith(" " * 21) for line in others[1:])


class _Written:
    """A standard error that keeps what it is given."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def test_a_run_that_has_them_all_logs_none_of_them(tmp_path: Path, web: WebServer) -> None:
    """One reader is accepted, one refused by name; the relay wants a password; the mails hold tokens."""
    with SmtpServer(users={"post@example.org": PASSWORD}) as server:
        server.refuse("weg@example.org", 550, "5.7.1", "weg@example.org is not welcome here")
        world = World(tmp_path / "site", web, relay=RELAY % server.port)
        world.news("Eerste", "2026-11-20T09:00")
        world.subscribe("ann@example.org", cadence="instant", name="Ann de Vries")
        world.subscribe("weg@example.org", cadence="instant")
        world.close()
        events = run_until(world, "sent")
        tokens = re.findall(rb"/unsubscribe/([\w.-]+)", b"".join(kept.data.replace(b"=\r\n", b"") for kept in server.messages))
    assert [kept.recipient for kept in server.messages] == ["ann@example.org"]
    by_name = {event["event"]: event for event in events}
    assert {"begins", "collected", "published", "opened", "sent"} <= set(by_name)
    assert by_name["published"]["feed"] == "po"
    assert by_name["collected"]["source"] == world.web.url("/feed.xml")
    assert by_name["opened"]["edition"].startswith("po/")
    assert (by_name["sent"]["accepted"], by_name["sent"]["failed"]) == (1, 1)
    everything = json.dumps(events, ensure_ascii=False)
    assert tokens
    for secret in ("ann@", "weg@", "Ann de Vries", "post@", PASSWORD, *(token.decode() for token in tokens)):
        assert secret not in everything


def run_until(world: World, event: str) -> list[dict[str, Any]]:
    """``gazet run`` as a service starts it, ended after that event; every line must be an object."""
    command = [sys.executable, "-m", "pipeline", "run", "--site", str(world.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stderr is not None
        events = []
        for line in process.stderr:
            events.append(json.loads(line))
            if events[-1]["event"] == event:
                break
        process.send_signal(signal.SIGTERM)
        out, rest = process.communicate(timeout=20)
    assert process.returncode == 0, events
    assert out == ""
    return events + [json.loads(line) for line in rest.splitlines()]


@pytest.mark.parametrize("colours", [True, False])
def test_on_a_terminal_the_log_is_for_people(world: World, colours: bool) -> None:
    world.news("Eerste \x1b[2J", "2026-11-20T09:00")
    world.web.serve("/weg", b"", status=404)
    world.write_feed("weg", url=world.web.url("/weg"))
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "run", "--site", str(world.folder)]
    env = {**os.environ, "TERM": "xterm", "NO_COLOR": "" if colours else "1"}
    said = b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal, cwd="/", env=env) as process:
        os.close(terminal)
        while b"published po" not in said or b"! source" not in said:
            said += os.read(master, 4096)
        process.send_signal(signal.SIGTERM)
        while chunk := _read(master):
            said += chunk
    os.close(master)
    text = said.decode()
    assert process.returncode == 0, text
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  published po: 1 item", text, re.MULTILINE)
    assert ("\x1b[33m! source" in text) is colours
    assert "\x1b[2J" not in text
    assert "{" not in text


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError:  # the other side was closed
        return b""


def test_once_keeps_speaking_plain_lines(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    ended = gazet("run", "--once", "--log-format", "json", site=world.folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1].startswith("published po: 1 item")
