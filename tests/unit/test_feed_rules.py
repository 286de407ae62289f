"""Every format keeps the rules of its specification whatever an item holds, and all four say the same of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import feedparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from pipeline.collect.markup import clean_html
from pipeline.models import Attachment, Credit, FeedDocument, Image, Precision
from pipeline.publish import render_all
from pipeline.publish.entries import entries_of, language_tag, unmistakable
from pipeline.shown import link
from pipeline.texts import Texts
from tests.factories import NOW, make_feed_document, make_feed_item
from tests.feed_readings import read_atom, read_json, read_rss
from tests.feed_rules import ATOM, LANG, atom_faults, html_faults, json_faults, rss_faults

TEXTS = Texts(None)
FAULTS: dict[str, Callable[[bytes], list[str]]] = {"rss": rss_faults, "atom": atom_faults, "json": json_faults}
JOINER = "\N{WORD JOINER}"
BASE = "https://www.example.org/nieuws/"
FILES = (
    Attachment("https://example.org/é.pdf", "application/pdf", 1234, "Rapport </b> &amp; meer"),
    Attachment("https://example.org/b.mp3", "onzin", -1),
    Attachment("https://example.org/b.mp3", "audio/mpeg", 5),
    Attachment("javascript:alert(1)", "text/html", 5),
)

HARD: dict[str, dict[str, Any]] = {
    "control characters": {
        "title": "Bel\x07 en\x00 NUL \x85 klaar",
        "summary": "a\x0bb\x1fc\ufffd",
        "content_html": "<p>\x01\x9f</p>",
    },
    "surrogates and noncharacters": {"title": "\ud800A\udfff \ufffe \ufdd0 \U0001fffe B\U0010ffff", "summary": "\U0001fffe"},
    "emoji": {"title": "❤️ 👩🏽‍🏫 é e\u0301", "categories": ("Nieuws", " ", "Nieuws", "👩")},
    "right to left": {"title": "خبر عاجل \u202eabc", "summary": "עברית", "language": "ar_EG"},
    "the end of a section": {"title": "Einde ]]> van CDATA", "content_html": "<p>]]&gt; <b>ja</b></p>", "summary": "]]>"},
    "1 MB of HTML": {"content_html": "<p>" + "Een <b>lang</b> verhaal. " * 45_000 + "</p>"},
    "no title": {"title": "", "summary": "Zonder titel, met tekst."},
    "no text": {"summary": "", "content_html": ""},
    "neither title nor text": {"title": "", "summary": ""},
    "no address": {"url": "", "summary": "Zonder adres."},
    "no address and a text like markup": {"title": "", "url": "", "summary": "<b> is &amp; blijft tekst"},
    "nothing at all": {"title": "", "summary": "", "url": "", "categories": ()},
    "content alone": {"title": "", "summary": "", "content_html": "<p>Alleen inhoud</p>"},
    "two enclosures": {"attachments": FILES},
    "an enclosure at a host without a dot": {"attachments": (Attachment("http://localhost/a.mp3", "audio/mpeg", 9),)},
    "authors without and with addresses": {"authors": ("Jan Jansen", "", "Eva <eva@example.org>", "mail@example.org", "<b>Bo</b>")},
    "IDN": {"url": "https://nieuws.münchen.example/straße & zo/?q=ü#één", "image": Image("https://bücher.example/i.png", "é")},
    "markup in plain text": {
        "title": "Over <b>vet</b> &amp; <script>",
        "summary": "1 < 2 && </div> &lt;",
        "categories": ("R&D", "</p>"),
    },
    "an ampersand that means nothing": {"title": "Q&A, R&D, AT&T, a & b", "summary": "1&1"},
    "a very long title": {"title": "Lang " * 1000, "summary": "x " * 5000},
    "entities in content": {"content_html": "<p>&amp;amp; &lt;b&gt; é &nbsp;</p>"},
    "an address with marks in it": {"url": "https://example.org/x?a=1&b=2;c=%zz#]"},
    "a language that is none": {"language": "Nederlands"},
    "another language": {"language": "de_at", "summary": "Eine Nachricht."},
    "a picture without a size": {"image": Image("https://example.org/i.webp", "", 0, 480)},
    "a picture": {"image": Image("https://example.org/i.png", "Een <b>", 640, 480)},
    "updated before it was there": {"updated_at": datetime(2001, 1, 1, tzinfo=UTC), "published_precision": Precision.TIME},
    "updated later": {"updated_at": datetime(2019, 5, 27, 10, 0, 0, 7, tzinfo=UTC)},
    "updated in the same second": {"updated_at": datetime(2019, 5, 27, 10, 0, 0, 9, tzinfo=UTC)},
}


@pytest.fixture(scope="module")
def document() -> FeedDocument:
    items = [make_feed_item(seq, **changes) for seq, changes in enumerate(HARD.values(), 1)]
    twice = make_feed_item(99, identity=items[0].item.identity, title="Het tweede met dezelfde naam")
    return make_feed_document([twice, *items[::-1]], image="https://www.example.org/logo.png", icon="https://www.example.org/i.svg")


@pytest.fixture(scope="module")
def files(document: FeedDocument) -> dict[str, bytes]:
    return render_all(document, TEXTS)


def test_hard_items_break_no_rule_of_any_format(files: dict[str, bytes]) -> None:
    assert {name: faults(files[name]) for name, faults in FAULTS.items()} == {"rss": [], "atom": [], "json": []}


@pytest.mark.parametrize("name", ["rss", "atom"])
def test_feedparser_reads_hard_items_without_complaint(files: dict[str, bytes], name: str) -> None:
    parsed = feedparser.parse(files[name])
    assert (bool(parsed.bozo), len(parsed.entries)) == (False, len(HARD))


BROKEN = {
    "rss": (
        ("<ttl>60</ttl>", "<ttl>0</ttl>"),
        ("<language>nl</language>", "<language>Nederlands</language>"),
        ("rel=\"self\"", "rel=\"alternate\""),
        ("<docs>http://www.rssboard.org/", "<docs>http://example.org/"),
        ("isPermaLink=\"false\"", "isPermaLink=\"true\""),
        ("<title>Bijlagen</title>", "<title>Bijl &amp;amp; </title>"),
        ("<title>Bijlagen</title>", "<title>&lt;b&gt;Bijlagen&lt;/b&gt;</title>"),
        ("<title>Bijlagen</title>", "<title>Bijlagen</title><title>Bijlagen</title>"),
        ("<title>Bijlagen</title>", "<title>Bij\x85lagen</title>"),
        ("<title>Bijlagen</title>", "<title></title>"),
        (" length=\"1234\"", ""),
        (" length=\"1234\"", " length=\"-1\""),
        ("<enclosure url=\"https://example.org/", "<enclosure url=\"https://localhost/"),
        ("<link>https://www.example.org/nieuws/", "<link>/nieuws/"),
        ("Wed, 22 May", "Tue, 22 May"),
        ("+0000</pubDate>", "CEST</pubDate>"),
        ("href=&quot;https://", "onclick=&quot;https://"),
        ("&lt;p&gt;", "&lt;p style=\"x\"&gt;"),
        ("&lt;/p&gt;", ""),
        ("&lt;p&gt;", "&lt;iframe&gt;"),
        ("/logo.png</url>", "/logo.svg</url>"),
        ("<dc:creator>", "<author>Jan</author><dc:creator>"),
        ("</channel>", "<webMaster>x@example.org (X)</webMaster></channel>"),
        ("xmlns:media=", "xmlns:madia=\"http://example.org/\" xmlns:media="),
    ),
    "atom": (
        ("<id>urn:uuid:", "<id>URN:UUID:"),
        ("rel=\"self\"", "rel=\"alternate\""),
        (" xml:lang=\"nl\"", ""),
        ("</updated>", "</updated><updated>2019-05-28T06:00:00+00:00</updated>"),
        ("+00:00</published>", "</published>"),
        ("2019-05-22T10:00:00+00:00</published>", "2029-05-22T10:00:00+00:00</published>"),
        ("<name>Jan</name>", "<name>Jan &lt;jan@example.org&gt;</name>"),
        ("<title>Bijlagen</title>", "<title>&lt;/b&gt;</title>"),
        ("<title>Bijlagen</title>", "<title type=\"html\">&lt;/b&gt;</title>"),
        ("<title>Bijlagen</title>", "<title/>"),
        ("term=\"Nieuws\"", "term=\" \""),
        (" rel=\"enclosure\"", ""),
        ("</feed>", "<subtitle>x</subtitle></feed>"),
    ),
    "json": (
        ("jsonfeed.org/version/1.1", "jsonfeed.org/version/1"),
        ("\"id\": \"urn", "\"url\": \"urn"),
        ("\"content_html\"", "\"text\""),
        ("+00:00\", \"date_modified", "\", \"date_modified"),
        ("\"size_in_bytes\": 1234", "\"size_in_bytes\": \"1234\""),
        ("\"mime_type\": \"application/pdf\"", "\"mime_type\": \"pdf\""),
        ("[{\"name\": \"Jan\"}]", "[{\"naam\": \"Jan\"}]"),
        ("\"tags\": [\"Nieuws\"]", "\"tags\": []"),
        ("\"language\": \"nl\"", "\"language\": \"nl_NL\""),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound() -> dict[str, bytes]:
    content = '<p>Een <a href="https://example.org/">verwijzing</a>.</p>'
    item = make_feed_item(1, title="Bijlagen", content_html=content, attachments=FILES[:1], authors=("Jan",))
    return render_all(make_feed_document([make_feed_item(2), item], image="https://www.example.org/logo.png"), TEXTS)


@pytest.mark.parametrize(("name", "right", "wrong"), [(name, *pair) for name, pairs in BROKEN.items() for pair in pairs])
def test_the_rules_notice_what_breaks_them(sound: dict[str, bytes], name: str, right: str, wrong: str) -> None:
    assert FAULTS[name](sound[name]) == []
    text = sound[name].decode().replace('href="https://example.org/"&gt;', "href=&quot;https://example.org/&quot;&gt;")
    assert right in text
    assert FAULTS[name](text.replace(right, wrong, 1).encode()) != []


def test_all_formats_say_the_same_of_each_item(files: dict[str, bytes]) -> None:
    """Where an item has no title, XML's formats give it a headline; where it has no text, they and JSON Feed repeat that."""
    rss, atom, feed = ([*read(files[name])] for name, read in (("rss", read_rss), ("atom", read_atom), ("json", read_json)))
    assert len(rss) == len(atom) == len(feed) == len(HARD)
    for told, said, meant in zip(rss, atom, feed, strict=True):
        assert {**meant, "title": said["title"], "texts": None} == {**said, "texts": None}
        assert {**said, "texts": None} == {**told, "texts": None}
        assert meant["title"] in ("", said["title"])
        headline = {said["title"]}
        assert told["texts"] | headline == said["texts"] | headline == meant["texts"] | headline


