"""An item stays one item, whatever its sources do to guids, addresses, titles and order (promises 4, 5 and 11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import format_datetime
from html import escape
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from pipeline.collect import likeness
from pipeline.config import PageSettings
from pipeline.errors import UsageError
from pipeline.jobs import operate
from pipeline.jobs.collect_source import Collected, collect_source
from pipeline.jobs.take_settings import take_settings
from pipeline.models import FeedItem, ItemStatus, SourceKind
from pipeline.store import feed_items, items
from pipeline.store import sources as stored_sources
from tests.integration.command import gazet
from tests.servers.web import WebServer
from tests.world import World, moment

START = moment("2026-11-24T08:00")
TEXTS = (
    "Het kabinet trekt de komende vier jaar tachtig miljoen euro uit voor de begeleiding van startende leraren op school.",
    "In januari begint een nieuwe leergang voor schoolopleiders die hun rol willen verdiepen, met zes dagen in de regio.",
    "De vakbond noemt het voorstel van de werkgevers onvoldoende en beraadt zich de komende weken op verdere acties.",
    "Een basisschool in het centrum blijft dicht omdat een gesprongen leiding drie lokalen helemaal blank heeft gezet.",
    "Zij-instromers blijven vaker voor de klas staan dan lang werd gedacht, vooral waar de begeleiding goed is geregeld.",
)
TITLES = (
    "Tachtig miljoen voor startende leraren",
    "Leergang schoolopleiders van start",
    "Bond wijst voorstel van werkgevers af",
    "School dicht door lekkage",
    "Zij-instroom houdt stand",
)


@dataclass(frozen=True)
class Entry:
    """One entry of a feed; ``at`` empty: undated; ``guid`` empty: none."""

    guid: str
    url: str
    title: str
    text: str
    at: str = ""


def entry(number: int, **changes: str) -> Entry:
    made = Entry(
        f"guid-{number}",
        f"https://www.example.org/nieuws/bericht-{number}",
        TITLES[number % 5] if number < 5 else f"{TITLES[number % 5]} ({number})",
        TEXTS[number % 5],
        f"2026-11-{10 + number:02}T09:00",
    )
    return replace(made, **changes)


def rss(entries: list[Entry]) -> bytes:
    parts = [
        "<item>"
        + (f'<guid isPermaLink="false">{escape(one.guid)}</guid>' if one.guid else "")
        + f"<title>{escape(one.title)}</title><link>{escape(one.url)}</link><description>{escape(one.text)}</description>"
        + (f"<pubDate>{format_datetime(moment(one.at))}</pubDate>" if one.at else "")
        + "</item>"
        for one in entries
    ]
    return f'<rss version="2.0"><channel><title>Bron</title>{"".join(parts)}</channel></rss>'.encode()


class Sources:
    """A world whose feed ``po`` reads one or more RSS feeds, whose entries a test changes between collects."""

    def __init__(
        self,
        folder: Path,
        web: WebServer,
        paths: tuple[str, ...] = ("/feed.xml",),
        digest: str = "",
        other_host: str = "127.0.0.1",
    ) -> None:
        self.world = World(folder, web)
        self.web = web
        self.paths = paths
        self.now = START
        text = (folder / "feeds/po.toml").read_text(encoding="utf-8")
        more = "".join(
            f'[[source]]\nurl = "{web.url(path).replace("127.0.0.1", other_host)}"\nevery = "1m"\n' for path in paths[1:]
        )
        (folder / "feeds/po.toml").write_text(text.replace("[digest]", more + "[digest]"), encoding="utf-8")
        take_settings(self.world.site, self.now)

    def collect(self, *documents: list[Entry], after: timedelta = timedelta(hours=1)) -> list[Collected]:
        """Serve one document for each source, newest first, and collect them all, an hour after the last time."""
        self.now += after
        for path, entries in zip(self.paths, documents, strict=True):
            self.web.serve(path, rss(entries), content_type="application/rss+xml")
        with self.world.site.store.read() as tx:
            sources = sorted(stored_sources.sources(tx), key=lambda one: self.paths.index("/" + one.url.rpartition("/")[2]))
        done = [collect_source(self.world.site, source, self.now) for source in sources]
        assert not any(one.problem for one in done), done
        return done

    @property
    def shown(self) -> list[FeedItem]:
        """What the feed has, by number."""
        with self.world.site.store.read() as tx:
            return sorted(feed_items.newest(tx, "po", 1_000), key=lambda one: one.seq)

    @property
    def titles(self) -> list[str]:
        return [one.item.title for one in self.shown]

    def ids(self) -> dict[str, int]:
        return {one.item.title: one.item.id for one in self.shown}

    def reasons(self) -> list[str]:
        """Why anything was merged, in order."""
        return [one.reason for item in self.shown for one in operate.merges_of(self.world.site, item.item.id)]


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture
def one(tmp_path: Path, web: WebServer) -> Iterator[Sources]:
    made = Sources(tmp_path, web)
    yield made
    made.world.close()


@pytest.fixture
def two(tmp_path: Path, web: WebServer) -> Iterator[Sources]:
    made = Sources(tmp_path, web, ("/feed.xml", "/other.xml"))
    yield made
    made.world.close()


NEWS = [entry(3), entry(2), entry(1)]


def assert_same(sources: Sources, document: list[Entry], *, updated: int = 0) -> None:
    """That document is the same three items, with the same numbers; twice, for what was learned counts then."""
    before = [(shown.seq, shown.item.id, shown.item.identity) for shown in sources.shown]
    [done] = sources.collect(document)
    assert (done.new, done.updated) == (0, updated), done
    [again] = sources.collect(document)
    assert (again.new, again.updated) == (0, 0), again
    assert [(shown.seq, shown.item.id, shown.item.identity) for shown in sources.shown] == before


SPELLINGS = {
    "http": lambda url: url.replace("https:", "http:"),
    "tracking": lambda url: url + "?utm_source=rss&utm_medium=feed&fbclid=123",
    "amp-folder": lambda url: url + "/amp/",
    "amp-first": lambda url: url.replace(".org/", ".org/amp/"),
    "amp-parameter": lambda url: url + "?amp=1",
    "amp-host": lambda url: url.replace("www.", "amp."),
    "amp-html": lambda url: url + ".amp",
    "trailing-slash": lambda url: url + "/",
    "index": lambda url: url + "/index.html",
    "no-www": lambda url: url.replace("www.", ""),
    "mobile": lambda url: url.replace("www.", "m."),
    "percent": lambda url: url.replace("bericht", "%62ericht"),
    "fragment": lambda url: url + "#reacties",
    "port": lambda url: url.replace(".org", ".org:443"),
}


def test_an_address_in_another_spelling_is_the_same_item(one: Sources) -> None:
    """One after the other, at one site: http, tracking, AMP in five forms, slash, index.html, www., m. and so on."""
    plain = [replace(found, guid="") for found in NEWS]
    one.collect(plain)
    before = [(shown.seq, shown.item) for shown in one.shown]
    for name, spell in SPELLINGS.items():
        [done] = one.collect([replace(found, url=spell(found.url)) for found in plain])
        assert (done.new, done.updated) == (0, 0), name
        assert [(shown.seq, shown.item) for shown in one.shown] == before, name
    assert one.reasons() == []


def test_parameters_in_another_order_and_case_of_percent_encoding_are_the_same_item(one: Sources) -> None:
    one.collect([entry(1, guid="", url="https://example.org/?a=1&b=%c3%a9")])
    assert_same(one, [entry(1, guid="", url="https://example.org/?b=%C3%A9&a=1")])


def test_all_guids_changed_at_once_are_the_same_items_and_the_merges_are_told(one: Sources) -> None:
    one.collect(NEWS)
    assert_same(one, [replace(found, guid=f"urn:new:{found.guid}") for found in NEWS])
    assert one.reasons() == ["the same address"] * 3


def test_all_guids_and_addresses_from_http_to_https_at_once_are_the_same_items(one: Sources) -> None:
    plain = [replace(found, guid=found.url.replace("https", "http"), url=found.url.replace("https", "http")) for found in NEWS]
    one.collect(plain)
    assert_same(
        one,
        [replace(found, guid=found.url.replace("http:", "https:"), url=found.url.replace("http:", "https:")) for found in plain],
    )


def test_a_move_to_another_host_with_other_guids_is_the_same_items_by_title_and_day(one: Sources) -> None:
    one.collect(NEWS)
    moved = [
        replace(found, guid=f"new-{found.guid}", url=found.url.replace("www.example.org", "www.example.net")) for found in NEWS
    ]
    assert_same(one, moved, updated=3)
    assert all(reason.startswith("the same title and day as https://www.example.org/") for reason in one.reasons())


def test_a_guid_given_to_another_story_makes_a_new_item_and_overwrites_nothing(one: Sources) -> None:
    one.collect(NEWS)
    one.collect([entry(4, guid="guid-1"), *NEWS[:2]])
    assert one.titles == [TITLES[1], TITLES[2], TITLES[3], TITLES[4]]
    assert len({shown.item.identity for shown in one.shown}) == 4
    assert_same(one, [entry(4, guid="guid-1"), *NEWS[:2]])


def test_guids_that_count_places_never_overwrite_anything(one: Sources) -> None:
    """A feed whose guids are 1, 2, 3 … from the top, so that each new item moves them all."""
    for last in range(1, 9):
        listed = [entry(number, guid=str(last - number)) for number in range(last, max(0, last - 4), -1)]
        one.collect(listed)
        assert one.titles == [entry(number).title for number in range(1, last + 1)]


def test_one_guid_for_all_entries_hides_none_of_them(one: Sources) -> None:
    same = [replace(found, guid="https://www.example.org/") for found in NEWS]
    one.collect(same)
    assert len(one.shown) == 3
    assert_same(one, same)


def test_a_new_slug_with_the_old_guid_is_the_same_item(one: Sources) -> None:
    one.collect(NEWS)
    changed = [replace(NEWS[0], url="https://www.example.org/nieuws/een-andere-slak"), *NEWS[1:]]
    assert_same(one, changed, updated=1)
    assert_same(one, [replace(found, guid="") for found in changed])


def test_a_new_slug_and_title_with_the_old_guid_is_the_same_item_while_the_text_is(one: Sources) -> None:
    one.collect(NEWS)
    assert_same(
        one, [replace(NEWS[0], url="https://www.example.org/anders", title="Heel iets anders hierboven"), *NEWS[1:]], updated=1
    )


def test_a_new_slug_without_guids_is_the_same_item_by_title_and_day(one: Sources) -> None:
    plain = [replace(found, guid="") for found in NEWS]
    one.collect(plain)
    assert_same(one, [plain[0], replace(plain[1], url="https://www.example.org/nieuws/een-andere-slak"), plain[2]], updated=1)


def test_new_slugs_of_undated_entries_are_the_same_items_in_their_places(one: Sources) -> None:
    plain = [replace(found, guid="", at="") for found in NEWS]
    one.collect(plain)
    assert_same(one, [plain[0], replace(plain[1], url="https://www.example.org/slak-2"), plain[2]], updated=1)
    assert_same(one, [replace(found, url=f"https://www.example.org/p{place}") for place, found in enumerate(plain)], updated=3)


def test_an_undated_column_of_the_same_name_is_a_new_item_each_week(one: Sources) -> None:
    column = Entry("", "https://example.org/column-1", "Column: de week van de directeur", "")
    rest = [replace(entry(number), guid="", at="") for number in (2, 1)]
    one.collect([column, *rest])
    one.collect([replace(entry(3), guid="", at=""), replace(entry(4), guid="", at=""), *rest])
    one.collect([replace(column, url="https://example.org/column-2"), replace(entry(3), guid="", at=""), rest[0]])
    assert one.titles.count(column.title) == 2


def test_a_redirect_that_was_seen_is_learned(one: Sources) -> None:
    plain = [replace(found, guid="", at="") for found in NEWS]
    one.collect(plain)
    item = one.ids()[NEWS[0].title]
    with one.world.site.store.write() as tx:
        [source] = stored_sources.sources(tx, "po")
        items.learn_address(tx, source.id, item, "url:example.org/na-de-verhuizing")
    assert_same(
        one,
        [replace(plain[0], url="https://www.example.org/na-de-verhuizing/", title="Met een nieuwe titel"), *plain[1:]],
        updated=1,
    )


def test_an_edited_title_and_another_order_are_the_same_items(one: Sources) -> None:
    one.collect(NEWS)
    assert_same(one, [NEWS[2], replace(NEWS[0], title="Een heel andere kop"), NEWS[1]], updated=1)
    assert one.titles[2] == "Een heel andere kop"


def test_two_pages_that_only_differ_in_amp_stay_two(one: Sources) -> None:
    shop = Entry("", "https://example.org/winkel", "De winkel van de school", "Wat er te koop is bij ons, van pen tot etui.")
    amplifier = Entry("", "https://example.org/winkel/amp", "Een versterker voor de aula", "Nieuw geluid voor toneel en muziekles.")
    one.collect([shop, amplifier])
    assert len(one.shown) == 2
    assert_same(one, [shop, amplifier])
    one.collect([amplifier])
    assert len(one.shown) == 2


PRESS = Entry(
    "a-1",
    "https://a.example.org/tachtig",
    "Tachtig miljoen voor begeleiding van starters",
    TEXTS[0] + " Dat meldt de minister.",
    "2026-11-24T08:30",
)
EDITED = Entry(
    "b-9", "https://b.example.org/n/9", "Kabinet: tachtig miljoen voor begeleiding van starters", TEXTS[0], "2026-11-24T08:40"
)


def test_one_address_in_two_sources_is_one_item(two: Sources) -> None:
    two.collect([PRESS], [replace(PRESS, guid="elders", url=PRESS.url + "?utm_source=b", title="Kort")])
    assert two.titles == [PRESS.title]
    assert two.reasons() == ["the same address at another source"]


SPAM = Entry("a-5", "http://localhost/n/99", "Goedkope pillen kopen", "Bestel vandaag nog zonder recept, gratis bezorgd.", PRESS.at)
SCHOOL = Entry("b-5", SPAM.url, "Minister opent nieuwe school", TEXTS[3], PRESS.at)


def test_another_story_under_an_address_of_another_source_hides_nothing(two: Sources) -> None:
    for _ in range(3):
        two.collect([SPAM], [SCHOOL])
        assert [(shown.item.title, shown.item.url, shown.mailed) for shown in two.shown] == [
            (SPAM.title, SPAM.url, True),
            (SCHOOL.title, SPAM.url, True),
        ]
    assert two.reasons() == []


@pytest.mark.parametrize("status", [ItemStatus.HELD, ItemStatus.DISCARDED, ItemStatus.WITHDRAWN])
def test_what_is_held_or_dropped_of_one_source_hides_no_other_source_s_news(two: Sources, status: ItemStatus) -> None:
    two.collect([replace(SCHOOL, guid="a-5")], [])
    [first] = two.shown
    if status is ItemStatus.WITHDRAWN:
        operate.discard(two.world.site, first.item.id, two.now)
    else:
        operate.hold(two.world.site, first.item.id, two.now)
    if status is ItemStatus.DISCARDED:
        operate.discard(two.world.site, first.item.id, two.now)
    with two.world.site.store.read() as tx:
        assert items.status_of(tx, first.item.id) is status
    for new in (1, 0):
        assert [done.new for done in two.collect([replace(SCHOOL, guid="a-5")], [SCHOOL])] == [0, new]
        assert two.titles == [SCHOOL.title]
        assert two.shown[0].item.id != first.item.id


def test_what_is_released_after_another_source_told_it_is_not_shown_twice(two: Sources) -> None:
    mine = replace(SCHOOL, guid="a-5")
    two.collect([mine, entry(1)], [])
    held = two.ids()
    for item_id in held.values():
        operate.hold(two.world.site, item_id, two.now)
    two.collect([mine, entry(1)], [SCHOOL])
    assert sum(operate.release(two.world.site, item_id, two.now).joined for item_id in held.values()) == 1
    for _ in range(2):
        assert sorted(two.titles) == sorted([SCHOOL.title, TITLES[1]])
        assert [done.new for done in two.collect([mine, entry(1)], [SCHOOL])] == [0, 0]
    assert two.reasons() == ["the same address at another source"]


def test_an_address_on_a_source_s_own_host_shows_that_source_s_text(tmp_path: Path, web: WebServer) -> None:
    sources = Sources(tmp_path, web, ("/feed.xml", "/other.xml"), other_host="localhost")
    told = replace(SCHOOL, guid="a-5", title="School geopend door minister: klik hier", text=TEXTS[3] + " Klik hier voor meer.")
    sources.collect([told], [])
    [first] = sources.shown
    done = sources.collect([told], [SCHOOL])
    assert "1 is the same story as other sources of the feed have" in done[1].remarks
    for title in ("Klik hier: school door minister geopend", "Nog een titel over de school"):
        assert [(shown.seq, shown.item.id, shown.item.title) for shown in sources.shown] == [
            (first.seq, first.item.id, SCHOOL.title)
        ]
        done = sources.collect([replace(told, title=title)], [SCHOOL])
        assert [(one.new, one.updated, one.remarks) for one in done] == [(0, 0, ())] * 2
    sources.world.close()


def test_stories_that_other_sources_have_are_told_in_one_line(two: Sources) -> None:
    first = [PRESS, entry(1)]
    done = two.collect(first, [EDITED, replace(entry(1), guid="elders")])
    assert "2 are the same stories as other sources of the feed have" in done[1].remarks
    assert not any("same stor" in line for one in two.collect(first, [EDITED]) for line in one.remarks)


def test_one_story_in_two_sources_is_one_item_and_is_mailed_once(two: Sources) -> None:
    two.world.subscribe("ann@example.org", cadence="instant")
    two.collect([PRESS, entry(1)], [EDITED, entry(2)])
    assert two.titles.count(PRESS.title) == 1
    assert EDITED.title not in two.titles
    assert two.reasons() == [f"the same title and text as in {PRESS.url}"]
    for _ in range(2):
        assert [done.new for done in two.collect([PRESS, entry(1)], [EDITED, entry(2)])] == [0, 0]
    assert EDITED.title not in two.titles


def test_a_story_of_two_sources_has_the_topics_of_both_also_when_its_text_changes(two: Sources) -> None:
    feed = two.world.folder / "feeds/po.toml"
    text = feed.read_text(encoding="utf-8")
    begin, rest = text.split("[digest]", 1)
    topic = '[[source.topic]]\nname = "{}"\n'
    one, other = begin.rsplit("[[source]]", 1)
    feed.write_text(
        one + topic.format("beleid") + "[[source]]" + other + topic.format("praktijk") + "[digest]" + rest, encoding="utf-8"
    )
    two.world.reopen()
    two.collect([SCHOOL], [replace(SCHOOL, guid="b-1", url="https://www.example.net/school")])
    [item] = two.shown
    assert sorted(item.item.categories) == ["beleid", "praktijk"]
    two.collect([replace(SCHOOL, text=SCHOOL.text + " Later meer.")], [])
    [item] = two.shown
    assert item.item.summary.endswith("Later meer.")
    assert sorted(item.item.categories) == ["beleid", "praktijk"]


def test_a_story_that_an_older_source_had_before_a_second_one_was_added_is_found(two: Sources) -> None:
    two.collect([PRESS], [])
    two.collect([PRESS], [EDITED])
    assert two.titles == [PRESS.title]


def test_parts_of_a_series_in_two_sources_stay_apart(two: Sources) -> None:
    two.collect([replace(PRESS, title=PRESS.title + ", deel 1")], [replace(EDITED, title=EDITED.title + ", deel 2")])
    assert len(two.shown) == 2


def test_a_likeness_within_one_source_is_never_a_merge(one: Sources) -> None:
    one.collect([PRESS, EDITED])
    assert len(one.shown) == 2


def test_a_story_of_a_month_ago_is_another_one(two: Sources) -> None:
    two.collect([replace(PRESS, at="2026-10-20T08:00")], [EDITED])
    assert len(two.shown) == 2


def test_what_is_parted_is_an_item_of_its_own_that_is_mailed_and_never_merged_again(two: Sources) -> None:
    two.world.subscribe("ann@example.org", cadence="instant")
    two.collect([PRESS], [EDITED])
    [item] = two.shown
    [merge] = operate.merges_of(two.world.site, item.item.id)
    done = operate.unmerge(two.world.site, item.item.id, merge.id, two.now)
    assert (done.feeds, done.mailed) == (("po",), ("po",))
    assert [(shown.seq, shown.item.title, shown.mailed) for shown in two.shown] == [(1, PRESS.title, True), (2, EDITED.title, True)]
    for guid in ("b-9", "b-10"):
        two.collect([PRESS], [replace(EDITED, guid=guid, url=f"https://b.example.org/n/{guid}")])
        assert two.titles == [PRESS.title, EDITED.title]
    with pytest.raises(UsageError):
        operate.unmerge(two.world.site, item.item.id, merge.id, two.now)


def test_an_old_entry_that_is_parted_is_published_and_not_mailed(two: Sources) -> None:
    old = {"at": "2026-09-01T08:00"}
    two.collect([replace(PRESS, **old)], [replace(EDITED, **old)])
    [item] = two.shown
    [merge] = operate.merges_of(two.world.site, item.item.id)
    assert operate.unmerge(two.world.site, item.item.id, merge.id, two.now).mailed == ()


CHANGED = {2: "halve", 9: "extra", 15: "hulp", 21: "nieuwe", 27: "elke", 33: "iedere"}
LONG = (
    "Het kabinet trekt de komende vier jaar tachtig miljoen euro uit voor begeleiding van startende leraren, zodat minder van"
    " hen na korte tijd vertrekken; schoolbesturen mogen zelf kiezen hoe zij dat geld daarvoor gebruiken."
)
NEAR = [
    " ".join(CHANGED.get(place, word) if place in sorted(CHANGED)[: 3 * step] else word for place, word in enumerate(LONG.split()))
    for step in range(3)
]
"""The first and the last are like the one between them, and not like each other."""
CHAIN = [
    Entry(f"{name}-9", f"https://{name}.example.org/n/9", PRESS.title, text, PRESS.at)
    for name, text in zip(("een", "twee", "drie"), NEAR, strict=True)
]


@pytest.fixture
def three(tmp_path: Path, web: WebServer) -> Iterator[Sources]:
    made = Sources(tmp_path, web, ("/feed.xml", "/other.xml", "/third.xml"))
    yield made
    made.world.close()


def test_the_chain_of_these_tests_is_one() -> None:
    first, between, last = (likeness.told(one.title, one.text) for one in CHAIN)
    assert likeness.same_story(first, between) > 0 < likeness.same_story(between, last)
    assert likeness.same_story(first, last) == 0


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_story_in_three_sources_is_one_item_in_whatever_order_they_are_collected(three: Sources, order: tuple[int, ...]) -> None:
    documents: list[list[Entry]] = [[], [], []]
    for place, number in enumerate(order):
        documents[place] = [CHAIN[number], entry(place + 1)]
        three.collect(*documents)
    for _ in range(2):
        assert three.titles.count(PRESS.title) == 1
        assert len(three.shown) == 4
        three.collect(*documents)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_short_entry_with_the_address_of_one_joins_what_that_is_like(three: Sources, order: tuple[int, ...]) -> None:
    told = [CHAIN[0], CHAIN[1], replace(CHAIN[1], guid="kort", text="Kort bericht.")]
    documents: list[list[Entry]] = [[], [], []]
    for place, number in enumerate(order):
        documents[place] = [told[number]]
        three.collect(*documents)
    three.collect(*documents)
    assert len(three.shown) == 1


def test_the_third_source_joins_the_story_that_it_tells_and_not_the_other_at_the_same_address(three: Sources) -> None:
    three.collect([SPAM], [SCHOOL], [replace(SCHOOL, guid="c-5", text="De minister kwam zelf.")])
    assert three.titles == [SPAM.title, SCHOOL.title]


def test_two_items_that_became_one_are_two_again_and_nobody_gets_a_mail_twice(three: Sources) -> None:
    world = three.world
    world.subscribe("ann@example.org", cadence="instant")
    three.collect([CHAIN[0]], [CHAIN[2]], [])
    assert len(three.shown) == 2
    world.run(three.now)
    three.collect([CHAIN[0]], [CHAIN[2]], [CHAIN[1]])
    [left] = three.shown
    assert left.item.url == CHAIN[0].url
    joined = next(one for one in operate.merges_of(world.site, left.item.id) if one.url == CHAIN[2].url)
    done = operate.unmerge(world.site, left.item.id, joined.id, three.now)
    assert (done.other, done.feeds) == (joined.other, ("po",))
    for _ in range(2):
        three.collect([CHAIN[0]], [CHAIN[2]], [CHAIN[1]])
        world.run(three.now)
        assert [(shown.seq, shown.item.url) for shown in three.shown] == [(1, CHAIN[0].url), (2, CHAIN[2].url)]
    bodies = [mail.get_body(("plain",)) for mail in world.mails]
    lines = [line for body in bodies if body is not None for line in body.get_content().splitlines()]
    assert lines.count(PRESS.title) == 2


def test_two_entries_of_one_source_are_never_made_one_by_a_third(three: Sources) -> None:
    three.collect([CHAIN[0], CHAIN[2]], [CHAIN[1]], [])
    assert len(three.shown) == 2


def test_an_item_is_not_dropped_for_one_that_its_readers_would_not_get(three: Sources) -> None:
    three.world.subscribe("ann@example.org", cadence="weekly")
    three.collect([CHAIN[0]], [CHAIN[2]], [])
    [first, _] = three.shown
    operate.omit(three.world.site, [first.item.id], slug=None, undo=False)
    three.collect([CHAIN[0]], [CHAIN[2]], [CHAIN[1]])
    assert [(shown.item.url, shown.mailed) for shown in three.shown] == [(CHAIN[2].url, True)]


def test_a_held_item_and_what_is_parted_from_it_stay_held(two: Sources) -> None:
    two.collect([PRESS], [EDITED])
    [item] = two.shown
    operate.hold(two.world.site, item.item.id, two.now)
    [merge] = operate.merges_of(two.world.site, item.item.id)
    done = operate.unmerge(two.world.site, item.item.id, merge.id, two.now)
    assert (done.feeds, two.shown) == ((), [])
    with two.world.site.store.read() as tx:
        assert items.status_of(tx, done.other) is ItemStatus.HELD


def test_parting_gives_an_item_its_text_back(one: Sources) -> None:
    one.collect(NEWS)
    wrong = replace(NEWS[0], guid="another", title="Toch een ander bericht")
    one.collect([wrong, *NEWS[1:]])
    item = one.shown[2].item
    assert item.title == wrong.title
    [merge] = operate.merges_of(one.world.site, item.id)
    operate.unmerge(one.world.site, item.id, merge.id, one.now)
    assert one.titles == [NEWS[2].title, NEWS[1].title, NEWS[0].title, wrong.title]
    one.collect([wrong, *NEWS[1:]])
    assert len(one.shown) == 4


def test_entries_of_two_stored_items_delete_nothing_and_are_told(one: Sources) -> None:
    one.collect([entry(2), entry(1)])
    [done] = one.collect([entry(2, url=entry(1).url, title="Samengevoegd", text=TEXTS[2])])
    assert len(one.shown) == 2
    assert any("the identities of 2 items" in remark for remark in done.remarks)


def test_a_changed_item_keeps_its_former_versions_twenty_at_most(one: Sources) -> None:
    for number in range(24):
        one.collect(
            [entry(1, title=f"Kop {'abcdefghijklmnopqrstuvwxyz'[number]} van het bericht")], after=timedelta(days=1, hours=1)
        )
    [item] = one.shown
    found = operate.versions_of(one.world.site, item.item.id)
    assert [version.number for version in found] == [*range(4, 24), 0]
    assert found[-1].title == item.item.title


def test_a_clock_a_counter_and_a_nonce_in_the_text_change_nothing_that_is_published(one: Sources) -> None:
    def text(hour: int) -> str:
        return f"{TEXTS[1]} {hour} uur geleden. {120 + hour} keer bekeken. {hour} reacties. Het is nu {10 + hour}:05 uur."

    one.collect([entry(1, text=text(1))])
    before = one.shown
    for hour in range(2, 9):
        [done] = one.collect([entry(1, text=text(hour))])
        assert (done.new, done.updated) == (0, 0)
    assert one.shown == before


def test_updated_at_moves_for_a_change_and_not_for_a_return(one: Sources) -> None:
    one.collect([entry(1)])
    one.collect([entry(1, title="Met een fout")])
    wrong = one.shown[0].item
    [done] = one.collect([entry(1)])
    back = one.shown[0].item
    assert (back.title, back.updated_at, done.updated) == (TITLES[1], wrong.updated_at, 0)
    for title in ("Met een fout", TITLES[1]) * 5:
        one.collect([entry(1, title=title)])
        assert one.shown[0].item == back
    [done] = one.collect([entry(1, title="Met een fout")], after=timedelta(hours=30))
    assert (one.titles, done.updated) == (["Met een fout"], 1)


def test_an_item_of_an_earlier_version_is_neither_new_nor_updated(one: Sources) -> None:
    """Addresses with www. were kept as they are spelled, and another hash of the content."""
    from sqlalchemy import text

    from pipeline.collect.normalise import exact_key, former_hash, normalise
    from pipeline.collect.read import read

    plain = [replace(found, guid="") for found in NEWS]
    one.collect(plain)
    parsed = read(rss(plain), url=one.web.url("/feed.xml"), content_type="application/rss+xml", now=one.now, **_HOW)
    candidates, _ = normalise(parsed, base_url=one.web.url("/feed.xml"), language="nl", now=one.now)
    with one.world.site.store.write() as tx:
        for found in candidates:
            [key] = found.keys
            tx.execute(text("DELETE FROM item_origins WHERE key = :key"), {"key": found.title_key})
            tx.execute(text("UPDATE item_origins SET key = :new WHERE key = :key"), {"key": key, "new": exact_key(found.url)})
            tx.execute(
                text("UPDATE items SET content_hash = :hash WHERE url = :url"), {"hash": former_hash(found), "url": found.url}
            )
    assert_same(one, plain)
    assert one.reasons() == []


_HOW: dict[str, Any] = {
    "kind": SourceKind.FEED,
    "page": PageSettings(),
    "language": "nl",
    "zone": "Europe/Amsterdam",
    "max_items": 100,
}


def test_after_a_restore_a_merged_entry_that_is_found_first_gets_the_number_of_its_item(two: Sources) -> None:
    """The store is lost after both were found; only the second source is there when it is remade."""
    from pipeline.store.record import Numbered, newest_facts

    two.collect([PRESS], [EDITED])
    [told] = [fact for fact in newest_facts(two.world.folder / "var/record") if isinstance(fact, Numbered)][-1:]
    fresh = _remade(two, told.seq, told.identity, told.url)
    fresh.collect([], [EDITED])
    assert [(shown.seq, shown.item.title) for shown in fresh.shown] == [(told.seq, EDITED.title)]
    fresh.collect([PRESS], [EDITED])
    assert [shown.seq for shown in fresh.shown] == [told.seq]
    fresh.world.close()


def test_after_a_restore_a_guid_that_was_used_twice_gives_neither_the_number_of_the_other(one: Sources) -> None:
    from pipeline.store.record import Numbered, newest_facts

    one.collect([entry(1)])
    one.collect([entry(4, guid="guid-1")])
    facts = [fact for fact in newest_facts(one.world.folder / "var/record") if isinstance(fact, Numbered)]
    fresh = _remade(one, *(value for fact in facts for value in (fact.seq, fact.identity, fact.url)))
    fresh.collect([entry(4, guid="guid-1")])
    assert [(shown.seq, shown.item.title) for shown in fresh.shown] == [(2, TITLES[4])]
    fresh.world.close()


def _remade(lost: Sources, *told: object) -> Sources:
    """A new store that knows of the record only that these (number, identity, url) were given, as after a restore."""
    from pipeline.store import replay

    lost.world.close()
    for path in (lost.world.folder / "var").glob("gazet.db*"):
        path.unlink()
    fresh = Sources(lost.world.folder, lost.web, lost.paths)
    fresh.now = lost.now
    numbers = {int(str(told[place])): (str(told[place + 1]), str(told[place + 2])) for place in range(0, len(told), 3)}
    with fresh.world.site.store.write() as tx:
        replay.add_numbers(tx, "po", numbers)
    return fresh


def test_a_collect_of_fifty_items_takes_as_many_statements_as_one_of_five(tmp_path: Path, web: WebServer) -> None:
    counts = []
    for size in (5, 50):
        sources = Sources(tmp_path / str(size), web)
        said: list[str] = []
        event.listen(sources.world.site.store.engine, "before_cursor_execute", lambda *given, said=said: said.append(given[2]))
        listed = [entry(number, at="2026-11-20T09:00", title=f"Bericht {number} van vandaag") for number in range(size)]
        for document in (listed, listed, [replace(one, title=f"{one.title}!", guid=f"n{one.guid}") for one in listed]):
            sources.collect(document)
        counts.append(len(said))
        sources.world.close()
    assert counts[0] == counts[1]


def test_an_operator_sees_versions_and_merges_and_parts_them(two: Sources) -> None:
    two.collect([PRESS], [EDITED])
    two.collect([replace(PRESS, title="Een betere kop")], [EDITED])
    item = str(two.shown[0].item.id)
    two.world.close()
    site = two.world.folder
    assert f'title: "{PRESS.title}" → "Een betere kop"' in gazet("items", "versions", item, site=site).out
    listed = gazet("items", "unmerge", item, "--list", site=site).out
    assert f"the same title and text as in {PRESS.url}: {EDITED.title}" in listed
    done = gazet("items", "unmerge", item, "--now", "2026-11-24T20:00", site=site)
    assert f"is parted from item {item}: released in po" in done.out
    assert "undone" in gazet("items", "unmerge", item, site=site).out
    assert gazet("items", "versions", item, "--json", site=site).json[0]["version"]["title"] == PRESS.title
    assert gazet("items", "unmerge", item, "--json", site=site).json[0]["other"] is not None


STEPS = st.sampled_from(
    ["title", "text", "slug", "guid", "all-guids", "tracking", "https", "host", "order", "new", "new", "drop", "amp"]
)


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(STEPS, min_size=1, max_size=2), min_size=30, max_size=30), st.randoms(use_true_random=False))
def test_whatever_a_site_does_every_story_is_one_item_with_one_number(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[str]], chance: object
) -> None:
    """A model site over thirty collects; a story's words are its own, so that the items can be told apart."""
    with WebServer() as web:
        sources = Sources(tmp_path_factory.mktemp("site"), web)
        site = Model(chance)
        sources.collect(site.document())
        for steps in rounds:
            for step in steps:
                site.change(step)
            sources.collect(site.document(), after=timedelta(hours=7))
            stories = [one.item.summary.split()[0] for one in sources.shown]
            assert sorted(stories) == sorted(set(stories)), steps
            assert set(stories) == site.seen, steps
        sources.world.close()


