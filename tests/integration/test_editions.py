"""Who gets which item when: the promises of the item account, on whole sites with real files and mails."""

from pathlib import Path

import pytest

from pipeline.errors import TemplateFault
from pipeline.jobs import operate, people
from pipeline.models import ItemStatus
from pipeline.store import items
from tests.servers.web import WebServer
from tests.world import World, moment


def test_the_walk_through_of_one_tuesday(any_world: World) -> None:
    """Weekly A, daily B, instant D, New York's C and topic reader E, as docs/architecture.md tells it."""
    world = any_world
    for number in range(1, 91):
        world.news(f"Bericht {number:03}.", "2026-11-16T09:00")
    world.subscribe("a@example.org", cadence="weekly", weekday="tuesday", at="2026-11-01T00:00")
    world.run("2026-11-16T12:00")
    world.run("2026-11-17T08:00")  # A is settled up to 90
    for number in range(91, 101):
        world.news(f"Bericht {number:03}.", "2026-11-22T09:00")
    world.subscribe("b@example.org", cadence="daily", at="2026-11-22T09:00")
    world.subscribe("c@example.org", cadence="daily", timezone="America/New_York", at="2026-11-22T09:00")
    world.subscribe("e@example.org", cadence="daily", topics="Zeldzaam", at="2026-11-22T09:00")
    world.subscribe("d@example.org", cadence="instant", at="2026-11-22T09:00")
    world.run("2026-11-22T10:00")  # instant D gets them
    world.run("2026-11-23T16:00")  # B is overdue by eight hours: tomorrow; New York's C is due at 14:00, two hours ago
    for number in range(101, 106):
        world.news(f"Bericht {number:03}.", "2026-11-23T20:00")

    tuesday = world.run("2026-11-24T08:00")
    assert tuesday.problems == []
    [edition] = [opened for opened in tuesday.opened if opened.label]
    assert edition.label == "po/2026-11-24T08:00"
    assert world.got("a@example.org")[-1] == [f"Bericht {number:03}." for number in range(105, 90, -1)]
    assert world.got("b@example.org")[-1][:5] == [f"Bericht {number:03}." for number in range(105, 100, -1)]
    assert world.got("e@example.org") == []

    world.news("Bericht 106.", "2026-11-24T10:30")
    world.run("2026-11-24T11:00")
    assert world.got("d@example.org")[-1] == ["Bericht 106."]
    world.run("2026-11-24T14:00")
    assert world.got("c@example.org")[-1] == [f"Bericht {number:03}." for number in range(106, 100, -1)]
    world.subscribe("a@example.org", cadence="daily", at="2026-11-24T15:00")  # A turns daily: nothing lost or repeated
    world.run("2026-11-25T08:00")
    assert world.got("b@example.org")[-1] == ["Bericht 106."]
    assert world.got("a@example.org")[-1] == ["Bericht 106."]
    for address in "abcd":
        flat = [title for mail in world.got(f"{address}@example.org") for title in mail]
        assert len(flat) == len(set(flat)), f"{address} got an item twice"


def test_a_topic_reader_keeps_the_place_until_something_matches(world: World) -> None:
    world.news("Gewoon nieuws", "2026-11-20T09:00", topics=("Algemeen",))
    world.subscribe("eva@example.org", cadence="daily", topics="onderzoek", at="2026-11-20T10:00")
    world.run("2026-11-21T08:00")
    assert world.got("eva@example.org") == []
    world.news("Nieuw onderzoek", "2026-11-21T09:00", topics=("Onderzoek",))
    world.run("2026-11-22T08:00")
    world.run("2026-11-23T08:00")
    assert world.got("eva@example.org") == [["Nieuw onderzoek"]]


def test_the_same_moment_twice_sends_nothing_and_changes_no_byte(any_world: World) -> None:
    world = any_world
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily")
    world.run("2026-11-24T08:00")

    def disk() -> dict[str, tuple[int, bytes]]:
        files = [path for path in (world.folder / "var").rglob("*") if path.is_file() and "gazet.db" not in path.name]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = disk()
    again = world.run("2026-11-24T08:00")
    assert disk() == before
    assert again.sent is None
    assert again.opened == []


