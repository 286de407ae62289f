from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.read import read
from pipeline.collect.read_sitemap import in_scope
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import Image, ParsedSource, SourceKind

DATA = Path(__file__).parent.parent / "data" / "wordpress"
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def sitemap(body: bytes | str, *, scope: str = "", max_items: int = 500, kind: SourceKind = SourceKind.AUTO) -> ParsedSource:
    return read(
        body.encode() if isinstance(body, str) else body,
        url="https://a.example/sitemap.xml",
        content_type="text/html",
        kind=kind,
        page=PageSettings(),
        language="nl",
        zone="Europe/Amsterdam",
        now=NOW,
        max_items=max_items,
        scope=scope,
    )


def urlset(*entries: str) -> str:
    return f"<urlset>{''.join(f'<url>{entry}</url>' for entry in entries)}</urlset>"


def loc(path: str, lastmod: str = "") -> str:
    return f"<loc>https://a.example/{path}</loc>" + (f"<lastmod>{lastmod}</lastmod>" if lastmod else "")


NEWS = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:n="http://www.google.com/schemas/sitemap-news/0.9"
  xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
 <url><loc>https://a.example/nieuws/een</loc><lastmod>2026-11-23</lastmod>
  <n:news><n:publication><n:name>De Krant</n:name><n:language>nl</n:language></n:publication>
   <n:publication_date>2026-11-22T10:00:00+01:00</n:publication_date><n:title>Eén &amp; ander</n:title>
   <n:keywords>po, vo</n:keywords></n:news>
  <image:image><image:loc>https://a.example/i.jpg</image:loc></image:image></url>
