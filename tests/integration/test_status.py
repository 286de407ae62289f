"""``gazet status``: is it well, what needs a person, what is next, what happened last, on one screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from pipeline import app
from pipeline.cli.screen import Paper, screen
from pipeline.jobs import operate, report
from pipeline.store import runs
from tests.crash.sites import gazet as started
from tests.integration.command import Ended, gazet
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World, moment

EIGHT = "2026-11-24T08:00"
RELAY = '[[relay]]\nname = "provider"\nhost = "%s"\nport = %d\ntls = "none"\n'


def status(world: World, at: str = EIGHT, *words: str) -> Ended:
    world.close()
    return gazet("status", "--now", at, *words, site=world.folder)


def lines_of(ended: Ended, heading: str) -> list[str]:
    """What stands under one heading."""
    found, here = [], False
    for line in ended.out.splitlines()[1:]:
        here = line.startswith(heading) or (here and line.startswith(" "))
        if here:
            found.append(line[9:])
    return found


def told(ended: Ended) -> str:
    """What is said of the sources, as one line."""
    return " ".join(" ".join(lines_of(ended, "sources")).split())


@pytest.fixture
def sent(any_world: World) -> World:
    """Ann's daily edition was sent at eight; Bob gets items as they come."""
    world = any_world
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-22T09:00")
    world.subscribe("cor@example.org", cadence="daily", at="2026-11-22T09:00")
    world.run("2026-11-22T10:00")
    world.run(EIGHT)
    return world


def test_a_site_that_is_well_says_so_first_then_what_is_next_and_what_was_last(sent: World) -> None:
    ended = status(sent, "2026-11-24T08:05")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == "Platform Samen Opleiden: well"
    assert lines_of(ended, "run") == [f"runs (pid {os.getpid()}), last round Tue 2026-11-24 08:00, 5 minutes ago"]
    assert lines_of(ended, "next") == ["po  Wed 2026-11-25 08:00  2 people"]
    assert lines_of(ended, "last") == ["po/2026-11-24T08:00  2 rehearsed in the outbox"]
    asked = f"next asked Tue 2026-11-24 08:01: {sent.web.url('/feed.xml')} (every 1 min, as the settings say)"
    assert told(ended) == f"1 ok; {asked}"
    assert lines_of(ended, "relay") == ["none: every mail is a rehearsal in var/outbox and reaches nobody"]
    assert lines_of(ended, "needs") == []


def test_json_has_everything_in_stable_keys(sent: World) -> None:
    sent.web.serve("/feed.xml", b"", status=503)
    sent.run("2026-11-24T09:00")
    ended = status(sent, "2026-11-24T09:05", "--json")
    assert ended.code == 1
    found = ended.json
    assert list(found)[:3] == ["well", "needs", "now"]
    assert found["well"] is False
    assert found["needs"][0]["key"] == f"source:{sent.web.url('/feed.xml')}"
    assert set(found) >= {"title", "paused", "relay", "refusal", "running", "last_tick", "sources", "feeds", "editions", "orphans"}
    assert found["feeds"][0] | {"slug": "po", "waiting": 2, "instant": 0} == found["feeds"][0]
    assert found["editions"][0]["sums"]["accepted"] == found["editions"][0]["rehearsed"] == 2


def test_what_needs_a_person_comes_second_with_since_when_and_the_command(sent: World) -> None:
    url = sent.web.url("/feed.xml")
    sent.web.serve("/feed.xml", b"", status=503)
    sent.run("2026-11-24T09:00")
    ended = status(sent, "2026-11-24T09:05")
    assert ended.code == 1
    first, second, third = ended.out.splitlines()[:3]
    assert first == "Platform Samen Opleiden: needs you: 1 thing"
    assert second == f"needs    ! source {url}: answered 503 (Service Unavailable) (since Tue 2026-11-24 09:00)"
    assert third.endswith(f'"gazet check {url}".')
    why = "1st failure: once more after the usual time"
    assert told(ended) == f"1 attention; next asked Tue 2026-11-24 09:01: {url} ({why})"


def test_a_source_that_is_not_well_is_named_also_when_no_problem_names_it(sent: World) -> None:
    url = sent.web.url("/feed.xml")
    sent.web.serve("/feed.xml", b"", status=503)
    sent.run("2026-11-24T09:00")
    with sent.site.store.write() as tx:
        runs.forget(tx, f"source:{url}")
    ended = status(sent, "2026-11-24T09:05")
    assert ended.code == 0
    assert lines_of(ended, "sources")[-1] == f"{url}: answered 503 (Service Unavailable)"


