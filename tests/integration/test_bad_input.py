"""Bad input gets one clear line with file, key or URL, and the fix; exit 2 or 1; nothing is lost."""

from __future__ import annotations

import os
import resource
import sqlite3
from pathlib import Path

import pytest

from tests.integration.command import Ended, gazet, gazet_process
from tests.servers.web import WebServer, closed_port
from tests.world import World

FEED = '[[source]]\nurl = "https://www.example.org/nieuws/"\n'


def assert_one_line(ended: Ended, code: int, *words: str) -> None:
    """One line on standard error with these words, nothing on standard output, that exit code."""
    assert len(ended.faults) == 1, ended
    assert all(word in ended.faults[0] for word in words), ended.faults[0]
    assert (ended.code, ended.out) == (code, "")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_unknown_key_is_named_with_the_one_that_was_meant(world: World) -> None:
    edit(world.folder / "gazet.toml", "timezone", "timezon")
    assert_one_line(
        gazet("status", site=world.folder), 2, 'gazet.toml: site.timezon: unknown key "timezon"', 'did you mean "timezone"?'
    )


def test_a_value_of_the_wrong_type_is_named_with_its_feed_file(world: World) -> None:
    world.write_feed(digest='max_items = "many"')
    assert_one_line(gazet("status", site=world.folder), 2, "feeds/po.toml: digest.max_items: 'many' should be a valid integer")


def test_a_folder_without_a_site_says_how_to_make_one(tmp_path: Path) -> None:
    assert_one_line(gazet("status", site=tmp_path), 2, str(tmp_path / "gazet.toml"), "gazet init", "--site DIR")


def test_two_feed_files_that_differ_only_in_case_are_refused(world: World) -> None:
    (world.folder / "feeds/PO.toml").write_text(f'title = "Anders"\n{FEED}', encoding="utf-8")
    ended = gazet("status", site=world.folder)
    assert_one_line(ended, 2, "feeds/PO.toml", "feeds/po.toml", "only in case", "rename")


def test_every_mistake_of_all_files_is_said_at_once(world: World) -> None:
    (world.folder / "gazet.toml").write_text(
        '[site]\ntitle = ""\nurl = "nieuws"\ntimezone = "Amsterdam"\ncontact = "redactie"\ncolour = "red"\n'
        '[collect]\nallow = "127.0.0.1"\nmax_bytes = "big"\n[defaults.digest]\ncadence = "hourly"\ntime = "8"\n'
        '[[relay]]\nname = "a b"\nhost = "mail.example.org"\nrate = "fast"\npassword = 12345\n',
        encoding="utf-8",
    )
    (world.folder / "feeds/po.toml").write_text(f'[publish]\nitems = 0\n{FEED}[digest]\nweekday = "maandag"\n', encoding="utf-8")
    (world.folder / "feeds/vo.toml").write_text("title = \n", encoding="utf-8")
    ended = gazet("check", site=world.folder)
    where = [fault.removeprefix("gazet: ").partition(": ") for fault in ended.faults]
    keys = [(file, rest.partition(":")[0]) for file, _, rest in where]
    assert sorted(keys[:-1]) == sorted(
        [
            *(("gazet.toml", f"site.{key}") for key in ("title", "url", "timezone", "contact", "colour")),
            *(("gazet.toml", f"collect.{key}") for key in ("allow", "max_bytes")),
            *(("gazet.toml", f"relay.0.{key}") for key in ("name", "rate", "password")),
            *(("gazet.toml", f"defaults.digest.{key}") for key in ("cadence", "time")),
            *(("feeds/po.toml", key) for key in ("title", "publish.items", "digest.weekday")),
        ]
    )
    assert where[-1][0] == "feeds/vo.toml"
    assert "is not TOML" in where[-1][2]
    assert "line 1" in where[-1][2]
    assert "12345" not in ended.err, "a password is never shown"
    assert (ended.code, ended.out) == (2, "")


