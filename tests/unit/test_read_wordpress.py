from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.normalise import normalise
from pipeline.collect.read import read
from pipeline.collect.read_wordpress import rest_url
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import Image, ParsedSource, SourceKind

DATA = Path(__file__).parent.parent / "data" / "wordpress"
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
POSTS = "https://a.example/wp-json/wp/v2/posts"


def read_bytes(body: bytes, *, kind: SourceKind = SourceKind.AUTO, url: str = POSTS) -> ParsedSource:
    return read(
        body,
        url=url,
        content_type="application/json",
        kind=kind,
        page=PageSettings(),
        language="nl",
        zone="Europe/Amsterdam",
        now=NOW,
        max_items=500,
    )


def post(**told: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "link": "https://a.example/een/",
        "title": {"rendered": "Een"},
        "guid": {"rendered": "https://a.example/?p=1"},
        "date_gmt": "2019-05-22T12:05:00",
        **told,
    }


def posts(*told: Any, kind: SourceKind = SourceKind.AUTO) -> ParsedSource:
    return read_bytes(json.dumps(told).encode(), kind=kind)


def test_feed_and_api_of_one_site_tell_the_same_items_under_the_same_identities() -> None:
    by_api = {item.guid: item for item in read_bytes((DATA / "wp-json-posts.json").read_bytes()).items}
    by_feed = read_bytes((DATA / "feed-rss2.xml").read_bytes()).items
    assert len(by_feed) == 10
    for item in by_feed:
        same = by_api[item.guid]
        assert item.published is not None
        assert same.published is not None
        assert (same.url, same.published.at, same.authors) == (item.url, item.published.at, item.authors)
        assert set(same.categories) == set(item.categories)
        assert same.title == item.title.removeprefix("Beveiligd: ")


def test_the_samples_are_read_by_their_bytes_with_teaser_and_picture() -> None:
    found = read_bytes((DATA / "wp-json-posts.json").read_bytes())
    assert (found.kind, found.rule, len(found.items)) == (SourceKind.WORDPRESS, "posts of the WordPress REST API", 16)
    first = found.items[0]
    assert first.published is not None
    assert first.published.at == datetime(2019, 10, 27, 1, 30, tzinfo=UTC)
    assert "zetten we de belangrijkste punten" in first.summary_html
    assert any(item.image and item.image.width for item in found.items)


def test_a_post_behind_a_password_is_told_without_its_text() -> None:
    content = {"rendered": "<p>Deze inhoud is beveiligd</p>", "protected": True}
    (item,) = posts(post(content=content, excerpt={"rendered": "Er is geen samenvatting", "protected": True})).items
    assert (item.title, item.summary_html, item.content_html) == ("Een", "", "")
    locked = next(item for item in read_bytes((DATA / "wp-json-posts.json").read_bytes()).items if "leden" in item.title)
    assert (locked.summary_html, locked.content_html) == ("", "")


def test_what_a_post_embeds_is_used_and_what_it_may_not_embed_is_not() -> None:
    embedded = {
        "author": [{"code": "rest_user_invalid_id", "message": "Ongeldig"}, {"name": "An &amp; Bo"}],
        "wp:featuredmedia": [
            {"code": "rest_forbidden"},
            {"source_url": "https://a.example/i.jpg", "alt_text": "Foto", "media_details": {"width": 300, "height": "200"}},
        ],
        "wp:term": [
            [{"taxonomy": "category", "name": "PO &amp; VO"}, {"taxonomy": "post_format", "name": "Link"}],
            [{"taxonomy": "post_tag", "name": "mbo"}],
        ],
    }
    (item,) = posts(post(_embedded=embedded)).items
    assert (item.authors, item.categories) == (("An & Bo",), ("PO & VO", "mbo"))
    assert item.image == Image("https://a.example/i.jpg", "Foto", 300, 200)