def test_the_page_says_the_same_as_the_feeds(files: dict[str, bytes]) -> None:
    page = LexborHTMLParser(files["html"].decode())
    articles = page.css("article")
    assert len(articles) == len(HARD)
    for article, said in zip(articles, read_atom(files["atom"]), strict=True):
        heading, address = article.css_first("h2"), article.css_first("h2 a")
        assert heading.text() == said["title"]
        assert (address.attributes["href"] if address else "") == said["url"]
        assert {node.attributes["href"] for node in article.css(".files a")} == {file[0] for file in said["files"]}
        shown = article.css_first(".by")
        assert (shown.text() if shown else "") == ", ".join(said["authors"])
        assert (article.attributes.get("lang") or "nl").casefold() == said["language"].casefold()
        assert article.css_first("time").attributes["datetime"][:10] == said["published"].date().isoformat()


def test_the_feed_itself_is_described_alike(files: dict[str, bytes], document: FeedDocument) -> None:
    channel, feed, data = etree.fromstring(files["rss"])[0], etree.fromstring(files["atom"]), json.loads(files["json"])
    assert channel.findtext("title") == feed.findtext(f"{{{ATOM}}}title") == data["title"] == document.title
    assert channel.findtext("description") == feed.findtext(f"{{{ATOM}}}subtitle") == data["description"] == document.description
    assert channel.findtext("language") == feed.get(LANG) == data["language"] == "nl"
    assert channel.findtext("image/url") == feed.findtext(f"{{{ATOM}}}logo") == document.image
    assert feed.findtext(f"{{{ATOM}}}icon") == data["icon"] == document.icon
    assert (
        parsedate_to_datetime(channel.findtext("lastBuildDate"))
        == datetime.fromisoformat(feed.findtext(f"{{{ATOM}}}updated"))
        == NOW
    )