def test_the_source_that_is_asked_next_is_named_with_the_reason(sent: World) -> None:
    calm = b'<rss version="2.0"><channel><title>Kalm</title></channel></rss>'
    sent.web.serve("/calm.xml", calm, content_type="application/rss+xml", headers={"Cache-Control": "max-age=7200"})
    sent.write_feed("vo", url=sent.web.url("/calm.xml"))
    sent.reopen()
    sent.run("2026-11-24T08:10")
    ended = status(sent, "2026-11-24T08:10")
    url = sent.web.url("/feed.xml")
    assert told(ended) == f"2 ok; next asked Tue 2026-11-24 08:11: {url} (every 1 min, as the settings say)"
    operate.set_paused(sent.site, "po", True)
    asked = told(status(sent, "2026-11-24T08:10"))
    assert asked == f"2 ok; next asked Tue 2026-11-24 10:10: {sent.web.url('/calm.xml')} (the server's max-age says 2 h)"
    operate.set_paused(sent.site, "vo", True)
    assert told(status(sent, "2026-11-24T08:10")) == "2 ok; none is asked"


def test_all_lists_every_source_with_its_way_its_next_poll_and_what_ails_it(sent: World) -> None:
    url, page = sent.web.url("/feed.xml"), sent.web.url("/nieuws/")
    sent.web.serve(
        "/nieuws/", f'<link rel="alternate" type="application/rss+xml" href="/feed.xml"><a href="{sent.web.url("/1/")}">x</a>'
    )
    sent.web.serve("/gone.xml", b"", status=410)
    sent.write_feed("vo", url=page)
    sent.write_feed("weg", url=sent.web.url("/gone.xml"))
    sent.reopen()
    sent.run("2026-11-24T08:10")
    shown = lines_of(status(sent, "2026-11-24T08:10", "--all"), "sources")
    assert shown[2:] == [
        f"{url}: ok",
        "  read as feed: it is what the address leads to",
        "  next asked Tue 2026-11-24 08:11: every 1 min, as the settings say",
        f"{sent.web.url('/gone.xml')}: gone, answered 410 (Gone)",
        "  not asked",
        f"{page}: ok",
        f"  read as feed at {url}: the page names it (rel=alternate)",
        "  next asked Tue 2026-11-24 08:11: every 1 min, as the settings say",
    ]
    assert "read as feed" not in status(sent, "2026-11-24T08:10").out


def test_json_tells_of_each_source_when_and_why_and_nothing_that_only_the_next_request_needs(sent: World) -> None:
    [source] = status(sent, "2026-11-24T08:05", "--json").json["sources"]
    assert source["next_poll_at"] == "2026-11-24T07:01:00+00:00"
    assert source["why"] == "every 1 min, as the settings say"
    assert (source["state"], source["way_kind"], source["feeds"]) == ("ok", "feed", ["po"])
    assert not {"etag", "last_modified", "settings_hash", "body_hash", "repeats", "hints"} & set(source)


def test_a_new_site_says_what_comes_first(tmp_path: Path) -> None:
    gazet("init", tmp_path / "news", "--title", "Nieuws", "--yes")
    ended = gazet("status", site=tmp_path / "news")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == "Nieuws: well"
    assert lines_of(ended, "run") == ['not yet: "gazet run" begins']
    assert lines_of(ended, "next") == ['no feed yet: "gazet add URL" makes one']
    source = '[[source]]\nurl = "http://127.0.0.1:1/"\n'
    (tmp_path / "news/feeds/po.toml").write_text(f'title = "x"\n{source}', encoding="utf-8")
    assert lines_of(gazet("status", site=tmp_path / "news"), "next") == ['po: not begun, "gazet run" collects it']


def test_a_mistake_in_the_settings_is_said_by_file_and_key(sent: World) -> None:
    (sent.folder / "feeds/po.toml").write_text('title = "x"\nsource = 5\n', encoding="utf-8")
    ended = status(sent)
    assert (ended.code, ended.out) == (2, "")
    assert "feeds/po.toml: source" in ended.err


def test_what_was_paused_says_the_command_that_goes_on(sent: World) -> None:
    for target in (None, "po", "outbox"):
        operate.set_paused(sent.site, target, True)
    ended = status(sent)
    assert ended.code == 0
    assert ended.out.splitlines()[0] == "Platform Samen Opleiden: PAUSED, nothing needs you"
    assert lines_of(ended, "paused") == [
        'the site: nothing is collected, published or sent until "gazet resume"',
        'feed po: "gazet resume po" goes on',
        'relay outbox: paused by hand; "gazet resume outbox" goes on',
    ]
    assert lines_of(ended, "next") == ["po  paused: Wed 2026-11-25 08:00  2 people"]


