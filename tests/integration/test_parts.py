"""Feeds of topics, categories and sources: where they are, what is in them, and that they change only when that does."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import feedparser
import pytest
from lxml import etree

from pipeline.jobs import operate
from pipeline.jobs import publish_feed as job
from pipeline.publish import FORMATS
from pipeline.store import outputs
from tests.feed_rules import atom_faults, json_faults, rss_faults
from tests.integration.command import gazet
from tests.served import Served
from tests.world import World, moment

ATOM = {"a": "http://www.w3.org/2005/Atom"}
TOPICS = '[publish]\ntopics = ["Onderwijs", "Zorg & welzijn"]'


def public(world: World) -> Path:
    return world.folder / "var/public/feeds"


def state(world: World) -> dict[str, tuple[str, float]]:
    """Bytes and time of every published file."""
    root = public(world)
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime) for path in files}


def items(world: World, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((public(world) / f"{name}.json").read_text())["items"]
    return found


def titles(world: World, name: str) -> list[str]:
    return [one["title"] for one in items(world, name)]


def changed(before: dict[str, tuple[str, float]], after: dict[str, tuple[str, float]]) -> set[str]:
    """The feeds, without extensions, of which any file is another one."""
    return {name.partition(".")[0] for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def faults(world: World, name: str) -> list[str]:
    rss, atom, data = ((public(world) / f"{name}.{extension}").read_bytes() for extension in ("rss", "atom", "json"))
    return [*rss_faults(rss), *atom_faults(atom), *json_faults(data)]


def test_a_topic_feed_changes_when_its_own_items_do_and_never_else(world: World) -> None:
    world.write_feed(source=TOPICS)
    world.news("Scholen open", "2026-11-20T09:00", topics=("onderwijs",))
    world.news("Wachtlijsten", "2026-11-20T10:00", topics=("Zorg  & Welzijn",))
    world.news("Het weer", "2026-11-20T11:00")
    world.run("2026-11-20T12:00")
    first = state(world)
    assert {name.partition(".")[0] for name in first} == {"po", "po/topic/onderwijs", "po/topic/zorg-welzijn"}
    assert titles(world, "po/topic/onderwijs") == ["Scholen open"]
    assert titles(world, "po/topic/zorg-welzijn") == ["Wachtlijsten"]
    assert not faults(world, "po/topic/onderwijs")
    own, part = (feedparser.parse((public(world) / f"{name}.atom").read_bytes()) for name in ("po", "po/topic/onderwijs"))
    assert part.entries[0].id in {one.id for one in own.entries}
    assert part.feed.id != own.feed.id

    world.run("2026-11-20T12:05")
    world.reopen()
    world.run("2026-11-21T12:05")
    assert state(world) == first

    world.rewrite(1, "Scholen weer open")
    world.run("2026-11-21T13:00")
    second = state(world)
    assert changed(first, second) == {"po", "po/topic/onderwijs"}
    [entry] = items(world, "po/topic/onderwijs")
    assert entry["id"] == part.entries[0].id
    assert (entry["date_published"], entry["date_modified"]) == ("2026-11-20T08:00:00+00:00", "2026-11-21T12:00:00+00:00")

    waiting = operate.withdraw(world.site, _id(world, "Wachtlijsten"), moment("2026-11-21T14:00"))
    world.run("2026-11-21T14:00")
    third = state(world)
    assert changed(second, third) == {"po", "po/topic/zorg-welzijn"}
    assert titles(world, "po/topic/zorg-welzijn") == []
    assert "Wachtlijsten" not in titles(world, "po")
    world.run("2026-11-21T15:00")  # the source still shows it
    assert state(world) == third
    operate.restore(world.site, waiting.item)
    world.run("2026-11-21T16:00")
    assert titles(world, "po/topic/zorg-welzijn") == ["Wachtlijsten"]
    assert waiting.numbers == _numbers(world, waiting.item)


def _id(world: World, title: str) -> int:
    from pipeline.store import items as stored

    with world.site.store.read() as tx:
        return next(one.id for one in stored.listing(tx) if one.title == title)


def _numbers(world: World, item: int) -> dict[str, int]:
    from pipeline.store import feed_items

    with world.site.store.read() as tx:
        return feed_items.numbers_of(tx, item)


def test_a_part_that_was_altered_or_lost_is_written_again_with_its_own_moment(world: World) -> None:
    world.write_feed(source=TOPICS)
    world.news("Scholen open", "2026-11-20T09:00", topics=("Onderwijs",))
    world.run("2026-11-20T12:00")
    before = state(world)
    (public(world) / "po/topic/onderwijs.rss").write_bytes(b"junk")
    (public(world) / "po/topic/zorg-welzijn.html").unlink()
    done = job.publish_feed(world.site, "po", moment("2026-11-25T12:00"))
    assert (done.written, done.parts) == (True, 2)
    assert state(world) == before
    assert not job.publish_feed(world.site, "po", moment("2026-11-25T12:05")).written


def test_what_was_committed_before_a_publisher_was_killed_is_what_is_written_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 5: the moment of a change is the one at which it was first seen."""
    world.write_feed(source=TOPICS)
    world.news("Scholen open", "2026-11-20T09:00", topics=("Onderwijs",))

    def killed(folder: Path, name: str, files: dict[str, bytes], mtime: datetime) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(job, "publish_files", killed)
        with pytest.raises(KeyboardInterrupt):
            world.run("2026-11-20T12:00")
    assert not public(world).exists()
    world.run("2026-11-20T15:00")
    assert {mtime for _, mtime in state(world).values()} == {moment("2026-11-20T12:00").timestamp()}