def test_a_picture_that_rss_does_not_take_is_left_to_the_others() -> None:
    made = render_all(make_feed_document(image="https://www.example.org/logo.svg"), TEXTS)
    assert etree.fromstring(made["rss"]).find("channel/image") is None
    assert (
        etree.fromstring(made["atom"]).findtext(f"{{{ATOM}}}logo")
        == json.loads(made["json"])["icon"]
        == "https://www.example.org/logo.svg"
    )


@pytest.mark.parametrize(
    "url", ["https://www.example.org", "http://example.org:80/a/../feed?q=%7ea", "https://example.org/nieuws/"]
)
def test_a_source_has_an_id_in_canonical_form_however_its_address_is_spelled(url: str) -> None:
    items = [replace(make_feed_item(seq), credit=Credit("De <b>bron</b> &amp; meer", url, is_feed=seq == 1)) for seq in (2, 1)]
    made = render_all(make_feed_document(items), TEXTS)
    assert not [*rss_faults(made["rss"]), *atom_faults(made["atom"]), *json_faults(made["json"])]
    sources = etree.fromstring(made["atom"]).findall(f"{{{ATOM}}}entry/{{{ATOM}}}source")
    assert len({one.findtext(f"{{{ATOM}}}id") for one in sources}) == 1
    assert {one.find(f"{{{ATOM}}}link").get("href") for one in sources} == {link(url)}