def test_an_edition_that_rests_and_items_that_wait_are_named(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.news("Tweede", "2026-11-20T10:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-22T09:00")
    world.run("2026-11-22T10:00")
    operate.set_paused(world.site, "outbox", True)
    world.run(EIGHT)
    operate.set_paused(world.site, "outbox", False)
    operate.set_paused(world.site, "po/2026-11-24T08:00", True)
    world.news("Derde", "2026-11-24T08:30")
    world.run("2026-11-24T09:00")
    operate.hold(world.site, 3, moment("2026-11-24T09:01"))
    ended = status(world, "2026-11-24T09:05")
    assert lines_of(ended, "paused") == [
        'edition po/2026-11-24T08:00: paused by hand; "gazet resume po/2026-11-24T08:00" goes on',
        '1 held item: "gazet items list --status held" shows them',
    ]
    assert lines_of(ended, "last") == []


def test_a_feed_whose_file_is_gone_rests(sent: World) -> None:
    sent.write_feed("vo")
    (sent.folder / "feeds/po.toml").unlink()
    ended = status(sent)
    assert "feed po: feeds/po.toml is gone, so it rests; nothing of it is deleted" in lines_of(ended, "paused")


@pytest.mark.parametrize("uncertain", ["resend", "hold"])
def test_after_kill_9_it_says_how_many_are_in_doubt_and_what_is_done(tmp_path: Path, web: WebServer, uncertain: str) -> None:
    with SmtpServer() as server:
        world = World(tmp_path / "site", web, relay=RELAY % ("127.0.0.1", server.port), digest=f'uncertain = "{uncertain}"')
        world.news("Eerste", "2026-11-20T09:00")
        for name in ("ann", "bob", "cor"):
            world.subscribe(f"{name}@example.org", cadence="daily", at="2026-11-20T10:00")
        operate.set_paused(world.site, "provider", True)
        world.run(EIGHT)
        operate.set_paused(world.site, "provider", False)
        world.close()
        server.answer("dot", "hang", times=1)
        sending = started(world, "deliver", "--now", EIGHT)
        server.wait_for(2)
        beside = status(world, "2026-11-24T08:01")
        assert "on the wire" not in beside.out, "its process lives"
        sending.kill()
        sending.communicate(timeout=30)
        then = "sends them again with the same Message-ID" if uncertain == "resend" else "holds them for you"
        doubt = lines_of(status(world, "2026-11-24T08:01"), "sending")
        assert any(line.strip().startswith("1 on the wire when its process ended") and line.endswith(then) for line in doubt)
        world.run("2026-11-24T08:02")
        ended = status(world, "2026-11-24T08:05")
    last = " ".join(lines_of(ended, "last"))
    if uncertain == "resend":
        assert ended.code == 0
        assert "po/2026-11-24T08:00  3 accepted" in last
        assert "1 on the wire when it broke off, sent again, may have come twice: " in last
    else:
        assert ended.code == 1
        assert "3: 2 accepted, 1 uncertain" in last
        assert "1 uncertain and held: " in last
        assert '"gazet retry po/2026-11-24T08:00" sends them again' in " ".join(lines_of(ended, "needs"))
    assert "@example.org" in last


def tick_of(world: World, process: str, at: str, *, ended: bool, standing: bool = True) -> None:
    with world.site.store.write() as tx:
        run = runs.start(tx, "tick", process, moment(at))
        if ended:
            runs.finish(tx, run, moment(at), {"standing": standing})


DEAD = app.process_name().rpartition("/")[0] + "/0"


@pytest.mark.parametrize(
    ("process", "ended", "standing", "says"),
    [
        (DEAD, True, True, 'not running: "gazet run" ended after its round of Tue 2026-11-24 08:30'),
        (DEAD, True, False, "run --once, last Tue 2026-11-24 08:30"),
        (DEAD, False, True, "stopped in the middle of its round of Tue 2026-11-24 08:30: killed, or the machine went down"),
        ("elsewhere:pid/boot/7/8", True, True, "last round Tue 2026-11-24 08:30, in another container or on another machine"),
        (app.process_name(), True, True, f"runs (pid {os.getpid()}), last round Tue 2026-11-24 08:30, 30 minutes ago"),
        (app.process_name(), False, True, f"runs (pid {os.getpid()}); its round of Tue 2026-11-24 08:30 has lasted 30 minutes"),
    ],
    ids=["ended", "once", "killed", "elsewhere", "alive", "alive-in-a-round"],  # a pid in a name tells xdist's workers apart
)
def test_it_knows_whether_the_process_of_the_last_round_lives(
    world: World, process: str, ended: bool, standing: bool, says: str
) -> None:
    tick_of(world, process, "2026-11-24T08:30", ended=ended, standing=standing)
    assert lines_of(status(world, "2026-11-24T09:00"), "run")[0].startswith(says)


def test_mail_that_nobody_sends_needs_a_person(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web, relay=RELAY % ("smtp.example.org", 587))
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-22T09:00")
    world.run("2026-11-22T10:00")
    tick_of(world, DEAD, "2026-11-22T11:00", ended=True)
    [silent] = [one for one in status(world, "2026-11-23T10:00", "--json").json["needs"] if one["key"] == "run"]
    assert silent["what"] == "nothing runs, and feed po was due at 2026-11-23 07:00 UTC"
    assert "systemctl start gazet" in silent["fix"]
    early = status(world, "2026-11-23T08:30", "--json").json
    assert [one for one in early["needs"] if one["key"] == "run"] == [], "it may be starting again"


def test_a_relay_that_is_not_trusted_yet_says_what_is_missing(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web, relay=RELAY % ("smtp.example.org", 587))
    ended = status(world)
    assert "writes to no subscriber yet: site.url is still the example" in " ".join(lines_of(ended, "relay"))


def on_terminal(world: World, *words: str, columns: int = 80, rows: int = 24, **env: str) -> list[str]:
    """The lines as a person sees them on a terminal of that size."""
    world.close()
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    command = [sys.executable, "-m", "pipeline", "status", "--site", str(world.folder), *words]
    said = b""
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env={**clean, **env}):
        os.close(terminal)
        while chunk := _read(master):
            said += chunk
    os.close(master)
    return said.decode().replace("\r\n", "\n").splitlines()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError:  # the other side was closed
        return b""


