from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.bounded_json import JsonRefusedError, load
from pipeline.collect.normalise import normalise
from pipeline.collect.read import read
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import Attachment, Image, ParsedSource, SourceKind

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "https://news.example/feed.json"
VERSION = "https://jsonfeed.org/version/1.1"


def read_json(body: bytes | str, *, kind: SourceKind = SourceKind.AUTO) -> ParsedSource:
    return read(
        body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body,
        url=URL,
        content_type="text/plain",
        kind=kind,
        page=PageSettings(),
        language="nl",
        zone="Europe/Amsterdam",
        now=NOW,
        max_items=500,
    )


def feed(*items: Any, **told: Any) -> ParsedSource:
    return read_json(json.dumps({"version": VERSION, "title": "T", "items": items, **told}))


def test_a_feed_of_version_1_1_arrives_whole() -> None:
    found = feed(
        {
            "id": "https://news.example/1",
            "url": "https://news.example/een",
            "title": "Eén &amp; ander",
            "content_html": "<p>lang</p>",
            "summary": "kort",
            "image": "/i.jpg",
            "banner_image": "/b.jpg",
            "date_published": "2019-05-22T14:05:00+02:00",
            "date_modified": "2019-05-23T14:05:00Z",
            "authors": [{"name": "An"}, {"url": "https://an.example"}, {"name": "Bo"}],
            "tags": ["Nieuws", "PO", "Nieuws"],
            "language": "nl",
            "attachments": [{"url": "/a.mp3", "mime_type": "audio/mpeg", "title": "Hoor", "size_in_bytes": 12.0}],
        },
        language="nl-NL",
        next_url="/feed.json?page=2",
    )
    (item,) = found.items
    assert (found.kind, found.rule, found.title, found.language) == (SourceKind.FEED, "a feed, JSON Feed 1.1", "T", "nl-NL")
    assert found.next_page == "https://news.example/feed.json?page=2"
    assert (item.url, item.guid, item.title) == ("https://news.example/een", "https://news.example/1", "Eén & ander")
    assert (item.content_html, item.summary, item.image) == ("<p>lang</p>", "kort", Image("/i.jpg"))
    assert (item.authors, item.categories, item.language) == (("An", "Bo"), ("Nieuws", "PO"), "nl")
    assert item.attachments == (Attachment("/a.mp3", "audio/mpeg", 12, "Hoor"),)
    assert item.published is not None
    assert item.updated is not None
    assert (item.published.at.hour, item.updated.at.day, found.skipped) == (12, 23, ())


def test_a_feed_of_version_1_0_names_one_author_who_wrote_all() -> None:
    found = feed(
        {"id": "1"}, {"id": "2", "author": {"name": "Bo"}}, version="https://jsonfeed.org/version/1", author={"name": "An"}
    )
    assert found.rule == "a feed, JSON Feed 1.0"
    assert [item.authors for item in found.items] == [("An",), ("Bo",)]


@pytest.mark.parametrize(("told", "guid"), [(7, "7"), (7.0, "7"), (7.5, "7.5"), ("7", "7"), (True, ""), (None, ""), ([7], "")])
def test_a_number_is_an_identity_as_well_as_its_text(told: Any, guid: str) -> None:
    assert feed({"id": told}).items[0].guid == guid


def test_an_id_of_a_thousand_digits_is_kept_and_costs_nothing() -> None:
    found = read_json(f'{{"version": "{VERSION}", "items": [{{"id": {"9" * 5000}}}]}}')
    assert found.items[0].guid == "9" * 5000


def test_plain_text_becomes_paragraphs_and_never_markup() -> None:
    assert feed({"id": "1", "content_text": "<b> & co\n\ntwee"}).items[0].content_html == "<p>&lt;b&gt; &amp; co</p><p>twee</p>"