class Model:
    """A site with stories; each has a word of its own at the start of its text, and all else about it may change."""

    def __init__(self, chance: object) -> None:
        self.chance = chance
        self.stories: list[Entry] = []
        self.number = 0
        self.seen: set[str] = set()
        self.spelling = ""
        self.scheme = "http"
        self.host = "www.example.org"
        for _ in range(4):
            self.change("new")

    def document(self) -> list[Entry]:
        self.seen |= {one.text.split()[0] for one in self.stories}
        base = f"{self.scheme}://{self.host}"
        return [replace(one, url=f"{base}{one.url}{self.spelling}") for one in self.stories]

    def change(self, step: str) -> None:
        place = self.chance.randrange(len(self.stories)) if self.stories else 0  # type: ignore[attr-defined]
        self.number += 1
        match step:
            case "new":
                self._add()
            case "drop" if len(self.stories) > 3:
                self.stories.pop()
            case "title":
                self._replace(place, title=f"Kop nummer {self.number} van iets")
            case "text":
                self._replace(place, text=f"{self.stories[place].text} En nog iets {self.number}.")
            case "slug":
                self._replace(place, url=f"/nieuws/slak-{self.number}")
            case "guid":
                self._replace(place, guid=f"g{self.number}")
            case "all-guids":
                self.stories = [replace(one, guid=f"v{self.number}-{count}") for count, one in enumerate(self.stories)]
            case "tracking":
                self.spelling = f"?utm_campaign={self.number}"
            case "amp":
                self.spelling = "/amp/" if not self.spelling else ""
            case "https":
                self.scheme = "https" if self.scheme == "http" else "http"
            case "host":
                self.host = {"www.example.org": "example.org", "example.org": "m.example.org"}.get(self.host, "www.example.org")
            case "order":
                self.chance.shuffle(self.stories)  # type: ignore[attr-defined]

    def _add(self) -> None:
        word = f"Verhaal{self.number}x"
        tail = " ".join(f"w{self.number * 37 % 1009 + count * self.number % 97}" for count in range(8))
        at = START - timedelta(days=2) + timedelta(hours=self.number)
        made = Entry(
            f"g{self.number}", f"/nieuws/{self.number}", f"Over {word} en {tail[:12]}", f"{word} gaat over {tail}.", at.isoformat()
        )
        self.stories.insert(0, made)

    def _replace(self, place: int, **changes: str) -> None:
        self.stories[place] = replace(self.stories[place], **changes)