def test_a_wrong_default_is_one_mistake_however_many_feeds_inherit_it(world: World) -> None:
    world.write_feed("vo", url=world.web.url("/vo.xml"))
    with (world.folder / "gazet.toml").open("a", encoding="utf-8") as file:
        file.write('[defaults.digest]\ncadense = "daily"\n')
    assert_one_line(gazet("status", site=world.folder), 2, "gazet.toml: defaults.digest.cadense", 'did you mean "cadence"?')


@pytest.mark.parametrize("name", ["gazet.toml", "feeds/po.toml"])
def test_a_settings_file_that_cannot_be_read_or_is_no_text_says_so(world: World, name: str) -> None:
    path = world.folder / name
    good = path.read_bytes()
    path.write_bytes(good.replace(b"Samen", b"S\xe4men"))
    assert_one_line(gazet("status", site=world.folder), 2, f"{name}: is not UTF-8 text")
    path.unlink()
    path.mkdir()
    assert_one_line(gazet("status", site=world.folder), 2, f"{name}: cannot be read: Is a directory")


def test_a_wrong_environment_variable_is_named_and_not_the_file(world: World) -> None:
    def said(**env: str) -> Ended:
        return gazet("status", site=world.folder, env=env)

    assert_one_line(said(GAZET_SITE__URL="nieuws"), 2, 'environment: GAZET_SITE__URL: "nieuws" is not an http or https URL')
    assert_one_line(said(gazet_site__url="nieuws"), 2, "environment: gazet_site__url")
    assert_one_line(said(GAZET_STROE__URL="x"), 2, 'environment: GAZET_STROE__URL: unknown key "stroe"', 'did you mean "store"?')
    assert_one_line(said(GAZET_COLLECT__MAX_ITEMS="many"), 2, "environment: GAZET_COLLECT__MAX_ITEMS: 'many'")
    assert_one_line(said(GAZET_COLLECT__ALLOW="127.0.0.1"), 2, "environment: GAZET_COLLECT__ALLOW", "list such as")
    assert_one_line(said(GAZET_DEFAULTS__DIGEST__CADENCE="hourly"), 2, "environment: GAZET_DEFAULTS__DIGEST__CADENCE")
    assert_one_line(said(GAZET_RELAY="provider"), 2, "environment: GAZET_RELAY: is not JSON")
    assert_one_line(said(GAZET_RELAY='[{"name": "a"}]'), 2, "environment: GAZET_RELAY: 0.host: is missing")
    assert_one_line(
        said(GAZET_STORE__URL="postgres://ann:geheim@db/x"), 2, "environment: GAZET_STORE__URL", "postgresql+psycopg://"
    )
    assert "geheim" not in said(GAZET_STORE__URL="postgres://ann:geheim@db/x").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stauts",), "No such command 'stauts'"),
        (("status", "--nwo"), "No such option: --nwo"),
        (("explain",), "Missing argument 'ADDRESS'"),
        (("items", "hold", "seven"), "'ID'"),
        (("items", "list", "--limit", "0"), "--limit"),
        (("items", "list", "--status", "new"), '--status: "new" is not one of held'),
        (("items", "hold", "99"), "There is no item 99"),
        (("run", "--now", "2026-11-24T08:00"), "--once"),
        (("run", "--once", "--now", "tomorrow"), '--now: "tomorrow" is not a moment'),
        (("collect", "--now", "0001-01-01T00:00"), "--now: the year 1"),
        (("collect", "nieuws"), "feeds/nieuws.toml: there is no such feed (feeds here: po)"),
        (("publish", "nieuws"), "feeds here: po"),
        (("compose", "nieuws"), "feeds here: po"),
        (("check", "nieuws"), "feeds here: po"),
        (("check", "ftp://example.org"), "not an http or https URL"),
        (("preview", "nieuws"), "feeds here: po"),
        (("preview", "po", "--for", "zoe@example.org"), "zoe@example.org is not subscribed"),
        (("pause", "nieuws"), '"nieuws" is no feed, edition or relay. Feeds: po; relays: outbox.'),
        (("resume", "po/2026-11-24T08:00"), 'There is no edition "po/2026-11-24T08:00"'),
        (("cancel", "po/x"), "There is no edition"),
        (("retry", "po/x"), "The latest: none yet"),
        (("deliver", "po/x"), "There is no edition"),
        (("verify", "po/x"), "There is no edition"),
        (("explain", "zoe@example.org"), "zoe@example.org has no subscription here"),
        (("subscribers", "add", "zoe", "po"), '"zoe" is not a mail address'),
        (("subscribers", "add", "zoe@example.org", "vo"), "feeds/vo.toml"),
        (("subscribers", "add", "zoe@example.org", "po", "--time", "8"), '"8" is not HH:MM'),
        (("subscribers", "add", "zoe@example.org", "po", "--timezone", "Amsterdam"), "Europe/Amsterdam"),
        (("subscribers", "unsubscribe", "zoe@example.org"), "is not subscribed here"),
        (("subscribers", "list", "--feed", "vo"), "feeds/vo.toml"),
    ],
)
def test_a_wrong_word_on_the_command_line_is_one_line_and_exit_2(world: World, words: tuple[str, ...], said: str) -> None:
    ended = gazet(*words, site=world.folder)
    assert_one_line(ended, 2, said)
    assert ended.err.startswith("gazet: ")