def test_colours_only_on_a_terminal_that_wants_them(sent: World) -> None:
    at = ("--now", "2026-11-24T08:05")
    assert on_terminal(sent, *at)[0] == "\x1b[32m\x1b[1mPlatform Samen Opleiden: well\x1b[0m"
    assert on_terminal(sent, *at, NO_COLOR="1")[0] == "Platform Samen Opleiden: well"
    assert "\x1b" not in status(sent).out


def test_thirty_feeds_in_trouble_fit_one_screen(world: World) -> None:
    for number in range(30):
        world.web.serve(f"/{number}.xml", b"", status=503)
        world.write_feed(f"feed-{number:02}", url=world.web.url(f"/{number}.xml"))
    world.reopen()
    for number in range(30):
        world.subscribe(f"p{number}@example.org", feed=f"feed-{number:02}", cadence="daily", at="2026-11-22T09:00")
    world.run(EIGHT)
    at = ("--now", "2026-11-24T08:05")
    shown = on_terminal(world, *at)
    assert len(shown) <= 23, "the prompt needs a line, too"
    assert shown[0].startswith("\x1b[31m\x1b[1mPlatform Samen Opleiden: needs you: 30 things")
    text = "\n".join(shown)
    assert 'more: "gazet status --all" shows them' in text
    assert "more feeds" in text
    assert "sources  1 ok, 30 attention" in text
    assert len(on_terminal(world, *at, "--all")) > 90


def test_eight_feeds_that_are_well_are_all_shown(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    for number in range(7):
        world.write_feed(f"feed-{number:02}")
    world.reopen()
    for number in range(7):
        world.subscribe(f"p{number}@example.org", feed=f"feed-{number:02}", cadence="daily", at="2026-11-22T09:00")
    world.run(EIGHT)
    shown = on_terminal(world, "--now", "2026-11-24T08:05")
    assert len(shown) <= 23
    assert sum("2026-11-25 08:00" in line for line in shown) == 7
    assert any(line.strip().startswith("po ") and line.endswith("1 item, no subscriber yet") for line in shown)


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("columns", [30, 40, 80, 200])
def test_no_address_url_or_command_is_broken_in_two(sent: World, columns: int, everything: bool) -> None:
    url = sent.web.url("/feed.xml")
    sent.web.serve("/feed.xml", b"", status=503)
    sent.run("2026-11-24T09:00")
    found = report.status(sent.site)
    judged = report.judge(found, moment("2026-11-24T09:05"))
    _, _, shown = screen(found, judged, Paper("Europe/Amsterdam", columns), everything=everything)
    assert any(f'"gazet check {url}"' in line for line in shown)
    assert all(len(line) <= columns or _unbreakable(line) for line in shown), shown


def _unbreakable(line: str) -> bool:
    """One address, URL or command, and nothing beside it that could go on another line."""
    return " " not in re.sub(r'"gazet [^"]+"', "", line[9:]).strip(" !")


def test_status_works_beside_a_run(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.close()
    process = started(world, "run")
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if '"published"' in line:
                break
        ended = gazet("status", site=world.folder)
        assert lines_of(ended, "run")[0].startswith(f"runs (pid {process.pid}), last round ")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_status_changes_nothing(sent: World) -> None:
    before = _rows(sent)
    status(sent)
    assert _rows(sent) == before


def _rows(world: World) -> dict[str, Any]:
    from pipeline.store.schema import Base

    with world.site.store.read() as tx:
        return {table.name: [tuple(row) for row in tx.execute(table.select())] for table in Base.metadata.sorted_tables}