def test_an_items_update_shows_in_every_format_and_its_id_and_date_stay() -> None:
    before, after = make_feed_item(1), make_feed_item(1, title="Anders", updated_at=datetime(2019, 5, 27, 12, tzinfo=UTC))
    old, new = (render_all(make_feed_document([item]), TEXTS) for item in (before, after))
    for name, read in (("rss", read_rss), ("atom", read_atom), ("json", read_json)):
        [was], [now] = read(old[name]), read(new[name])
        assert (was["id"], was["published"], was["published"]) == (now["id"], now["published"], was["updated"])
        assert now["updated"] == datetime(2019, 5, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Q&A, R&D, a & b, 1 < 2", "Q&A, R&D, a & b, 1 < 2"),
        ("<b>vet</b>", f"<{JOINER}b>vet<{JOINER}/b>"),
        ("&amp; &#38; &copy; &apos;", f"&{JOINER}amp; &{JOINER}#38; &{JOINER}copy; &{JOINER}apos;"),
        ("1&1 <3", f"1&{JOINER}1 <3"),
    ],
)
def test_plain_text_that_looks_like_markup_stays_what_it_is_for_every_reader(text: str, shown: str) -> None:
    assert unmistakable(text) == shown
    assert LexborHTMLParser(unmistakable(text)).text().replace(JOINER, "") == text


def test_noon_of_today_is_not_published_as_a_moment_to_come() -> None:
    """In the morning the page shows the day; feeds say when the item was found, and go on saying it."""
    noon, morning = datetime(2019, 5, 28, 10, tzinfo=UTC), datetime(2019, 5, 28, 6, 0, 0, 5, tzinfo=UTC)
    item = make_feed_item(1, published_at=noon, updated_at=morning, first_seen_at=morning)
    for changed_at in (NOW, datetime(2019, 6, 1, tzinfo=UTC)):
        made = render_all(make_feed_document([item], changed_at=changed_at), TEXTS)
        for name, read in (("rss", read_rss), ("atom", read_atom), ("json", read_json)):
            [said] = read(made[name])
            assert said["published"] == said["updated"] == morning.replace(microsecond=0)
        assert LexborHTMLParser(made["html"].decode()).css_first("article time").attributes["datetime"] == "2019-05-28"