def test_addresses_are_escaped_for_html_in_the_api_and_not_in_the_feed() -> None:
    (item,) = posts(post(guid={"rendered": "https://a.example/?post_type=nieuws&#038;p=7"})).items
    assert item.guid == "https://a.example/?post_type=nieuws&p=7"


def test_a_post_without_a_utc_date_has_the_sites_own_time() -> None:
    (item,) = posts(post(date_gmt="0000-00-00T00:00:00", date="2019-05-22T14:05:00")).items
    assert item.published is not None
    assert item.published.at == datetime(2019, 5, 22, 12, 5, tzinfo=UTC)


def test_an_empty_list_is_no_error_where_posts_were_asked_for() -> None:
    assert "there are none" in posts().rule
    assert "there are none" in read_bytes(b"[]", kind=SourceKind.WORDPRESS, url="https://a.example/x").rule
    with pytest.raises(ReadError, match="neither"):
        read_bytes(b"[]", url="https://a.example/x")


@pytest.mark.parametrize(
    ("told", "reason", "fix"),
    [
        ({"code": "rest_no_route", "message": "Geen route gevonden"}, "Geen route gevonden", "auto"),
        ({"name": "x", "namespaces": ["oembed/1.0", "wp/v2"]}, "the root of a WordPress REST API", "/wp-json/wp/v2/posts?per_page"),
        ([{"id": 1}], "no list of WordPress posts", "auto"),
    ],
)
def test_another_answer_of_the_api_is_explained(told: Any, reason: str, fix: str) -> None:
    with pytest.raises(ReadError, match=reason) as caught:
        read_bytes(json.dumps(told).encode(), kind=SourceKind.WORDPRESS, url="https://a.example/wp-json/")
    assert fix in caught.value.fix


def test_the_media_library_is_no_news() -> None:
    with pytest.raises(ReadError, match="neither"):
        posts(post(type="attachment"))


def test_entries_that_are_no_posts_are_counted() -> None:
    found = posts(post(), post(), post(), 3, {"link": 1})
    assert len(found.items) == 3
    assert found.skipped == ("2 entries are no posts and were left out",)


@pytest.mark.parametrize(
    ("root", "narrowed_to", "begins", "ends"),
    [
        ("https://a.example/wp-json/", "", "https://a.example/wp-json/wp/v2/posts?per_page=50&_fields=", "wp:term"),
        ("https://a.example/wp-json", "", "https://a.example/wp-json/wp/v2/posts?", "wp:term"),
        ("https://a.example/?rest_route=/", "", "https://a.example/?rest_route=/wp/v2/posts&per_page=50", "wp:term"),
        ("https://a.example/wp-json/", "https://a.example/wp-json/wp/v2/categories/5", "https://a.example/", "&categories=5"),
        ("https://a.example/wp-json/", "https://a.example/wp-json/wp/v2/users/2", "https://a.example/", "&author=2"),
        ("https://a.example/wp-json/", "https://a.example/wp-json/wp/v2/pages/2", "https://a.example/", "wp:term"),
    ],
)
def test_the_address_of_the_posts_fits_the_site_and_its_section(root: str, narrowed_to: str, begins: str, ends: str) -> None:
    address = rest_url(root, narrowed_to)
    assert address.startswith(begins)
    assert address.endswith(ends)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["rendered", "name", "protected"]), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = ["link", "title", "guid", "date_gmt", "date", "modified_gmt", "excerpt", "content", "type"]
EMBEDDED = st.dictionaries(st.sampled_from(["author", "wp:featuredmedia", "wp:term"]), JSON, max_size=3)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5), EMBEDDED | JSON)
def test_any_values_in_a_post_give_an_item_or_a_read_error(told: dict[str, Any], embedded: Any) -> None:
    for body in ([post(_embedded=embedded, **told)], [told]):
        try:
            found = posts(*body, kind=SourceKind.WORDPRESS)
        except ReadError:
            continue
        normalise(found, base_url=POSTS, language="nl", now=NOW)