def test_a_topic_that_leaves_the_settings_takes_its_files_along_and_a_renamed_feed_leads_to_the_new_ones(world: World) -> None:
    world.write_feed(source=TOPICS)
    world.news("Scholen open", "2026-11-20T09:00", topics=("Onderwijs",))
    world.run("2026-11-20T12:00")
    world.write_feed(source='[publish]\ntopics = ["Onderwijs"]')
    world.reopen()
    world.run("2026-11-20T12:05")
    assert {path.name for path in (public(world) / "po/topic").iterdir()} <= set(_files("onderwijs"))
    ids = atom_ids(world, "po"), atom_ids(world, "po/topic/onderwijs")
    assert ids[0] != ids[1]
    (world.folder / "feeds/po.toml").unlink()
    world.write_feed("nieuw", top='aliases = ["po"]', source='[publish]\ntopics = ["Onderwijs"]')
    world.reopen()
    world.run("2026-11-20T12:10")
    assert (atom_ids(world, "nieuw"), atom_ids(world, "nieuw/topic/onderwijs")) == ids, "readers know it again (RFC 4287 §4.2.6)"
    assert not (public(world) / "po").exists()
    assert titles(world, "nieuw/topic/onderwijs") == ["Scholen open"]
    with world.site.store.read() as tx:
        assert [one.path for one in outputs.parts(tx, "nieuw")] == ["feeds/nieuw/topic/onderwijs"]
    with Served(world) as served:
        moved = served.get("/feeds/po/topic/onderwijs.rss")
        assert (moved.status, moved.headers["location"]) == (301, f"{served.url}/feeds/nieuw/topic/onderwijs.rss")
        assert served.get("/feeds/po/topic/a%0d%0ab.rss").status == 404
        assert served.get("/feeds/nieuw/topic/onderwijs.rss").headers["content-type"].startswith("application/rss+xml")
    world.write_feed("nieuw", top='aliases = ["po"]')
    world.reopen()
    world.run("2026-11-20T12:15")
    assert not (public(world) / "nieuw").exists()


def atom_ids(world: World, path: str) -> list[str]:
    """The feed's own, then those of its entries."""
    return [str(one.text) for one in etree.parse(public(world) / f"{path}.atom").iter("{http://www.w3.org/2005/Atom}id")]


def _files(name: str) -> list[str]:
    return [f"{name}.{extension}{coding}" for extension in FORMATS for coding in ("", ".gz", ".br")]


def test_categories_get_feeds_of_their_own_and_keep_their_addresses_among_foreign_and_like_words(world: World) -> None:
    world.write_feed(source="[publish]\ncategories = true")
    world.news("Eén", "2026-11-20T09:00", topics=("Café", "教育", "C++"))
    world.run("2026-11-20T12:00")
    first = _categories(world)
    assert first.keys() == {"Café", "教育", "C++"}
    assert first["Café"] == "cafe"
    assert first["教育"].isascii()
    world.news("Twee", "2026-11-20T10:00", topics=("cafe", "C", "../../x", "<b>\x00"))
    world.run("2026-11-20T12:05")
    second = _categories(world)
    assert second.items() >= first.items()
    assert len(set(second.values())) == len(second)
    assert second["cafe"].startswith("cafe-")
    assert (second["C"], second["../../x"]) == ("c", "x")
    assert {path.parent.name for path in world.folder.rglob("*.rss")} == {"feeds", "category"}
    assert titles(world, f"po/category/{second['cafe']}") == ["Twee"]


def _categories(world: World) -> dict[str, str]:
    with world.site.store.read() as tx:
        return {one.title: one.path.rpartition("/")[2] for one in outputs.parts(tx, "po")}