def test_a_source_that_does_not_answer_is_named_and_its_items_stay(world: World) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    assert gazet("collect", site=world.folder).code == 0
    url = f"http://127.0.0.1:{closed_port()}/feed.xml"
    world.write_feed("dood", url=url)
    ended = gazet("collect", site=world.folder)
    assert ended.code == 1
    assert len(ended.faults) == 1
    assert url in ended.faults[0]
    assert "collected" in ended.out, "the other source is collected all the same"
    assert "Eerste bericht" in gazet("items", "list", site=world.folder).out
    status = gazet("status", site=world.folder)
    assert status.code == 1
    assert url in status.out
    found = gazet("check", "--json", site=world.folder)
    assert found.code == 1
    assert [bool(one["problem"]) for one in found.json] == [True, False]


def test_a_page_that_is_no_feed_is_named_with_what_to_do(world: World, web: WebServer) -> None:
    web.serve("/leeg/", b"<html><body><p>Niets</p></body></html>", content_type="text/html")
    assert_one_line(gazet("check", web.url("/leeg/"), site=world.folder), 1, web.url("/leeg/"), "[source.page]")
    world.write_feed("leeg", url=web.url("/leeg/"))
    ended = gazet("collect", "leeg", "--json", site=world.folder)
    assert ended.code == 1
    assert "[source.page]" in ended.json[0]["problem"]


