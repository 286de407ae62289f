"""Published files and stored variants say what was really written and shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import select

from pipeline.errors import PublishError
from pipeline.jobs import publish_feed as job
from pipeline.publish import FORMATS
from pipeline.publish.compressed import names
from pipeline.publish.files import publish_files
from pipeline.store import outputs
from pipeline.store.schema import VariantRow
from tests.feed_rules import atom_faults, json_faults, rss_faults
from tests.integration.command import gazet
from tests.world import World, moment

AT = moment("2026-11-20T12:00")


def test_a_file_that_is_altered_while_it_is_published_is_noticed_the_next_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    world.run(AT)
    world.news("Tweede bericht", "2026-11-20T09:00")
    path = world.folder / "var/public/feeds/po.rss"

    def and_somebody_writes_too(folder: Path, slug: str, files: Mapping[str, bytes], mtime: datetime) -> None:
        publish_files(folder, slug, files, mtime)
        path.write_bytes(b"junk")
        os.utime(path, (mtime.timestamp(), mtime.timestamp()))

    with monkeypatch.context() as patch:
        patch.setattr(job, "publish_files", and_somebody_writes_too)
        world.run("2026-11-20T12:05")
    assert path.read_bytes() == b"junk"
    again = job.publish_feed(world.site, "po", moment("2026-11-20T12:10"))
    assert again.written
    assert b"Tweede bericht" in path.read_bytes()
    assert not job.publish_feed(world.site, "po", moment("2026-11-20T12:15")).written


def test_where_nothing_is_new_nothing_is_rendered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    world.run(AT)

    def not_again(*_: object) -> dict[str, bytes]:
        raise AssertionError("rendered")

    monkeypatch.setattr(job, "render_all", not_again)
    assert not job.publish_feed(world.site, "po", moment("2026-11-21T12:00")).written
    world.reopen()
    assert not job.publish_feed(world.site, "po", moment("2026-11-22T12:00")).written
    world.news("Tweede bericht", "2026-11-20T09:00")
    with pytest.raises(AssertionError, match="rendered"):
        _collect_and_publish(world)


def _collect_and_publish(world: World) -> None:
    world.run("2026-11-22T12:05")
    job.publish_feed(world.site, "po", moment("2026-11-22T12:05"))


def test_published_feeds_keep_the_rules_and_say_how_often_to_look(world: World) -> None:
    world.write_feed(every="90m", top='image = "https://www.example.org/logo.png"\nicon = "https://www.example.org/icon.png"')
    world.news("Eerste <b>bericht</b> & meer", "2026-11-20T09:00", text="<p>Een <i>tekst</i> met <a href='/x'>een verwijzing</a>")
    world.run(AT)
    public = world.folder / "var/public/feeds"
    rss = (public / "po.rss").read_bytes()
    assert (rss_faults(rss), atom_faults((public / "po.atom").read_bytes()), json_faults((public / "po.json").read_bytes())) == (
        [],
        [],
        [],
    )
    channel = etree.fromstring(rss)[0]
    assert (channel.findtext("ttl"), channel.findtext("image/url")) == ("90", "https://www.example.org/logo.png")
    page = (public / "po.html").read_text(encoding="utf-8")
    assert 'action="https://nieuws.example.org/subscribe/po"' in page
    assert 'href="https://nieuws.example.org/archive/po"' in page
    world.write_feed(digest="open = false")
    world.reopen()
    world.run("2026-11-20T12:30")
    page = (world.folder / "var/public/feeds/po.html").read_text()
    assert "<form" not in page, "it would lead to a page that says no"
    assert 'href="https://nieuws.example.org/archive/po"' in page


def test_what_a_killed_publisher_left_is_gone_when_the_feed_is_next_written(world: World) -> None:
    world.news("Eerste bericht", "2026-11-20T09:00")
    world.run(AT)
    public = world.folder / "var/public/feeds"
    (public / f".po.rss.{os.getpid()}-1.tmp").write_bytes(b"half")
    world.news("Tweede bericht", "2026-11-20T09:00")
    world.run("2026-11-20T12:05")
    assert {path.name.partition(".")[2] for path in public.iterdir()} <= {*names(FORMATS)}
    assert b"Tweede bericht" in (public / "po.rss").read_bytes()


def test_a_part_that_cannot_be_written_stops_neither_its_feed_nor_the_parts_after_it(world: World) -> None:
    world.write_feed(source='[publish]\ntopics = ["Bouw"]\ncategories = ["Bouw"]')
    world.news("Eerste bericht", "2026-11-20T09:00", topics=("Bouw",))
    public = world.folder / "var/public/feeds"
    (public / "po").mkdir(parents=True)
    (public / "po/category").write_text("in the way")
    world.run("2026-11-20T12:00")
    with pytest.raises(PublishError, match=r"category/bouw"):
        job.publish_feed(world.site, "po", moment("2026-11-20T12:10"))
    written = [public / "po.rss", public / "po/topic/bouw.rss"]
    assert all(b"Eerste bericht" in path.read_bytes() for path in written)
    with world.site.store.read() as tx:
        known = outputs.of_feed(tx, "po")
    assert [path for path, one in known.items() if not one.written_hash] == ["feeds/po/category/bouw"]
    (public / "po/category").unlink()
    assert job.publish_feed(world.site, "po", moment("2026-11-20T12:15")).parts == 1


def test_what_lies_under_a_former_name_goes_although_nothing_else_is_written(world: World) -> None:
    world.write_feed(top='aliases = ["oud"]')
    world.news("Eerste bericht", "2026-11-20T09:00")
    world.run(AT)
    old = world.folder / "var/public/feeds/oud.rss"
    old.write_text("for ever the same")
    assert not job.publish_feed(world.site, "po", moment("2026-11-20T12:05")).written
    assert not old.exists()


def test_a_variant_that_was_too_large_names_the_items_that_it_shows_and_counts_the_others(world: World) -> None:
    world.write_feed(digest="max_items = 100\nfirst_items = 100")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    for number in range(1, 91):
        world.news(f"Bericht {number:03}", "2026-11-20T09:00", text=f"{number} " + "een lang verhaal " * 100)
    world.run("2026-11-21T08:00")
    [mail] = world.mails
    shown = world.titles(mail)
    with world.site.store.read() as tx:
        [variant] = tx.execute(select(VariantRow.items, VariantRow.more, VariantRow.html)).all()
    assert 10 < len(shown) < 90
    assert (len(variant.items), variant.more) == (len(shown), 90 - len(shown))
    assert len(LexborHTMLParser(variant.html).css("h2")) == len(shown)


def test_check_renders_the_templates_as_every_feed_shows_them_without_store_or_secret(world: World) -> None:
    """A mistake in a template is found before the first item is there."""
    world.news("Eerste bericht", "2026-11-20T09:00")
    (world.folder / "var/secret").unlink()
    (world.folder / "var").rmdir()
    (world.folder / "templates").mkdir()
    (world.folder / "templates" / "digest.txt.j2").write_text("{{ digest.web_url }} {{ nothing_of_the_kind }}", encoding="utf-8")
    ended = gazet("check", site=world.folder)
    assert ended.code == 1
    assert "digest.txt.j2:1: UndefinedError: 'nothing_of_the_kind' is undefined" in ended.err
    assert not (world.folder / "var").exists()
