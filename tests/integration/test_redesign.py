"""After a redesign ``gazet check`` says where the items went, and what to write into the settings to read them again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.store.schema import Base
from tests.integration.command import Ended, gazet
from tests.servers.web import WebServer
from tests.world import World

NOW = "2026-11-24T09:00"
STORIES = [
    (f"/nieuws/{slug}/", title, f"{day} november 2026", f"{title}: zo gaat het verder met de plannen van dit jaar.")
    for slug, title, day in (
        ("tekort", "Minder scholen met een tekort aan leraren", 20),
        ("fonds", "Nieuw fonds voor starters in het onderwijs", 19),
        ("regio", "Regio's delen hun ervaringen met elkaar", 17),
        ("onderzoek", "Onderzoek naar begeleiding van startende leraren", 12),
        ("zij-instroom", "Zij-instromers blijven langer voor de klas", 10),
        ("subsidie", "Subsidie voor opleidingsscholen verlengd", 6),
    )
]
NEWER = [
    (
        f"/nieuws/nieuwer-{number}/",
        f"Een bericht van na de verbouwing: {word}",
        f"{number} november 2026",
        "Een nieuw begin.",
    )
    for number, word in ((24, "vier"), (23, "drie"), (22, "twee"), (21, "een"))
]
MENU = '<nav><ul><li><a href="/over/">Over ons</a></li><li><a href="/contact/">Contact</a></li></ul></nav>'
OLD = '<li class="bericht"><h3><a href="{0}">{1}</a></h3><span class="datum">{2}</span><p>{3}</p></li>'
CARD = (
    '<div class="kaart"><a href="{0}"><img src="/p.jpg" alt=""></a><div class="kaart__tekst"><time>{2}</time>'
    '<h2 class="kaart__titel"><a href="{0}">{1}</a></h2><p>{3}</p></div></div>'
)
ROW = '<tr><td class="wanneer">{2}</td><td><a href="{0}">{1}</a></td></tr>'


def page(block: str, stories: list[tuple[str, str, str, str]] = STORIES, around: str = "<ul>{}</ul>", head: str = "") -> str:
    blocks = "".join(block.format(*story) for story in stories)
    return f'<html lang="nl"><head><title>Nieuws</title>{head}</head><body>{MENU}<main>{around.format(blocks)}</main></body></html>'


@pytest.fixture
def known(tmp_path: Path, web: WebServer) -> World:
    """A site whose only source is a page with selectors, and whose six items are stored."""
    world = World(tmp_path / "site", web)
    web.serve("/nieuws/", page(OLD))
    world.write_feed(url=web.url("/nieuws/"), source='[source.page]\nitem = "li.bericht"\ndate = ".datum"')
    world.run("2026-11-23T09:00")
    world.close()
    return world


def only_as_page(world: World) -> None:
    """The settings forbid to look for another way to read it."""
    selectors = '[source.page]\nitem = "li.bericht"\ndate = ".datum"'
    world.write_feed(url=world.web.url("/nieuws/"), source=f'kind = "page"\n{selectors}')


def check(world: World, *words: str) -> Ended:
    world.close()
    return gazet("check", "--now", NOW, *words, site=world.folder)


def proposed(ended: Ended) -> str:
    """The lines of TOML that are to be pasted."""
    lines = ended.out.splitlines()
    return "\n".join(line.strip() for line in lines if line.startswith("      ") and not line.startswith("       "))


def pasted(world: World, toml: str) -> Ended:
    """The check after these lines have replaced the source's settings."""
    url = "" if toml.startswith("url") else f'url = "{world.web.url("/nieuws/")}"\n'
    text = f'title = "Samen Opleiden: nieuws"\nlanguage = "nl"\n[[source]]\n{url}{toml}\n'
    (world.folder / "feeds/po.toml").write_text(text, encoding="utf-8")
    return check(world, "po", "--json")


def titles(ended: Ended) -> list[str]:
    [found] = ended.json
    return [item["title"] for item in found["items"]]


ALL = [title for _url, title, _date, _teaser in STORIES]


@pytest.mark.parametrize(
    ("block", "around", "item"),
    [
        (OLD.replace("bericht", "nieuwsitem").replace("datum", "wanneer"), "<ul>{}</ul>", "li.nieuwsitem"),
        (CARD, '<div class="raster">{}</div>', "div.kaart"),
        (ROW, "<table><tbody>{}</tbody></table>", "tr"),
    ],
    ids=["other-classes", "cards", "table"],
)
def test_settings_to_paste_are_proposed_and_read_all_items_again(known: World, block: str, around: str, item: str) -> None:
    known.web.serve("/nieuws/", page(block, around=around))
    ended = check(known)
    assert ended.code == 1
    assert 'nothing on the page matches item = "li.bericht"' in ended.err
    assert "the page shows 6 of the 6 newest items that Gazet remembers" in ended.out
    assert "write in feeds/po.toml for this source, in place of its [source.page]:" in ended.out
    assert f'item = "{item}"' in proposed(ended)
    assert "this gives 6 items, 6 of them remembered:" in ended.out
    again = pasted(known, proposed(ended))
    assert (again.code, titles(again)) == (0, ALL)
    assert all(one["published"] for one in again.json[0]["items"])


