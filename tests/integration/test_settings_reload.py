"""Settings that are edited under a running engine: good ones count from the next tick on, bad ones change nothing."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline import app
from pipeline.engines.local import LocalEngine, TickReport
from pipeline.jobs import report
from pipeline.store import feeds, runs
from tests.integration.command import gazet
from tests.servers.web import WebServer
from tests.world import World, moment


class Running:
    """``gazet run`` on a world, one tick at a time: its settings are those it has taken, not those on the disk."""

    def __init__(self, world: World, at: str) -> None:
        self.world = world
        self.now: datetime = moment(at)
        self.engine = LocalEngine(
            world.site,
            lambda: app.relay_for(self.engine.site),
            process=app.process_name(),
            is_dead=app.dead_process(world.site),
            clock=lambda: self.now,
            stop=threading.Event(),
            say=world.said.append,
            reload=app.reload,
        )

    def tick(self, at: str) -> TickReport:
        self.now = moment(at)
        return self.engine.once()

    @property
    def problems(self) -> dict[str, str]:
        with self.world.site.store.read() as tx:
            return {one.key: f"{one.what} {one.fix}" for one in runs.problems(tx) if not one.key.startswith("intro:")}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else writes here, so nobody needs to be waited for."""
    monkeypatch.setattr(app, "_STILL", 0.0)


@pytest.fixture
def running(world: World) -> Running:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    made = Running(world, "2026-11-21T08:00")
    made.tick("2026-11-21T08:00")
    return made


def edit(world: World, name: str, old: str, new: str) -> None:
    path = world.folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def published(world: World, name: str) -> str:
    return (world.folder / "var/public/feeds" / name).read_text(encoding="utf-8")


def test_edits_of_site_feed_and_template_count_without_a_restart(running: Running) -> None:
    world = running.world
    edit(world, "feeds/po.toml", "Samen Opleiden: nieuws", "Nieuws, anders")
    edit(world, "gazet.toml", "Platform Samen Opleiden", "Het platform")
    (world.folder / "templates").mkdir()
    (world.folder / "templates/digest.subject.j2").write_text("Onderwerp van {{ digest.site_title }}", encoding="utf-8")
    world.news("Tweede", "2026-11-21T09:00")
    running.tick("2026-11-22T08:00")
    assert "<title>Nieuws, anders</title>" in published(world, "po.rss")
    assert world.mails[-1]["Subject"] == "Onderwerp van Het platform"
    edit(world, "templates/digest.subject.j2", "Onderwerp", "Kop")
    world.news("Derde", "2026-11-22T09:00")
    running.tick("2026-11-23T08:00")
    assert world.mails[-1]["Subject"] == "Kop van Het platform"
    assert world.said.count("the edited settings are in force") == 2
    assert running.problems == {}