LANGUAGES = {"nl": "nl", "nl_NL": "nl-NL", " en-GB ": "en-GB", "zh-Hant-TW": "zh-Hant-TW", "Nederlands": "", "xq": "", "": ""}


@pytest.mark.parametrize(("said", "tag"), LANGUAGES.items())
def test_only_a_language_is_named_as_one(said: str, tag: str) -> None:
    assert language_tag(said) == tag


ANY = st.text(max_size=12) | st.sampled_from(["<b>x</b>", "&amp;", "]]>", "\U0001fffe", "\x85", "é", "مرحبا", " "])
URLS = ANY | st.builds("https://example.org/{}".format, ANY) | st.builds("http://{}/a".format, ANY)
TAGS = ["<p>", "</p>", "<h2>", "</h2>", "<li>", "<ul>", "<a href=/x>", "</a>", "<table>", "<td>", "<section>", "<img src=x>"]
PARTS = ["https://example.org", "%41", "%zz", *"/?#é&;@:a.~['|\\_A"]
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MARKUP = st.lists(ANY | st.sampled_from(TAGS), max_size=9).map(lambda parts: clean_html("".join(parts), BASE))
ITEMS = st.fixed_dictionaries(
    dict.fromkeys(("title", "summary", "kicker", "language"), ANY),
    optional={
        "url": URLS,
        "identity": ANY.map("url:{}".format),
        "content_html": MARKUP,
        "authors": st.lists(ANY, max_size=3).map(tuple),
        "categories": st.lists(ANY, max_size=3).map(tuple),
        "attachments": st.lists(st.builds(Attachment, URLS, ANY, st.integers(-1, 9), ANY), max_size=3).map(tuple),
        "image": st.none() | st.builds(Image, URLS, ANY, st.integers(-1, 9), st.integers(-1, 9)),
        "published_at": TIMES,
        "updated_at": TIMES,
    },
)


def _document(items: list[dict[str, Any]], **values: Any) -> FeedDocument:
    return make_feed_document([make_feed_item(seq, **one) for seq, one in enumerate(items, 1)], **values)


DOCUMENTS = st.builds(
    _document,
    st.lists(ITEMS, max_size=3),
    title=ANY.map("F{}".format),
    description=ANY,
    site_title=ANY.map("S{}".format),
    ttl=st.integers(1, 10080),
)


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS)
def test_no_document_breaks_a_rule_and_the_formats_agree(document: FeedDocument) -> None:
    made = render_all(document, TEXTS)
    assert {name: faults(made[name]) for name, faults in FAULTS.items()} == {"rss": [], "atom": [], "json": []}
    assert not any(feedparser.parse(made[name]).bozo for name in ("rss", "atom"))
    kept = [{**item, "title": "", "texts": None} for item in read_json(made["json"])]
    for name, read in (("rss", read_rss), ("atom", read_atom)):
        assert [{**item, "title": "", "texts": None} for item in read(made[name])] == kept
    assert len(LexborHTMLParser(made["html"].decode()).css("article")) == len(entries_of(document))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_an_address_that_is_done_is_what_making_it_anew_gives(url: str) -> None:
    made = link(url)
    assert link(made) == made
    assert link(f"{made} ") == made  # with a blank behind it, the long way round


def test_nested_markup_that_a_parser_would_not_write_is_put_right_by_cleaning() -> None:
    for markup in ("<h4><section><h4>x</h4></section></h4>", "<li><nav><li>x</li></nav></li>", "<p>\U0001fffe</p>"):
        cleaned = clean_html(markup, BASE)
        assert clean_html(cleaned, BASE) == cleaned
        assert html_faults(cleaned) == []
    assert "<h4></h4>" in clean_html("<h4><section><h4>x</h4></section></h4>", BASE)