def test_old_items_that_are_gone_and_new_ones_do_not_matter(known: World) -> None:
    known.web.serve("/nieuws/", page(CARD, [*NEWER, *STORIES[:3]], '<div class="raster">{}</div>'))
    ended = check(known, "po")
    assert "the page shows 3 of the 6 newest items" in ended.out
    assert "this gives 7 items, 3 of them remembered:" in ended.out
    assert titles(pasted(known, proposed(ended))) == [title for _, title, *_ in [*NEWER, *STORIES[:3]]]


def test_items_with_other_addresses_are_recognised_by_their_titles(known: World) -> None:
    moved = [(f"/artikel/{number}", *rest) for number, (_url, *rest) in enumerate(STORIES)]
    known.web.serve("/nieuws/", page(CARD, moved))
    ended = check(known)
    assert "the page shows 6 of the 6 newest items" in ended.out
    assert titles(pasted(known, proposed(ended))) == ALL


def test_a_page_that_is_gone_is_looked_for_from_the_front_page(known: World) -> None:
    known.web.serve("/nieuws/", b"", status=404)
    known.web.serve("/", '<a href="/actueel/">Actueel</a> <a href="/nieuwsbrief/">Nieuwsbrief</a> <a href="/over/">Over ons</a>')
    known.web.serve("/actueel/", page(CARD))
    ended = check(known)
    url = known.web.url("/actueel/")
    assert ended.code == 1
    assert f"{url} (page) shows 6 of the 6 newest items that Gazet remembers" in ended.out
    assert proposed(ended).startswith(f'url = "{url}"\n[source.page]\nitem = "div.kaart"')
    assert titles(pasted(known, proposed(ended))) == ALL
    [collected] = gazet("collect", "--now", NOW, "--json", site=known.folder).json
    assert collected["new"] == 0, "the items are the same ones, at whatever address they are listed"
    asked = [request.path for request in known.web.requests[-20:]]
    assert "/nieuwsbrief/" not in asked
    assert "/over/" not in asked


def test_a_page_that_says_that_it_has_moved_is_followed_by_its_link(known: World) -> None:
    known.web.serve("/nieuws/", '<p>Wij zijn verhuisd. Zie <a href="/actueel/">Nieuws en actueel</a>.</p>')
    known.web.serve("/actueel/", page(CARD))
    assert f'url = "{known.web.url("/actueel/")}"' in proposed(check(known))


def test_items_behind_scripts_are_found_in_the_feed_that_the_page_names(known: World) -> None:
    entries = "".join(f"<item><title>{title}</title><link>{known.web.url(url)}</link></item>" for url, title, *_ in STORIES)
    feed = f'<rss version="2.0"><channel><title>Bron</title>{entries}</channel></rss>'
    known.web.serve("/feed.xml", feed.encode(), content_type="application/rss+xml")
    head = '<link rel="alternate" type="application/rss+xml" href="/feed.xml">'
    known.web.serve("/nieuws/", f'<html><head>{head}</head><body><div id="app"></div><script src="/a.js"></script></body></html>')
    only_as_page(known)
    ended = check(known)
    url = known.web.url("/feed.xml")
    assert f"{url} (feed) shows 6 of the 6 newest items that Gazet remembers" in ended.out
    assert proposed(ended) == f'url = "{url}"\nkind = "feed"'
    assert titles(pasted(known, proposed(ended))) == ALL


def test_where_nothing_is_found_it_says_so_and_where_it_looked(known: World) -> None:
    known.web.serve("/nieuws/", '<div id="app"></div><script src="/a.js"></script><a href="/actueel/">Actueel</a>')
    known.web.serve("/actueel/", page(CARD, NEWER))
    ended = check(known)
    assert "none of the 6 newest items that Gazet remembers was found:" in ended.out
    for path in ("/nieuws/", "/actueel/"):
        assert f"looked at {known.web.url(path)}: none of the 6" in ended.out
    assert proposed(ended) == ""