def test_three_days_down_make_one_digest(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-20T12:00")
    for day in (21, 22, 23):
        world.news(f"Van de {day}e", f"2026-11-{day}T09:00")
    report = world.run("2026-11-24T08:05")
    assert [opened.label for opened in report.opened] == ["po/2026-11-24T08:00"]
    assert world.got("ann@example.org") == [["Van de 23e", "Van de 22e", "Van de 21e", "Eerste"]]
    world.run("2026-11-24T09:00")
    assert len(world.got("ann@example.org")) == 1


def test_after_downtime_an_hour_that_is_still_to_come_is_kept(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-23T06:00")  # yesterday's 08:00 is long past, today's is two hours away
    assert world.mails == []
    world.run("2026-11-23T08:00")
    assert world.got("ann@example.org") == [["Eerste"]]


def test_a_digest_that_is_too_late_comes_the_next_day_at_its_time(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="weekly", weekday="tuesday", at="2026-11-20T10:00")
    world.run("2026-11-24T14:01")  # more than six hours after 08:00
    assert world.got("ann@example.org") == []
    world.run("2026-11-25T07:59")
    assert world.got("ann@example.org") == []
    world.run("2026-11-25T08:00")
    assert world.got("ann@example.org") == [["Eerste"]]
    world.news("Tweede", "2026-11-26T09:00")
    world.run("2026-11-26T10:00")
    assert len(world.got("ann@example.org")) == 1
    world.run("2026-12-01T08:00")  # and then on Tuesdays again
    assert world.got("ann@example.org")[1:] == [["Tweede"]]


@pytest.mark.parametrize(("day", "expected"), [("2026-10-25", "02:30"), ("2027-03-28", "03:30")])
def test_a_half_past_two_digest_goes_out_once_on_the_day_of_a_clock_change(world: World, day: str, expected: str) -> None:
    world.news("Nachtnieuws", f"{day}T00:10")
    world.subscribe("nacht@example.org", cadence="daily", time="02:30", at=f"{day}T00:05")
    labels = []
    for minutes in range(0, 6 * 60, 10):  # a tick every ten minutes through the night, in real time
        report = world.run(moment(f"{day}T00:20").replace() + minutes * (moment("2026-01-01T00:01") - moment("2026-01-01T00:00")))
        labels += [opened.label for opened in report.opened if opened.label]
    assert labels == [f"po/{day}T{expected}"]
    assert world.got("nacht@example.org") == [["Nachtnieuws"]]


def test_min_items_waits_and_max_items_names_the_rest(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web, digest="min_items = 2\nmax_items = 3")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-19T10:00")
    world.news("Een.", "2026-11-19T11:00")
    world.run("2026-11-20T08:00")
    assert world.mails == []
    for name in ("Twee.", "Drie.", "Vier.", "Vijf."):
        world.news(name, "2026-11-20T09:00")
    world.run("2026-11-21T08:00")
    [mail] = world.mails
    assert world.titles(mail) == ["Vijf.", "Vier.", "Drie."]
    body = mail.get_body(("plain",))
    assert body is not None
    assert "nog 2" in body.get_content()
    world.run("2026-11-22T08:00")
    assert len(world.mails) == 1  # the rest were settled, not kept for later
    world.close()


def test_a_first_collect_mails_the_newest_few_and_nothing_old(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web, digest='first_items = 2\nmax_age = "30d"')
    world.news("Heel oud", "2026-01-01T09:00")
    for name in ("A.", "B.", "C."):
        world.news(name, "2026-11-20T09:00")
    world.subscribe("voor@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-20T12:00")
    world.subscribe("na@example.org", cadence="daily", at="2026-11-20T13:00")
    world.news("Later", "2026-11-20T14:00")
    world.news("Teruggedateerd", "2026-02-01T09:00")
    world.run("2026-11-21T08:00")
    assert world.got("voor@example.org") == [["Later", "C.", "B."]]
    assert world.got("na@example.org") == [["Later", "C.", "B."]]
    feed = (world.folder / "var/public/feeds/po.rss").read_text(encoding="utf-8")
    assert "Heel oud" in feed
    assert "Teruggedateerd" in feed
    world.close()


def test_a_new_subscriber_gets_the_latest_few_and_what_comes_on_top(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web, digest="first_items = 2")
    world.run("2026-11-10T00:00")
    for name in ("A.", "B.", "C.", "D."):
        world.news(name, "2026-11-10T09:00")
        world.run(f"2026-11-1{len(world.entries)}T10:00")
    world.subscribe("nieuw@example.org", cadence="daily", at="2026-11-15T00:00")
    world.news("E.", "2026-11-15T07:00")
    world.run("2026-11-15T08:00")
    assert world.got("nieuw@example.org") == [["E.", "D.", "C."]]
    world.close()


def test_cancelled_and_expired_deliveries_come_in_the_next_digest(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-20T12:00")
    operate.set_paused(world.site, "outbox", True)
    world.run("2026-11-21T08:00")
    assert operate.cancel(world.site, "po/2026-11-21T08:00", moment("2026-11-21T08:01")) == 1
    world.news("Tweede", "2026-11-21T09:00")
    world.run("2026-11-22T08:00")
    world.run("2026-11-23T09:00")  # a day after its opening: expired, put back, and part of this one
    assert world.sums("po/2026-11-22T08:00") == {"expired": 1}
    operate.set_paused(world.site, "outbox", False)
    world.run("2026-11-24T08:00")
    assert world.got("ann@example.org") == [["Tweede", "Eerste"]]
    assert world.sums("po/2026-11-21T08:00") == {"cancelled": 1}


def test_what_expired_after_a_later_edition_was_opened_can_still_be_sent(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web, digest='deadline = "47h"')
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-20T12:00")
    operate.set_paused(world.site, "outbox", True)
    world.run("2026-11-21T08:00")
    world.news("Tweede", "2026-11-21T09:00")
    world.run("2026-11-22T08:00")  # opened beside the first, which is still waiting
    world.run("2026-11-23T07:30")  # the first is past its deadline; its cursor was moved by the second
    operate.set_paused(world.site, "outbox", False)
    world.run("2026-11-23T07:40")
    assert world.got("ann@example.org") == [["Tweede"]]
    assert operate.retry(world.site, "po/2026-11-21T08:00", moment("2026-11-23T07:45"), from_outbox=False) == 1
    world.run("2026-11-23T07:50")
    assert sorted(world.got("ann@example.org")) == [["Eerste"], ["Tweede"]]
    assert world.sums("po/2026-11-21T08:00") == {"accepted": 1}
    world.close()


def test_a_pending_subscriber_gets_nothing_until_activated_and_then_the_latest_few_and_what_comes(world: World) -> None:
    world.subscribe("ann@example.org", cadence="daily", status="pending", at="2026-11-19T10:00")
    world.news("Eerste", "2026-11-20T09:00")
    world.run("2026-11-21T08:00")
    assert world.mails == []
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-21T10:00")
    world.run("2026-11-22T08:00")
    assert world.got("ann@example.org") == [["Eerste"]]


def test_the_digest_is_in_the_subscribers_language_and_one_variant_serves_all_who_share_it(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    for name in ("ann", "bob"):
        world.subscribe(f"{name}@example.org", cadence="daily", at="2026-11-20T10:00")
    world.subscribe("eve@example.org", cadence="daily", language="en", at="2026-11-20T10:00")
    report = world.run("2026-11-21T08:00")
    assert [(opened.audience, opened.variants) for opened in report.opened] == [(3, 2)]
    bodies = {str(mail["To"]): str(mail.get_body(("plain",)).get_content()) for mail in world.mails}  # type: ignore[union-attr]
    assert "Unsubscribe" in bodies["eve@example.org"]
    assert "Afmelden" in bodies["ann@example.org"]
    assert [mail["Content-Language"] for mail in world.mails] == ["nl", "nl", "en"]


def test_message_ids_are_one_per_person_and_edition_and_links_are_signed_for_each(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.subscribe("bob@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-21T08:00")
    ann, bob = world.mails
    assert ann["Message-ID"] != bob["Message-ID"]
    assert ann["Message-ID"].endswith("@nieuws.example.org>")
    assert ann["Date"].datetime == moment("2026-11-21T08:00")
    for mail in (ann, bob):
        https, mailto = (part.strip(" <>") for part in mail["List-Unsubscribe"].split(","))
        token = https.removeprefix("https://nieuws.example.org/unsubscribe/")
        assert mailto.endswith(token)
        assert world.site.links.identity("unsubscribe", token) is not None
        assert world.site.links.identity("web", token) is None
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail["List-Id"].endswith("<po.nieuws.example.org>")
    assert ann["List-Unsubscribe"] != bob["List-Unsubscribe"]


def test_a_template_with_an_error_opens_nothing_stops_no_other_feed_and_is_mended_later(world: World) -> None:
    world.write_feed("tweede")
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.subscribe("bob@example.org", feed="tweede", cadence="daily", at="2026-11-20T10:00")
    (world.folder / "templates").mkdir()
    (world.folder / "templates/digest.txt.j2").write_text("{% if digest.feed_slug == 'po' %}{{ nope }}{% endif %}")
    world.reopen()
    report = world.run("2026-11-21T08:00")
    assert any("digest.txt.j2" in problem for problem in report.problems)
    assert world.got("ann@example.org") == []
    assert len(world.got("bob@example.org")) == 1
    (world.folder / "templates/digest.txt.j2").unlink()
    world.reopen()
    assert world.run("2026-11-21T08:10").problems == []
    assert world.got("ann@example.org") == [["Eerste"]]


def test_a_template_error_names_file_and_line(world: World) -> None:
    (world.folder / "templates").mkdir()
    (world.folder / "templates/digest.txt.j2").write_text("een\n{% endif %}\n")
    with pytest.raises(TemplateFault, match=r"digest\.txt\.j2:2"):
        world.site.texts.render("digest.txt.j2", "nl")


def test_a_held_item_is_in_no_feed_and_no_digest_until_it_is_released(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.news("Twijfel", "2026-11-20T10:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    world.run("2026-11-20T12:00")
    with world.site.store.read() as tx:
        [doubt] = [one for one in items.listing(tx) if one.title == "Twijfel"]
    operate.hold(world.site, doubt.id, moment("2026-11-20T13:00"))
    world.run("2026-11-21T08:00")
    assert world.got("ann@example.org") == [["Eerste"]]
    assert "Twijfel" not in (world.folder / "var/public/feeds/po.rss").read_text(encoding="utf-8")
    operate.release(world.site, doubt.id, moment("2026-11-21T09:00"))
    world.run("2026-11-22T08:00")
    assert world.got("ann@example.org") == [["Eerste"], ["Twijfel"]]
    assert operate.discard(world.site, doubt.id, moment("2026-11-22T09:00")) is ItemStatus.WITHDRAWN
    world.run("2026-11-22T10:00")
    assert "Twijfel" not in (world.folder / "var/public/feeds/po.rss").read_text(encoding="utf-8")


def test_one_source_in_two_feeds_is_polled_once_and_numbered_in_each(world: World) -> None:
    world.write_feed("tweede")
    world.news("Eerste", "2026-11-20T09:00")
    report = world.run("2026-11-20T12:00")
    assert [collected.feeds for collected in report.collected] == [("po", "tweede")]
    assert len(world.web.requests) == 1
    for slug in ("po", "tweede"):
        assert "Eerste" in (world.folder / f"var/public/feeds/{slug}.json").read_text(encoding="utf-8")


def test_a_bad_source_stops_no_other_and_is_said_once(world: World) -> None:
    world.write_feed("stuk", url=world.web.url("/weg"))
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    first = world.engine("2026-11-21T08:00")
    first.once()
    [problem] = first.fresh_problems()
    assert "/weg" in problem.what
    assert "404" in problem.what
    assert world.got("ann@example.org") == [["Eerste"]]
    second = world.engine("2026-11-21T12:00")
    second.once()
    assert second.fresh_problems() == []
    world.web.serve("/weg", world.web.url("/").encode(), content_type="text/plain")


def test_someone_who_unsubscribed_gets_nothing_more_and_an_import_does_not_bring_them_back(world: World) -> None:
    world.news("Eerste", "2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    assert people.unsubscribe(world.site, "ANN@example.org", None, moment("2026-11-20T11:00")) == ["po"]
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T12:00")
    world.run("2026-11-21T08:00")
    assert world.mails == []
