"""The command line as a tired operator meets it: help, places, the clock, and what each command says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from pipeline.cli import options
from pipeline.cli.commands import app
from pipeline.config import FeedSettings
from pipeline.config.load import _SiteFile
from pipeline.jobs.people import COLUMNS
from tests.integration.command import gazet, gazet_process
from tests.world import World

ROOT = Path(__file__).parents[2]
EIGHT = ("--now", "2026-11-24T08:00")


def all_commands(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that call it."""
    command = command or typer.main.get_command(app)
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from all_commands(inner, (*words, name))


COMMANDS = dict(all_commands())


@pytest.fixture
def sent(world: World) -> World:
    """One edition of two items, delivered to Ann by way of the outbox."""
    world.news("Eerste bericht", "2026-11-19T09:00")
    world.news("Tweede bericht", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-22T09:00")
    world.close()
    assert gazet("run", "--once", "--now", "2026-11-22T10:00", site=world.folder).code == 0
    assert gazet("run", "--once", *EIGHT, site=world.folder).code == 0
    return world


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_shows_an_example(words: tuple[str, ...]) -> None:
    ended = gazet(*words, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Example: gazet " in ended.out or "Begin with gazet demo" in ended.out


def test_help_and_version_load_neither_settings_nor_database_nor_readers() -> None:
    """Pydantic is not among them: typer reads its arguments with it."""
    heavy = {"sqlalchemy", "alembic", "feedparser", "jinja2", "lxml", "requests", "apscheduler", "dateparser", "pydantic_settings"}
    helps = [["gazet", *words, "--help"] for words in COMMANDS]
    code = (
        "import contextlib, io, sys\nfrom pipeline.cli import main\n"
        f"for argv in {[*helps, ['gazet', '--version']]!r}:\n"
        "    sys.argv = argv\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n        main()\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "typer" in loaded
    assert loaded & heavy == set()


def test_a_command_on_a_store_that_is_up_to_date_does_not_load_what_changes_its_tables(tmp_path: Path) -> None:
    folder = tmp_path / "news"
    assert gazet("init", folder, "--yes").code == 0
    assert gazet("status", site=folder).code == 0
    code = (
        "import contextlib, sys\nfrom pipeline.cli import main\n"
        f"sys.argv = ['gazet', 'status', '--site', {str(folder)!r}]\n"
        "with contextlib.suppress(SystemExit):\n    main()\n"
        "print('alembic' in sys.modules, 'sqlalchemy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False True"


def test_a_new_site_says_at_every_step_what_to_do_next(tmp_path: Path) -> None:
    site = tmp_path / "news"
    made = gazet("init", site, "--title", 'Nieuws "Zuid" é', "--language", "nl")
    assert made.code == 0
    assert f"gazet add https://www.example.org/news/ --site {site}" in made.out
    assert gazet("init", site).faults == [f"gazet: {site / 'gazet.toml'} is there already. Edit it, or name another folder."]
    status = gazet("status", site=site)
    assert status.code == 0
    assert status.out.startswith('Nieuws "Zuid" é: well\n')
    assert 'no feed yet: "gazet add URL"' in status.out
    for words in (("check",), ("run", "--once"), ("collect",), ("publish",), ("compose",)):
        ended = gazet(*words, site=site)
        assert ended.code == 2
        assert ended.faults == ['gazet: feeds/: there is no feed yet ("gazet add URL" makes one)']
    said = {words: gazet(*words.split(), site=site) for words in ("verify", "deliver", "items list", "subscribers list")}
    assert all(ended.code == 0 and ended.out and not ended.err for ended in said.values()), said
    assert "gazet status" in said["verify"].out
    assert gazet("status", "--json", site=site).json["feeds"] == []


def test_init_names_its_own_options_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    ended = gazet("init", tmp_path / "news", "--url", "nieuws", "--contact", "redactie")
    assert ended.code == 2
    assert [fault.split(":")[1].strip() for fault in ended.faults] == ["--url", "--contact"]
    assert not (tmp_path / "news/gazet.toml").exists()
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "Name a folder in which Gazet may write" in gazet("init", tmp_path / "file").err


def test_the_site_is_named_before_or_after_the_command_by_the_environment_or_by_being_there(world: World, tmp_path: Path) -> None:
    expected = gazet("status", site=world.folder).out
    assert gazet("--site", world.folder, "status").out == expected
    assert gazet("--site", tmp_path / "nowhere", "status", "--site", world.folder).out == expected
    assert gazet("status", env={"GAZET_SITE": str(world.folder)}).out == expected
    assert gazet_process("status", cwd=world.folder).out == expected
    assert gazet_process("--site", "site", "status", cwd=world.folder.parent).out == expected
    assert gazet("status", env={"GAZET_SITE": str(tmp_path / "nowhere")}).code == 2


def test_now_is_in_the_sites_zone_unless_it_says_otherwise(world: World) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-22T09:00")
    world.close()
    assert gazet("collect", "--now", "2026-11-22T10:00", site=world.folder).code == 0
    early = gazet("compose", "--now", "2026-11-23T06:59Z", site=world.folder)
    assert early.out == "po: nothing is due\n"
    assert (
        "opened po/2026-11-23T08:00: 1 item for 1 subscription, 1 variant"
        in gazet("compose", "--now", "2026-11-23T08:00", site=world.folder).out
    )
    assert gazet("deliver", "--now", "2026-11-23T07:01Z", site=world.folder).out.startswith("sent through outbox: 1 accepted")


def test_a_reader_who_has_seen_enough_is_no_error(sent: World) -> None:
    argv = [sys.executable, "-m", "pipeline", "items", "list", "--site", str(sent.folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ended:
        assert ended.stdout is not None
        ended.stdout.close()
        assert ended.stderr is not None
        assert ended.stderr.read() == ""
    assert ended.returncode == 0


@pytest.mark.parametrize("speak", [options.say, options.warn])
def test_no_title_or_reply_steers_the_terminal(speak: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    speak("Rood \x1b[31m\x07\x9b2J\n  tweede regel")
    shown = "".join(capsys.readouterr())
    assert shown == "Rood \N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}2J\n  tweede regel\n"


def test_a_terminal_without_utf_8_ends_no_command(sent: World) -> None:
    ended = gazet_process("explain", "ann@example.org", "--site", sent.folder, env={"PYTHONIOENCODING": "iso-8859-1"})
    assert (ended.code, ended.err) == (0, "")
    assert "numbers 1\\u20132" in ended.out


def test_status_and_verify_count_in_good_english_and_say_what_a_rehearsal_is(sent: World) -> None:
    ended = gazet("status", site=sent.folder)
    assert ended.code == 0
    assert "po  Wed 2026-11-25 08:00  1 person" in ended.out
    assert "po/2026-11-24T08:00  1 rehearsed in the outbox" in ended.out
    assert ended.out.startswith("Platform Samen Opleiden: well\n")
    verified = gazet("verify", site=sent.folder)
    assert "po/2026-11-24T08:00: finished, 1 = 1 accepted" in verified.out
    assert 'a rehearsal: 1 only in the outbox ("gazet retry po/2026-11-24T08:00 --from-outbox" sends them)' in verified.out
    assert not re.search(r"\b1 (items|subscriptions|deliveries|people)", ended.out + verified.out)


def test_verify_and_explain_account_for_a_delivery(sent: World) -> None:
    verified = gazet("verify", "po/2026-11-24T08:00", "--json", site=sent.folder)
    assert verified.code == 0
    assert verified.json[0]["sums"]["accepted"] == verified.json[0]["audience"] == 1
    ended = gazet("explain", "Ann@example.org", site=sent.folder)
    assert ended.code == 0
    assert "po: next due Wed 2026-11-25 08:00" in ended.out
    assert "po/2026-11-24T08:00: accepted through outbox Tue 2026-11-24 08:00, numbers 1–2" in ended.out
    assert gazet("explain", "ann@example.org", "--json", site=sent.folder).json["deliveries"][0]["status"] == "accepted"


def test_a_finished_edition_is_neither_cancelled_nor_sent_again_by_mistake(sent: World) -> None:
    cancelled = gazet("cancel", "po/2026-11-24T08:00", site=sent.folder)
    assert (cancelled.code, cancelled.out) == (2, "")
    assert "is finished" in cancelled.err
    assert gazet("retry", "po/2026-11-24T08:00", site=sent.folder).out == "nothing of po/2026-11-24T08:00 to send again\n"
    assert "Add a [[relay]]" in gazet("retry", "po/2026-11-24T08:00", "--from-outbox", site=sent.folder).err
    assert len(sent.mails) == 1


def test_a_cancelled_edition_sends_nothing_and_its_items_come_next_time(world: World) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-22T09:00")
    world.close()
    gazet("collect", "--now", "2026-11-22T10:00", site=world.folder)
    gazet("compose", *EIGHT, site=world.folder)
    ended = gazet("cancel", "po/2026-11-24T08:00", *EIGHT, site=world.folder)
    assert ended.out == "cancelled po/2026-11-24T08:00: 1 delivery\n"
    assert "po/2026-11-24T08:00  1 cancelled" in gazet("status", site=world.folder).out
    assert gazet("deliver", *EIGHT, site=world.folder).out == "nothing is open\n"
    assert gazet("run", "--once", "--now", "2026-11-25T08:00", site=world.folder).code == 0
    assert world.got("ann@example.org") == [["Eerste bericht"]]


def test_pause_stops_the_site_a_feed_or_the_relay_and_status_says_how_to_go_on(world: World) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-22T09:00")
    world.close()
    gazet("collect", "--now", "2026-11-22T10:00", site=world.folder)
    for target, name, sign in ((), "the site", 'until "gazet resume"'), (("po",), "feed po", '"gazet resume po"'):
        assert gazet("pause", *target, site=world.folder).out == f"paused {name}\n"
        status = gazet("status", site=world.folder)
        assert sign in status.out
        assert "paused   " in status.out
        assert gazet("run", "--once", *EIGHT, site=world.folder).code == 0
        assert world.mails == []
        assert gazet("resume", *target, site=world.folder).out == f"resumed {name}\n"
    gazet("pause", "outbox", site=world.folder)
    assert "paused by hand" in gazet("run", "--once", *EIGHT, site=world.folder).out
    refused = gazet("deliver", *EIGHT, site=world.folder)
    assert (refused.code, refused.faults) == (1, ['gazet: Relay outbox is paused: paused by hand. "gazet resume outbox" goes on.'])
    gazet("resume", "outbox", site=world.folder)
    gazet("pause", "po/2026-11-24T08:00", site=world.folder)
    assert gazet("deliver", *EIGHT, site=world.folder).out == "nothing is open\n"
    gazet("resume", "po/2026-11-24T08:00", site=world.folder)
    assert gazet("deliver", *EIGHT, site=world.folder).code == 0
    assert world.got("ann@example.org") == [["Eerste bericht"]]


def test_items_are_held_released_and_discarded_by_id(world: World) -> None:
    world.news("Eerste bericht", "2026-11-19T09:00")
    world.news("Tweede bericht", "2026-11-20T09:00")
    gazet("run", "--once", "--now", "2026-11-22T10:00", site=world.folder)
    ids = {one["title"]: str(one["id"]) for one in gazet("items", "list", "--json", site=world.folder).json}
    one = ids["Eerste bericht"]
    feed = world.folder / "var/public/feeds/po.rss"
    assert gazet("items", "hold", one, site=world.folder).code == 0
    gazet("publish", site=world.folder)
    assert "Eerste bericht" not in feed.read_text(encoding="utf-8")
    assert '1 held item: "gazet items list' in gazet("status", site=world.folder).out
    assert "Eerste bericht" in gazet("items", "list", "--status", "held", site=world.folder).out
    assert "Item" in gazet("items", "hold", one, site=world.folder).err
    assert gazet("items", "release", one, site=world.folder).out == f"released item {one} in po\n"
    gazet("publish", site=world.folder)
    assert "Eerste bericht" in feed.read_text(encoding="utf-8")
    assert gazet("items", "discard", one, site=world.folder).out == f"item {one} is withdrawn\n"
    again = gazet("items", "release", one, site=world.folder)
    assert again.code == 2
    assert "is withdrawn" in again.err


def test_an_item_that_was_sent_cannot_be_held_any_more(sent: World) -> None:
    ended = gazet("items", "hold", "1", site=sent.folder)
    assert ended.code == 2
    assert "already sent in po/2026-11-24T08:00" in ended.err
    assert "gazet items discard 1" in ended.err


def test_check_shows_what_a_source_yields_and_stores_nothing(world: World) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    ended = gazet("check", site=world.folder)
    assert (ended.code, ended.err) == (0, "")
    assert "1 item by: " in ended.out
    assert "2026-11-20 09:00  Eerste bericht" in ended.out
    assert [path.name for path in (world.folder / "var").iterdir()] == ["secret"]
    assert gazet("check", world.web.url("/feed.xml"), "--json", site=world.folder).json[0]["feed"] == "po"


@pytest.mark.parametrize(
    "words",
    ["status", "verify", "items list", "subscribers list", "check", "collect", "publish", "compose", "deliver", "run --once"],
)
def test_json_is_one_document_and_nothing_else(sent: World, words: str) -> None:
    ended = gazet(*words.split(), "--json", *([] if "list" in words or words in ("status", "verify") else EIGHT), site=sent.folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.json is not None


def documentation() -> str:
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if path.exists())


def test_every_command_and_option_is_documented() -> None:
    text = documentation()
    missing = {" ".join(words) for words in COMMANDS if not re.search(rf"\bgazet {' '.join(words)}\b", text)}
    for words, command in COMMANDS.items():
        names = {name for parameter in command.params for name in parameter.opts if name.startswith("--")} - {"--help"}
        if words == ("subscribers", "add"):  # has an option for each column of the CSV, and those are documented
            names -= {f"--{column}" for column in COLUMNS if f"`{column}`" in text}
        missing |= {f"{' '.join(words)} {name}" for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)}
    assert missing == set()


def settings_keys(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every key as TOML writes it, with the table it stands in."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        section = next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if section:
            yield from settings_keys(section, f"{path}{key}.")
        elif key != "slug":
            yield f"{path}{key}"


def documented(key: str, lines: list[str]) -> bool:
    """By its whole name, or as ``.link`` on the line of another key of its table."""
    table, _, last = key.rpartition(".")
    return any(f"`{key}`" in line or (table and f"`.{last}`" in line and f"`{table}." in line) for line in lines)


def test_every_settings_key_is_documented() -> None:
    lines = documentation().splitlines()
    keys = {*settings_keys(_SiteFile), *settings_keys(FeedSettings)}
    assert {"site.url", "digest.from", "source.page.item"} <= keys
    assert {key for key in keys if not documented(key, lines)} == set()