def test_at_most_three_other_pages_are_asked_and_robots_txt_is_honoured(known: World) -> None:
    known.web.serve("/robots.txt", "User-agent: *\nDisallow: /news", content_type="text/plain")
    links = "".join(f'<a href="/{name}">{text}</a>' for name, text in (("news", "News"), ("blog", "Blog"), ("pers", "Pers")))
    known.web.serve("/nieuws/", f'<div id="app"></div><script></script>{links}<a href="/posts">Posts</a><a href="/b">Berichten</a>')
    only_as_page(known)
    before = len(known.web.requests)
    ended = check(known)
    asked = [request.path for request in known.web.requests[before:]]
    assert asked == ["/robots.txt", "/nieuws/", "/blog", "/pers"]
    assert f"looked at {known.web.url('/news')}: robots.txt of" in ended.out


def test_a_page_that_robots_txt_forbids_is_left_alone_by_check_and_doctor_as_by_a_collect(known: World) -> None:
    only_as_page(known)
    known.web.serve("/robots.txt", "User-agent: *\nDisallow: /nieuws", content_type="text/plain")
    before = len(known.web.requests)
    assert "asks programs not to read this address" in check(known).err
    assert "asks programs not to read this address" in gazet("doctor", "--fetch", site=known.folder).out
    assert {request.path for request in known.web.requests[before:]} == {"/robots.txt"}


def test_a_feed_that_became_a_page_is_read_as_one(known: World) -> None:
    known.write_feed(url=known.web.url("/nieuws/"), source='kind = "feed"')
    known.web.serve("/nieuws/", page(CARD))
    ended = check(known)
    assert "write in feeds/po.toml for this source:" in ended.out
    assert proposed(ended).startswith('kind = "page"\n[source.page]\nitem = "div.kaart"')
    assert titles(pasted(known, proposed(ended))) == ALL


def test_a_server_that_is_down_is_no_redesign(known: World) -> None:
    known.web.serve("/nieuws/", b"", status=503)
    before = len(known.web.requests)
    ended = check(known)
    assert [request.path for request in known.web.requests[before:]] == ["/nieuws/"]
    assert "remember" not in ended.out


def test_dates_that_are_gone_by_a_selector_are_found_again(known: World) -> None:
    known.web.serve("/nieuws/", page(OLD.replace('"datum"', '"wanneer"')))
    known.run("2026-11-24T08:00")
    ended = check(known)
    assert ended.code == 0
    assert "the page shows 6 of the 6 newest items" in ended.out
    assert 'date = "span.wanneer"' in proposed(ended)
    again = pasted(known, proposed(ended))
    assert all(one["published"] for one in again.json[0]["items"])


def test_a_source_in_attention_that_shows_its_items_as_ever_needs_no_proposal(known: World) -> None:
    known.web.serve("/nieuws/", b"", status=503)
    known.run("2026-11-24T08:00")
    known.web.serve("/nieuws/", page(OLD))
    ended = check(known)
    assert ended.code == 0
    assert "6 items by: selector li.bericht" in ended.out
    assert "remember" not in ended.out


def test_a_page_that_is_read_but_shows_none_of_the_items_is_looked_into_before_anybody_noticed(known: World) -> None:
    other = [(url.replace("/nieuws/", "/agenda/"), f"Bijeenkomst: {title}", *rest) for url, title, *rest in NEWER]
    old = "".join(OLD.format(*story) for story in other)
    known.web.serve("/nieuws/", page(CARD, around=f"<ul>{old}</ul><div>{{}}</div>"))
    ended = check(known)
    assert ended.code == 0
    assert "4 items by: selector li.bericht" in ended.out
    assert "the page shows 6 of the 6 newest items" in ended.out
    assert titles(pasted(known, proposed(ended))) == ALL


def test_without_a_store_it_is_the_check_that_it_was(tmp_path: Path, web: WebServer) -> None:
    world = World(tmp_path / "site", web)
    web.serve("/nieuws/", page(CARD))
    world.write_feed(url=web.url("/nieuws/"), source='[source.page]\nitem = "li.bericht"')
    ended = check(world)
    assert ended.code == 1
    assert "remember" not in ended.out
    assert not (world.folder / "var/gazet.db").exists()


def test_check_changes_nothing_in_the_store(known: World) -> None:
    known.web.serve("/nieuws/", page(CARD))
    before = _rows(known)
    check(known)
    assert _rows(known) == before


def _rows(world: World) -> dict[str, list[tuple[object, ...]]]:
    with world.site.store.read() as tx:
        return {table.name: [tuple(row) for row in tx.execute(table.select())] for table in Base.metadata.sorted_tables}


def test_json_tells_the_same(known: World) -> None:
    known.web.serve("/nieuws/", page(CARD))
    [found] = check(known, "--json").json
    moved = found["moved"]
    assert (moved["remembered"], moved["found"], moved["known"], moved["kind"]) == (6, 6, 6, "page")
    assert moved["settings"][:2] == ["[source.page]", 'item = "div.kaart"']
    assert [item["title"] for item in moved["items"]] == ALL