def test_a_link_elsewhere_or_an_id_stands_in_for_a_missing_address() -> None:
    found = feed({"id": "1", "external_url": "https://b.example/"}, {"id": "https://c.example/x"}, {"id": "los"})
    assert [item.url for item in found.items] == ["https://b.example/", "https://c.example/x", ""]


def test_a_date_that_is_not_rfc_3339_leaves_a_remark() -> None:
    found = feed({"id": "1", "title": "A", "date_published": "22 mei"}, {"id": "2", "title": "B", "date_published": "2019-05-22"})
    assert found.items[0].published is None
    assert found.items[1].published is not None
    assert "could not be read" in found.skipped[0]
    assert '"2019-05-22" is not RFC 3339' in found.skipped[1]


def test_what_is_no_item_and_a_feed_that_has_ended_are_said() -> None:
    found = feed({"id": "1"}, "x", 3, expired=True)
    assert len(found.items) == 1
    assert found.skipped == ("2 entries are no objects and were left out", "the feed says that it has ended (expired)")


def test_an_empty_feed_says_so_and_one_without_a_list_is_refused() -> None:
    assert "no entries" in feed().rule
    with pytest.raises(ReadError, match="without a list of items"):
        read_json(json.dumps({"version": VERSION, "items": {}}))


@pytest.mark.parametrize("address", [["/2"], {"url": "/2"}, 2, "javascript:alert(1)", "file:///etc/passwd"])
def test_only_an_address_is_a_next_page(address: Any) -> None:
    assert feed({"id": "1"}, next_url=address).next_page == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[" * 50_000, "nested too deeply"),
        ('{"a":' * 50_000, "nested too deeply"),
        ("[" + "[]," * 100_000 + "0]", "more than"),
        ("[" + "1," * 500_000 + "0]", "more than"),
        ('{"version": "x", ', "broken"),
        (b'\xef\xbb\xbf{"version" "x"}', "broken"),
    ],
)
def test_hostile_json_is_refused_with_its_reason(body: bytes | str, said: str) -> None:
    with pytest.raises(ReadError, match=said) as caught:
        read_json(body)
    assert caught.value.fix


def test_odd_values_of_json_are_harmless() -> None:
    text = '{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1, "d": 2, "e": "\\ud800x", "f": "tab\there"}'
    assert load(text) == {"a": None, "b": None, "c": float("inf"), "d": 2, "e": "\ud800x", "f": "tab\there"}
    item = feed({"id": "\ud800", "title": "a\ud800b", "url": "https://a.example/\ud800", "content_html": "<p>\ud800</p>"}).items[0]
    assert (item.title, item.guid, item.url) == ("ab", "", "https://a.example/")
    normalise(feed({"id": "1", "content_html": "<p>\ud800</p>"}), base_url=URL, language="nl", now=NOW)


def test_utf_16_and_a_byte_order_mark_are_read() -> None:
    text = json.dumps({"version": VERSION, "items": [{"id": "é"}]}, ensure_ascii=False)
    assert read_json(b"\xef\xbb\xbf" + text.encode()).items[0].guid == "é"
    assert read_json(text.encode("utf-16")).items[0].guid == "é"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    *("id", "url", "external_url", "title", "content_html", "content_text", "summary", "image", "banner_image"),
    *("date_published", "date_modified", "authors", "author", "tags", "language", "attachments"),
]
ENTRY = st.dictionaries(
    st.sampled_from(NAMES), JSON | st.just("https://a.example/x") | st.just({"name": [], "url": {}}), max_size=6
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ENTRY | JSON, max_size=3), st.dictionaries(st.sampled_from(["title", "language", "next_url", "author"]), JSON))
def test_any_values_in_a_feed_give_items_that_can_be_normalised(entries: list[Any], told: dict[str, Any]) -> None:
    found = feed(*entries, **told)
    assert found.items or found.rule
    normalise(found, base_url=URL, language="nl", now=NOW)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_json_or_refused(text: str) -> None:
    with contextlib.suppress(JsonRefusedError):
        load(text)
