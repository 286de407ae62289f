"""Settings, clocks and sources change under a running site: nothing is mailed twice, nothing is lost without a word."""

import stat
from pathlib import Path

from sqlalchemy import update

from pipeline.jobs import report
from pipeline.store import runs, sources
from pipeline.store.schema import SourceRow
from tests.servers.web import WebServer
from tests.world import World, moment


def titles(world: World, slug: str) -> list[str]:
    """The published titles of a feed, as its JSON says."""
    import json

    document = json.loads((world.folder / f"var/public/feeds/{slug}.json").read_text(encoding="utf-8"))
    return [item["title"] for item in document["items"]]


def test_an_edited_source_address_makes_no_item_new(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.news("Tweede", "2026-11-20T10:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-21T08:00")
    world.write_feed(url=world.web.url("/feed.xml?oud=nee"))
    world.web.redirect("/feed.xml?oud=nee", world.web.url("/feed.xml"))
    world.reopen()
    world.run("2026-11-22T08:00")
    world.news("Derde", "2026-11-22T09:00")
    world.run("2026-11-23T08:00")
    assert world.got("ann@example.org") == [["Tweede", "Eerste"], ["Derde"]]
    assert titles(world, "po") == ["Derde", "Tweede", "Eerste"]


def test_the_same_story_in_two_sources_of_a_feed_is_one_item_and_keeps_one_text(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web)
    body = (
        '<rss version="2.0"><channel><title>Ander</title><link>http://x.example/</link><item><title>Eerste, ingekort</title>'
        f'<link>{web.url("/1/")}</link><guid isPermaLink="false">ander-1</guid></item></channel></rss>'
    )
    web.serve("/ander.xml", body.encode(), content_type="application/rss+xml")
    path = world.folder / "feeds/po.toml"
    path.write_text(path.read_text().replace("[digest]", f'[[source]]\nurl = "{web.url("/ander.xml")}"\nevery = "1m"\n[digest]'))
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    for at in ("2026-11-20T12:00", "2026-11-20T13:00", "2026-11-21T08:00", "2026-11-22T08:00"):
        world.run(at)
    assert len(world.mails) == 1
    assert len(titles(world, "po")) == 1
    first = titles(world, "po")
    world.run("2026-11-22T09:00")
    assert titles(world, "po") == first, "two sources do not take turns in changing it"
    world.close()


def test_a_feed_that_joins_a_known_source_is_filled_and_mails_only_the_newest_few(world: World) -> None:
    for number in range(1, 9):
        world.news(f"Bericht {number}", "2026-11-20T09:00")
    world.run("2026-11-20T12:00")
    world.write_feed("nieuw", digest="first_items = 2")
    world.reopen()
    world.subscribe("ann@example.org", feed="nieuw", cadence="daily", at="2026-11-20T13:00")
    world.run("2026-11-20T14:00")
    assert len(titles(world, "nieuw")) == 8
    world.run("2026-11-21T08:00")
    assert world.got("ann@example.org") == [["Bericht 8", "Bericht 7"]]


def test_a_feed_file_that_is_gone_is_said_and_one_that_comes_back_goes_on(world: World) -> None:
    world.write_feed("blijft")
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-21T08:00")
    text = (world.folder / "feeds/po.toml").read_text()
    (world.folder / "feeds/po.toml").unlink()
    world.reopen()
    world.news("Tweede", "2026-11-21T09:00")
    world.run("2026-11-22T08:00")
    assert report.status(world.site).orphans == ("po",)
    (world.folder / "feeds/po.toml").write_text(text)
    world.reopen()
    world.run("2026-11-23T08:00")
    assert world.got("ann@example.org") == [["Eerste"], ["Tweede"]]
    assert report.status(world.site).orphans == ()


def test_a_clock_that_was_ten_years_ahead_stops_nothing(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.subscribe("bob@example.org", cadence="weekly", at="2026-11-20T10:00")
    world.run("2036-11-21T08:00")
    world.news("Tweede", "2026-11-22T09:00")
    world.run("2026-11-22T10:00")
    world.run("2026-11-23T08:00")
    world.run("2026-11-24T08:00")
    assert [mail for mail in world.got("ann@example.org") if "Tweede" in mail] == [["Tweede"]]
    assert any("Tweede" in mail for mail in world.got("bob@example.org"))


def test_new_content_never_has_an_older_or_the_same_time(world: World) -> None:
    path = world.folder / "var/public/feeds/po.rss"
    times = []
    for number, at in enumerate(
        ("2026-11-20T12:00", "2026-11-20T12:02", "2026-11-20T12:02", "2026-11-20T11:00", "2026-11-19T12:00"), 1
    ):
        world.news(f"Bericht {number}", "2026-11-20T09:00")
        with world.site.store.write() as tx:
            for source in sources.sources(tx):
                tx.execute(update(SourceRow).where(SourceRow.id == source.id).values(next_poll_at=moment(at)))
        world.run(at)
        times.append(path.stat().st_mtime)
    assert times == sorted(set(times)), times


def test_only_its_owner_reads_the_store_the_secret_and_the_outbox(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-21T08:00")
    for name in ("gazet.db", "secret", "outbox"):
        mode = stat.S_IMODE((world.folder / "var" / name).stat().st_mode)
        assert mode & 0o077 == 0, f"{name} is {mode:o}"
    assert (world.folder / "var/public/feeds/po.rss").stat().st_mode & 0o044 == 0o044


def test_a_title_with_quotes_and_backslashes_is_a_sender_all_the_same(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web)
    for name, old, new in (
        ("gazet.toml", '"Platform Samen Opleiden"', "'De \"krant\" \\ van ’t dorp\\'"),
        ("feeds/po.toml", 'from = "Samen Opleiden <nieuws@example.org>"', ""),
    ):
        path = world.folder / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-21T08:00")
    [mail] = world.mails
    assert mail["From"].addresses[0].addr_spec == "redactie@example.org"
    assert mail["From"].addresses[0].display_name == 'De "krant" \\ van ’t dorp\\'
    world.close()


def test_a_source_with_a_very_long_address_that_fails_is_recorded_with_its_reason(any_world: World) -> None:
    world = any_world
    world.write_feed(url=world.web.url("/" + "lang" * 100))
    world.reopen()
    world.run("2026-11-21T08:00")
    with world.site.store.read() as tx:
        [problem] = runs.problems(tx)
    assert "404" in problem.what