def test_a_withdrawn_item_makes_room_in_its_category_and_the_last_one_takes_the_feed_of_it_along(world: World) -> None:
    world.write_feed(source="[publish]\nitems = 1\ncategories = true")
    for number in (1, 2):
        world.news(f"Bericht {number}", f"2026-11-20T0{number}:00", topics=("Zorg",))
    world.run("2026-11-20T12:00")
    assert titles(world, "po/category/zorg") == ["Bericht 2"]
    operate.withdraw(world.site, _id(world, "Bericht 2"), moment("2026-11-20T13:00"))
    world.run("2026-11-20T13:00")
    assert titles(world, "po/category/zorg") == ["Bericht 1"]
    operate.withdraw(world.site, _id(world, "Bericht 1"), moment("2026-11-20T14:00"))
    world.run("2026-11-20T14:00")
    assert {name.partition(".")[0] for name in state(world)} == {"po"}


SOURCES = """\
title = "Onderwijs: alles"
[[source]]
url = "{0}"
title = "De <b>eerste</b> & beste"
every = "1m"
[[source]]
url = "{1}"
every = "1m"
[publish]
sources = true
[digest]
cadence = "daily"
first_items = 10
"""


def test_items_of_several_sources_say_whose_they_are_in_every_format_and_in_the_mail(world: World) -> None:
    other = b'<rss version="2.0"><channel><title>Het andere blad</title><link>%s</link><item><title>Tweede</title><link>%s</link>'
    link = world.web.url("/ander/2").encode()
    body = other % (link, link) + b"<pubDate>Fri, 20 Nov 2026 09:00:00 GMT</pubDate></item></channel></rss>"
    world.web.serve("/other.xml?key=geheim", body, content_type="application/rss+xml")
    text = SOURCES.format(world.web.url("/feed.xml"), world.web.url("/other.xml?key=geheim"))
    (world.folder / "feeds/po.toml").write_text(text, encoding="utf-8")
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", time="08:00", at="2026-11-20T11:00")
    world.run("2026-11-20T12:00")
    world.run("2026-11-21T08:00")
    assert not faults(world, "po")
    whose = {"Eerste": "De <b>eerste</b> & beste", "Tweede": "Het andere blad"}
    rss = etree.parse(public(world) / "po.rss")
    urls = {"Eerste": world.web.url("/feed.xml"), "Tweede": world.web.url("/other.xml")}
    assert {one.findtext("title"): one.find("source").get("url") for one in rss.iter("item")} == urls
    assert {one.findtext("title"): one.findtext("source").replace("\N{WORD JOINER}", "") for one in rss.iter("item")} == whose
    assert {one["title"]: one["_source"]["title"] for one in items(world, "po")} == whose
    entries = etree.parse(public(world) / "po.atom").findall("a:entry", ATOM)
    assert {one.findtext("a:title", namespaces=ATOM): one.find("a:source/a:link", ATOM).get("href") for one in entries} == urls
    assert not [path for path in public(world).rglob("*") if path.is_file() and b"geheim" in path.read_bytes()]
    [page, mail] = [(public(world) / "po.html").read_text(), world.mails[0].get_body(("plain",)).get_content()]  # type: ignore[union-attr]
    assert "De &lt;b&gt;eerste&lt;/b&gt; &amp; beste</a>" in page
    assert "20 november 2026 10:00 · bron: Het andere blad" in mail.splitlines()
    assert {name.partition(".")[0] for name in state(world)} == {"po", "po/source/127-0-0-1", "po/source/127-0-0-1-other-xml"}
    assert titles(world, "po/source/127-0-0-1-other-xml") == ["Tweede"]
    with Served(world) as served:
        index = served.get("/").text
        assert f"{served.url}/feeds/po/source/127-0-0-1.html" in index
        assert f"{served.url}/archive/po" in index


def test_check_names_the_addresses_of_parts_before_anything_is_published(world: World) -> None:
    world.write_feed(source=TOPICS + "\ncategories = true")
    world.news("Scholen open", "2026-11-20T09:00")
    ended = gazet("check", "po", site=world.folder)
    assert "po: topic Zorg & welzijn: https://nieuws.example.org/feeds/po/topic/zorg-welzijn.rss" in ended.out
    assert "po: the 50 categories with most items" in ended.out


def test_a_mistake_in_the_settings_of_parts_is_named_with_its_fix(world: World) -> None:
    world.write_feed(source='[publish]\ntopics = "onderwijs"\ncategories = ["Zorg", "zorg"]')
    ended = gazet("check", site=world.folder)
    assert 'publish.topics: should be true, or a list such as ["Onderwijs", "Zorg"]' in ended.err
    assert 'publish.categories: names "zorg" twice' in ended.err
    world.write_feed(source="[publish]\ntopics = true")
    assert "no [[source.topic]] names one" in gazet("check", site=world.folder).err