</urlset>"""


def test_a_news_sitemap_tells_title_date_language_and_picture() -> None:
    found = sitemap(NEWS)
    (item,) = found.items
    assert (found.kind, found.rule) == (SourceKind.SITEMAP, "a news sitemap")
    assert (item.url, item.title, item.language) == ("https://a.example/nieuws/een", "Eén & ander", "nl")
    assert item.published is not None
    assert item.updated is not None
    assert (item.published.at, item.updated.at.day) == (datetime(2026, 11, 22, 9, 0, tzinfo=UTC), 23)
    assert (item.image, item.categories) == (Image("https://a.example/i.jpg"), ("po", "vo"))


def test_prefixes_that_nobody_declared_are_known_all_the_same() -> None:
    entry = loc("een") + "<news:news><news:title>Een</news:title></news:news>"
    assert sitemap(urlset(entry)).items[0].title == "Een"


def test_the_sample_has_addresses_and_no_titles() -> None:
    found = sitemap((DATA / "sitemap-posts.xml").read_bytes())
    assert (found.rule, len(found.items), {item.title for item in found.items}) == ("a sitemap", 16, {""})


def test_an_index_names_its_sitemaps_news_first() -> None:
    found = sitemap((DATA / "sitemap-index.xml").read_bytes())
    assert (found.items, found.rule, len(found.children)) == ((), "a sitemap index of 5 sitemaps", 5)
    index = "".join(
        f"<sitemap>{loc(name, date)}</sitemap>"
        for name, date in (("a.xml", "2026-01-01"), ("b.xml", "2026-02-01"), ("news.xml", ""), ("b.xml", ""))
    )
    children = sitemap(f"<sitemapindex>{index}</sitemapindex>").children
    assert [child.rpartition("/")[2] for child in children] == ["news.xml", "b.xml", "a.xml"]
    assert "no sitemap" in sitemap("<sitemapindex/>").rule


def test_of_many_the_newest_are_read_and_the_rest_is_said() -> None:
    found = sitemap(urlset(*(loc(str(day), f"2026-01-{day:02}") for day in range(1, 29))), max_items=3)
    assert [item.url[-2:] for item in found.items] == ["28", "27", "26"]
    assert found.skipped == ("25 older or undated addresses beyond the first 3 were left out (max_items)",)


def test_of_many_without_dates_both_ends_are_read_because_either_may_be_new() -> None:
    found = sitemap(urlset(*(loc(f"{number:02}") for number in range(20))), max_items=4)
    assert [item.url[-2:] for item in found.items] == ["00", "01", "18", "19"]


def test_only_what_lies_below_the_scope_counts() -> None:
    entries = (loc("nieuws/een"), loc("nieuwsbrief/een"), loc("over-ons"), "<loc>https://www.a.example/nieuws/twee</loc>")
    found = sitemap(urlset(*entries), scope="https://a.example/nieuws")
    assert [item.url for item in found.items] == ["https://a.example/nieuws/een", "https://www.a.example/nieuws/twee"]
    assert found.skipped == ("2 of 4 addresses are not below https://a.example/nieuws",)


@pytest.mark.parametrize(
    ("address", "scope", "inside"),
    [
        ("https://a.example/x", "", True),
        ("https://a.example/x", "https://a.example/", True),
        ("https://a.example/x", "https://b.example/", False),
        ("https://a.example/nieuws/x", "https://a.example/nieuws/index.html", True),
        ("https://a.example/x", "https://a.example/index.html", True),
        ("https://[::1", "https://a.example/", False),
    ],
)
def test_a_scope_is_the_folder_of_a_page(address: str, scope: str, inside: bool) -> None:
    assert in_scope(address, scope) is inside


def test_a_date_that_cannot_be_read_and_an_entry_without_address_are_said() -> None:
    found = sitemap(urlset(loc("een", "2026-13-45"), "<lastmod>2026-01-01</lastmod>", "<loc>mailto:a@a.example</loc>"))
    assert len(found.items) == 1
    assert found.skipped[0] == "2 entries have no address"
    assert "could not be read" in found.skipped[1]


def test_a_broken_end_costs_only_the_end() -> None:
    found = sitemap(urlset(loc("een"), loc("twee"))[:-9] + "& <")
    assert len(found.items) == 2
    assert "not well-formed" in found.skipped[0]


def test_a_packed_sitemap_is_unpacked_within_its_limit() -> None:
    assert len(sitemap(gzip.compress(urlset(loc("een")).encode())).items) == 1
    with pytest.raises(ReadError, match="more than 20 MB"):
        sitemap(gzip.compress(b" " * 21_000_000))
    cut = sitemap(gzip.compress(NEWS.encode())[:-30])
    assert "not well-formed" in cut.skipped[0]
    for broken in (b"\x1f\x8b\x08rest", b"\x1f\x8b"):
        with pytest.raises(ReadError):
            sitemap(broken)


ENTITIES = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "x"}">' for i in range(10))
BOMBS = {
    "entities": f"<!DOCTYPE urlset [{ENTITIES}]>{urlset('<loc>&a9;</loc>')}",
    "outside": '<!DOCTYPE urlset [<!ENTITY x SYSTEM "file:///etc/hostname">]><urlset><url><loc>https://a.example/&x;</loc></url></urlset>',
    "outer declarations": '<!DOCTYPE urlset SYSTEM "https://b.example/x.dtd"><urlset/>',
    "depth": "<urlset>" + "<a>" * 100_000,
    "entries": "<urlset>" + "<url/>" * 60_000,
    "elements": "<urlset><url>" + "<a/>" * 500_000,
    "attributes": "<urlset><url " + " ".join(f"a{number}=''" for number in range(400_000)) + "/>",
    "encoding": '<?xml version="1.0" encoding="shift_jis"?><urlset/>',
    "no such encoding": '<?xml version="1.0" encoding="x-nix"?><urlset/>',
    "nothing": "<urlset",
}


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_sitemaps_are_refused_with_a_reason(name: str) -> None:
    with pytest.raises(ReadError) as caught:
        sitemap(BOMBS[name], kind=SourceKind.SITEMAP)
    assert caught.value.fix


def test_a_long_text_is_no_address() -> None:
    assert sitemap(urlset(f"<loc>https://a.example/{'a' * 100_000}</loc>")).items == ()


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"<urlset>", b"<urlset><url><loc>", b"<sitemapindex><sitemap>", b"\x1f\x8b\x08"])
)
def test_any_bytes_give_addresses_or_a_read_error(data: bytes, head: bytes) -> None:
    for kind in (SourceKind.AUTO, SourceKind.SITEMAP):
        try:
            found = sitemap(head + data, kind=kind)
        except ReadError:
            continue
        assert found.items or found.children or found.rule