def test_nothing_edited_is_the_same_site_and_costs_no_reading(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_edited", lambda *_: pytest.fail("nothing was edited"))
    before = running.engine.site
    running.tick("2026-11-21T08:01")
    assert running.engine.site is before


def _not_toml(world: World) -> str:
    edit(world, "feeds/po.toml", 'title = "', "title = ")
    return "feeds/po.toml: is not TOML"


def _empty(world: World) -> str:
    (world.folder / "feeds/po.toml").write_text("", encoding="utf-8")
    return "feeds/po.toml: title: is missing"


def _wrong_key(world: World) -> str:
    edit(world, "gazet.toml", "[collect]", "[colect]")
    return 'gazet.toml: colect: unknown key "colect" (did you mean "collect"?).'


def _gone(world: World) -> str:
    (world.folder / "gazet.toml").unlink()
    return "this file is missing"


def _no_folder(world: World) -> str:
    (world.folder / "feeds").rename(world.folder / "elders")
    (world.folder / "feeds").write_text("a file where the folder was", encoding="utf-8")
    return "feeds/: cannot be read"


def _template(world: World) -> str:
    (world.folder / "templates").mkdir()
    (world.folder / "templates/digest.txt.j2").write_text("{{ no_such_value }}", encoding="utf-8")
    return "digest.txt.j2:1"


def _secret_gone(world: World) -> str:
    (world.folder / "var/secret").unlink()
    return "the site's secret is missing"


def _other_secret(world: World) -> str:
    (world.folder / "var/secret").write_text("f" * 64, encoding="utf-8")
    return "site.secret_file: counts from the next start on"


def _other_store(world: World) -> str:
    edit(world, "gazet.toml", "[collect]", '[store]\nurl = "sqlite:///var/other.db"\n[collect]')
    return "store.url: counts from the next start on (restart gazet"


def _other_port(world: World) -> str:
    edit(world, "gazet.toml", "[collect]", '[web]\nlisten = "127.0.0.1:1"\n[collect]')
    return "web.listen: counts from the next start on (restart gazet"


MISTAKES = [_not_toml, _empty, _wrong_key, _gone, _no_folder, _template, _secret_gone, _other_secret, _other_store, _other_port]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_bad_edit_changes_nothing_and_is_said_once_until_it_is_mended(running: Running, mistake: object, tmp_path: Path) -> None:
    world = running.world
    kept = {path: path.read_bytes() for path in world.folder.rglob("*") if path.suffix == ".toml" or path.name == "secret"}
    said = mistake(world)  # type: ignore[operator]
    world.news("Tweede", "2026-11-21T09:00")
    running.tick("2026-11-22T08:00")
    assert world.got("ann@example.org") == [["Eerste"], ["Tweede"]], "what ran before goes on"
    assert set(running.problems) == {"settings"}
    assert said in running.problems["settings"]
    assert "settings" in [one.key for one in running.engine.fresh_problems()]
    running.tick("2026-11-22T08:01")
    assert running.engine.fresh_problems() == []
    for path in [*world.folder.glob("templates/*"), *([world.folder / "feeds"] if (world.folder / "feeds").is_file() else [])]:
        path.unlink()
    (world.folder / "feeds").mkdir(exist_ok=True)
    for path, content in kept.items():
        path.write_bytes(content)
    world.news("Derde", "2026-11-22T09:00")
    running.tick("2026-11-23T08:00")
    assert running.problems == {}
    assert world.got("ann@example.org")[2:] == [["Derde"]]


def test_a_bad_edit_that_is_undone_is_mended(running: Running) -> None:
    path = running.world.folder / "feeds/po.toml"
    aside = path.with_suffix(".aside")
    path.rename(aside)
    path.write_text("title = 5", encoding="utf-8")
    running.tick("2026-11-22T08:00")
    assert set(running.problems) == {"settings"}
    aside.rename(path)
    running.tick("2026-11-22T08:01")
    assert running.problems == {}


def test_a_file_that_an_editor_takes_away_for_a_moment_is_no_removed_feed(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = running.world.folder / "feeds/po.toml"
    text = path.read_text(encoding="utf-8")
    steps = [lambda: path.write_text(text[:-40]), lambda: path.write_text(text.replace("nieuws", "berichten")), lambda: None]
    monkeypatch.setattr(app.time, "sleep", lambda _: steps.pop(0)())
    path.unlink()
    running.tick("2026-11-21T08:01")
    assert running.problems == {}
    assert running.engine.site.feed("po").title == "Samen Opleiden: berichten"
    assert steps == []


def test_of_many_mistakes_the_first_is_named_and_the_others_counted(running: Running) -> None:
    edit(running.world, "gazet.toml", "contact =", "contcat =")
    running.tick("2026-11-21T08:01")
    assert "(and 1 more)" in running.problems["settings"]
    assert "\n" not in running.problems["settings"]


def test_a_start_with_good_settings_mends_what_an_earlier_process_said(running: Running) -> None:
    world = running.world
    edit(world, "gazet.toml", "[collect]", '[web]\nlisten = "127.0.0.1:1"\n[collect]')
    running.tick("2026-11-21T08:01")
    assert "settings" in running.problems
    assert gazet("run", "--once", "--now", "2026-11-21T08:02", site=world.folder).code == 0
    assert running.problems == {}


def test_a_removed_feed_rests_and_is_named_once_and_one_that_comes_back_goes_on(running: Running) -> None:
    world, path = running.world, running.world.folder / "feeds/po.toml"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    world.news("Tweede", "2026-11-21T09:00")
    asked = len(world.web.requests)
    for at in ("2026-11-22T08:00", "2026-11-23T08:00"):
        running.tick(at)
    assert len(world.web.requests) == asked, "a feed that rests is not polled"
    assert world.got("ann@example.org") == [["Eerste"]]
    assert set(running.problems) == {"feed:po"}
    assert "feeds/po.toml is gone, so it rests" in running.problems["feed:po"]
    assert 'aliases = ["po"]' in running.problems["feed:po"]
    assert len(running.engine.fresh_problems()) == 1
    assert "<title>Eerste</title>" in published(world, "po.rss"), "nothing is deleted"
    path.write_text(text, encoding="utf-8")
    running.tick("2026-11-24T08:00")
    running.tick("2026-11-25T08:00")
    assert running.problems == {}
    assert world.got("ann@example.org") == [["Eerste"], ["Tweede"]]


def test_what_is_being_sent_goes_on_when_its_feed_is_removed(running: Running) -> None:
    world = running.world
    world.news("Tweede", "2026-11-21T09:00")
    running.now = moment("2026-11-22T08:00")
    running.engine._tick()  # opened, not sent
    (world.folder / "feeds/po.toml").unlink()
    running.tick("2026-11-22T08:01")
    assert world.got("ann@example.org") == [["Eerste"], ["Tweede"]]
    assert world.sums("po/2026-11-22T08:00") == {"accepted": 1}


def test_a_feed_removed_for_good_is_laid_to_rest_by_pausing_it(running: Running) -> None:
    (running.world.folder / "feeds/po.toml").unlink()
    running.tick("2026-11-21T08:01")
    assert gazet("pause", "po", site=running.world.folder).code == 0
    running.world.write_feed("ander")
    running.tick("2026-11-21T08:02")
    assert running.problems == {}


def rename(world: World, old: str, new: str, *, aliases: str = "") -> None:
    text = (world.folder / f"feeds/{old}.toml").read_text(encoding="utf-8")
    (world.folder / f"feeds/{old}.toml").unlink()
    (world.folder / f"feeds/{new}.toml").write_text(f"{aliases}\n{text}", encoding="utf-8")


def test_a_renamed_feed_keeps_people_numbers_schedules_and_editions(any_world: World) -> None:
    world = any_world
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.subscribe("bob@example.org", cadence="weekly", at="2026-11-20T10:00")
    running = Running(world, "2026-11-21T08:00")
    running.tick("2026-11-21T08:00")
    with world.site.store.read() as tx:
        before = feeds.state(tx, "po")
    rename(world, "po", "nieuws", aliases='aliases = ["po"]')
    world.news("Tweede", "2026-11-21T09:00")
    running.tick("2026-11-22T08:00")
    with world.site.store.read() as tx:
        after = feeds.state(tx, "nieuws")
        assert not feeds.exists(tx, "po")
    assert after.next_seq == before.next_seq + 1
    world.reopen()
    running = Running(world, "2026-11-24T08:00")
    world.news("Derde", "2026-11-23T09:00")
    running.tick("2026-11-24T08:00")
    assert world.got("ann@example.org") == [["Eerste"], ["Tweede"], ["Derde"]]
    assert world.got("bob@example.org") == [["Derde", "Tweede", "Eerste"]]
    assert world.sums("po/2026-11-21T08:00") == {"accepted": 1}, "an edition keeps the name that people saw"
    assert world.sums("nieuws/2026-11-22T08:00") == {"accepted": 1}
    assert {path.name.partition(".")[0] for path in (world.folder / "var/public/feeds").iterdir()} == {"nieuws"}
    assert "po.rss" not in published(world, "nieuws.rss")
    assert running.problems == {}
    assert report.status(world.site).orphans == ()


def test_an_alias_that_comes_a_few_ticks_after_the_renaming_is_in_time(any_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = any_world
    serve = world.web.serve

    def with_etag(path: str, body: bytes, **options: Any) -> None:
        serve(path, body, **options, headers={"ETag": f'"{hash(body)}"'}, conditional=True)

    monkeypatch.setattr(world.web, "serve", with_etag)  # a 304 would hide what only the new name had collected
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    running = Running(world, "2026-11-21T08:00")
    running.tick("2026-11-21T08:00")
    rename(world, "po", "nieuws")
    world.news("Tweede", "2026-11-21T09:00")
    running.tick("2026-11-21T12:00")
    assert set(running.problems) == {"feed:po"}
    edit(world, "feeds/nieuws.toml", "\ntitle", '\naliases = ["po"]\ntitle')
    running.tick("2026-11-21T12:01")
    assert running.problems == {}
    running.tick("2026-11-22T08:00")
    running.tick("2026-11-23T08:00")
    assert world.got("ann@example.org") == [["Eerste"], ["Tweede"]]


def test_two_feeds_with_people_are_never_merged(any_world: World) -> None:
    world = any_world
    world.news("Eerste", "2026-11-20T09:00")
    world.write_feed("nieuws")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.subscribe("bob@example.org", cadence="daily", at="2026-11-20T10:00", feed="nieuws")
    running = Running(world, "2026-11-21T08:00")
    running.tick("2026-11-21T08:00")
    (world.folder / "feeds/po.toml").unlink()
    edit(world, "feeds/nieuws.toml", "\n[[source]]", '\naliases = ["po"]\n[[source]]')
    running.tick("2026-11-21T08:01")
    assert '"po" and "nieuws" both have subscribers' in running.problems["settings"]
    said = gazet("run", "--once", site=world.folder)
    assert said.code == 2
    assert said.err.startswith('gazet: feeds/nieuws.toml: aliases: "po" and "nieuws" both have subscribers or editions')
    with world.site.store.read() as tx:
        assert feeds.exists(tx, "po")
        assert feeds.exists(tx, "nieuws")


def test_commands_know_a_feed_by_its_former_name(running: Running) -> None:
    world = running.world
    rename(world, "po", "nieuws", aliases='aliases = ["po"]')
    world.subscribe("bob@example.org", feed="po", at="2026-11-21T09:00")
    assert gazet("pause", "po", site=world.folder).out == "paused feed nieuws\n"
    assert gazet("resume", "po", site=world.folder).out == "resumed feed nieuws\n"
    assert gazet("publish", "po", site=world.folder).code == 0
    assert "Eerste" in gazet("preview", "po", "--for", "bob@example.org", site=world.folder).out
    assert "Eerste" in gazet("items", "list", "po", site=world.folder).out
    assert "bob@example.org" in gazet("subscribers", "list", "--feed", "po", site=world.folder).out
    assert gazet("subscribers", "unsubscribe", "bob@example.org", "--feed", "po", site=world.folder).code == 0
    assert "feed nieuws" not in gazet("status", site=world.folder).err


def test_ten_feeds_share_a_rhythm_and_one_source_is_polled_once(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web)
    edit(world, "gazet.toml", "[collect]", '[defaults.digest]\ncadence = "daily"\ntime = "09:00"\n[collect]')
    for number in range(10):
        world.write_feed(f"feed-{number}")
    for number in range(10):
        world.subscribe(f"person{number}@example.org", feed=f"feed-{number}", at="2026-11-20T10:00")
    world.news("Eerste", "2026-11-20T09:00")
    (world.folder / "feeds/po.toml").unlink()
    world.reopen()
    asked = len(world.web.requests)
    world.run("2026-11-21T09:00")
    assert len(world.web.requests) == asked + 1
    assert len(world.mails) == 10
    world.close()