def test_a_wrong_line_of_a_csv_is_named_and_the_others_are_imported(world: World, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email,feed\nann@example.org,po\nbob,po\n\ncas@example.org,vo\ndaan@example.org,po\n", encoding="utf-8")
    ended = gazet("subscribers", "import", file, site=world.folder)
    assert ended.code == 1
    assert ended.out == "imported: 2 added, 2 refused\n"
    first, second = ended.faults
    assert first.startswith(f'{file}:3: "bob" is not a mail address')
    assert second.startswith(f'{file}:5: feed: there is no "vo" (feeds here: po)')
    again = gazet("subscribers", "import", file, "--json", site=world.folder)
    assert again.json["counts"] == {"unchanged": 2}
    assert [one["line"] for one in again.json["refused"]] == [3, 5]
    assert again.err == ""


def test_a_store_from_a_newer_version_is_refused_and_left_alone(world: World) -> None:
    assert gazet("status", site=world.folder).code == 0
    path = world.folder / "var/gazet.db"
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for words in (("status",), ("run", "--once"), ("migrate",)):
        assert_one_line(gazet(*words, site=world.folder), 2, str(path), "newer Gazet", "Install that version again")


def test_a_store_that_has_moved_away_is_not_begun_anew(world: World) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    assert gazet("run", "--once", site=world.folder).code == 0
    (world.folder / "var/gazet.db").rename(world.folder / "elders.db")
    assert_one_line(gazet("run", "--once", site=world.folder), 2, "gazet.db is not there yet", "Correct store.url")
    assert not (world.folder / "var/gazet.db").exists()
    moved = gazet("items", "list", site=world.folder, env={"GAZET_STORE__URL": "sqlite:///elders.db"})
    assert "Eerste bericht" in moved.out


def test_a_missing_secret_is_never_replaced_once_somebody_subscribed(world: World) -> None:
    world.subscribe("ann@example.org")
    world.close()
    secret = world.folder / "var/secret"
    secret.unlink()
    assert_one_line(gazet("status", site=world.folder), 2, str(secret), "restore it from a backup")
    assert not secret.exists()


def test_a_var_that_cannot_be_a_folder_is_one_line(world: World) -> None:
    (world.folder / "var/secret").unlink()
    (world.folder / "var").rmdir()
    (world.folder / "var").write_text("", encoding="utf-8")
    for words, code in ((("status",), 2), (("run", "--once"), 1)):
        ended = gazet(*words, site=world.folder)
        assert_one_line(ended, code, str(world.folder / "var"), "Not a directory")


def test_a_second_process_is_told_who_holds_the_site(world: World) -> None:
    from pipeline import app

    with app.site_lock(world.site.settings):
        assert_one_line(
            gazet("run", "--once", site=world.folder), 1, "Another process runs jobs on this site", f"pid {os.getpid()}"
        )
        assert gazet("status", site=world.folder).code == 0, "looking on is allowed beside it"


def test_a_full_disk_while_publishing_leaves_the_old_files_whole(world: World) -> None:
    """EFBIG stands in for ENOSPC: both end a write in the middle of a file."""
    world.write_feed(source="guard = false")
    world.news("Eerste bericht", "2026-11-20T09:00")
    assert gazet("run", "--once", site=world.folder).code == 0
    public = world.folder / "var/public/feeds"
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in public.iterdir()}
    for number in range(50):
        world.news(f"Bericht {number}", "2026-11-21T09:00", text="Lang. " * 1000)
    assert gazet("collect", site=world.folder).code == 0
    ended = gazet_process(
        "publish", "--site", world.folder, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))
    )
    assert_one_line(ended, 1, str(public), "File too large", "unchanged", "Free some space")
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in public.iterdir()} == before
    assert gazet("publish", site=world.folder).out.startswith("published po: 50 items")
    assert "Bericht 49" in (public / "po.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("digest.txt.j2", "Beste {{ lezer }},\n", 1),
        ("feed.html.j2", "<p>\n{% if %}\n", 2),
        ("digest.mjml.j2", "<mjml><mj-nothing></mjml>", 0),
    ],
)
def test_a_template_with_an_error_is_named_with_its_line(world: World, name: str, text: str, line: int) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    folder = world.folder / "templates"
    folder.mkdir()
    path = folder / name
    path.write_text(text, encoding="utf-8")
    ended = gazet("check", site=world.folder)
    assert ended.code == 1
    assert "Eerste bericht" in ended.out, "what the sources yield is shown all the same"
    [fault] = ended.faults
    assert name in fault
    assert "remove your copy" in fault
    if line:
        assert f"{path}:{line}: " in fault


def test_a_broken_template_loses_no_digest(world: World) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-22T09:00")
    world.close()
    assert gazet("run", "--once", "--now", "2026-11-22T10:00", site=world.folder).code == 0
    path = world.folder / "templates/digest.txt.j2"
    path.parent.mkdir()
    path.write_text("{{ lezer }}", encoding="utf-8")
    eight = ("--now", "2026-11-24T08:00")
    assert_one_line(gazet("compose", *eight, site=world.folder), 1, str(path), "lezer")
    again = gazet("run", "--once", *eight, site=world.folder)
    assert again.code == 1
    assert str(path) in again.err
    quiet = gazet("run", "--once", *eight, site=world.folder)
    assert (quiet.code, quiet.err) == (0, ""), "the same problem is said once"
    path.unlink()
    assert "opened po/2026-11-24T08:00" in gazet("run", "--once", *eight, site=world.folder).out
    assert world.got("ann@example.org") == [["Eerste bericht"]]
