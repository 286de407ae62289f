"""Each published format against its specification, on items that are as hard as the web's."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from uuid import UUID

import feedparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from pipeline.models import Attachment, Image, Precision
from pipeline.publish import FORMATS, render_all
from pipeline.texts import Texts
from tests.factories import NOW, make_feed_document, make_feed_item

TEXTS = Texts(None)
ATOM = "{http://www.w3.org/2005/Atom}"
MEDIA = "{http://search.yahoo.com/mrss/}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
CREATOR = "{http://purl.org/dc/elements/1.1/}creator"

HARD = (
    {"title": "Bel\x07 en\x00 NUL \x85 \ud800 \ufffe \ufdd0 klaar", "summary": "a\x0bb\x1fc"},
    {"title": "Emoji ❤️ 👩🏽‍🏫 é e\u0301", "categories": ("Nieuws", " ", "Nieuws", "👩")},
    {"title": "خبر عاجل <b>‏", "summary": "1 < 2 && 3 > 2 &amp; <i>x</i>", "language": "ar"},
    {"title": "Einde ]]> van CDATA", "content_html": "<p>]]&gt; ]]> \x08 <b>ja</b></p>"},
    {"title": "", "summary": "Zonder titel, met tekst.", "url": ""},
    {"title": "", "summary": "", "content_html": "<p>Alleen inhoud</p>"},
    {"title": "Kaal", "summary": "", "content_html": "", "url": "", "categories": ()},
    {
        "title": "Bijlagen",
        "attachments": (
            Attachment("https://example.org/é.pdf", "application/pdf", 1234, "Rapport"),
            Attachment("https://example.org/b.mp3", "", 0),
            Attachment("https://example.org/b.mp3", "audio/mpeg", 5),
            Attachment("javascript:alert(1)", "text/html", 5),
        ),
        "authors": ("Jan Jansen", "", "Eva"),
        "image": Image("https://example.org/i.png", "alt", 640, 480),
    },
    {"title": "IDN", "url": "https://nieuws.münchen.example/straße & zo/?q=ü#één", "published_precision": Precision.TIME},
    {"title": "Zelfde moment", "updated_at": datetime(2019, 5, 22, 10, 0, 0, 7, tzinfo=UTC)},
    {"title": "Over <b>vet</b> & zo", "url": "https://example.org/x?a=1&b=2"},
    {"title": "A" * 5000, "summary": "x " * 5000},
)


@pytest.fixture(scope="module")
def document():
    return make_feed_document([make_feed_item(seq, **changes) for seq, changes in enumerate(HARD, 1)][::-1])


@pytest.fixture(scope="module")
def files(document):
    return render_all(document, TEXTS)


@pytest.fixture(scope="module")
def rss(files):
    return etree.fromstring(files["rss"]).find("channel")


@pytest.fixture(scope="module")
def atom(files):
    return etree.fromstring(files["atom"])


@pytest.fixture(scope="module")
def feed(files):
    return json.loads(files["json"])


def by_title(elements, title, tag="title"):
    return next(element for element in elements if element.findtext(tag) == title)


def test_every_format_is_there_and_the_same_document_gives_the_same_bytes(document, files):
    assert tuple(files) == FORMATS
    assert render_all(document, Texts(None)) == files


@pytest.mark.parametrize("name", ["rss", "atom"])
def test_a_feed_reader_finds_every_item_newest_first_without_complaint(document, files, name):
    parsed = feedparser.parse(files[name])
    assert (bool(parsed.bozo), parsed.version, len(parsed.entries)) == (False, {"rss": "rss20", "atom": "atom10"}[name], len(HARD))
    assert parsed.entries[-1].title == "Bel en NUL klaar"
    assert "❤️ 👩🏽‍🏫 é e\u0301" in parsed.entries[-2].title
    assert parsed.entries[0].link == document.items[0].item.url
    idn = next(entry for entry in parsed.entries if entry.title == "IDN")
    assert idn.link == "https://nieuws.xn--mnchen-3ya.example/stra%C3%9Fe%20&%20zo/?q=%C3%BC#%C3%A9%C3%A9n"
    assert len({entry.id for entry in parsed.entries}) == len(HARD)


def test_an_entry_has_the_same_permanent_id_in_every_format(rss, atom, feed):
    ids = [item.findtext("guid") for item in rss.iter("item")]
    assert ids == [entry.findtext(f"{ATOM}id") for entry in atom.iter(f"{ATOM}entry")] == [item["id"] for item in feed["items"]]
    assert all(UUID(found) and found.startswith("urn:uuid:") for found in ids)


def test_an_entrys_id_survives_a_new_address_of_the_site_and_of_the_article_and_a_new_title():
    first = render_all(make_feed_document([make_feed_item(1)]), TEXTS)
    moved = make_feed_item(1, url="https://elders.example/x", title="Anders")
    second = render_all(make_feed_document([moved], base_url="https://new.example.com"), TEXTS)
    for name in ("rss", "atom"):
        assert feedparser.parse(first[name]).entries[0].id == feedparser.parse(second[name]).entries[0].id
    # Once published an id must never change: this one is what the algorithm gave in the first version.
    assert feedparser.parse(first["atom"]).entries[0].id == "urn:uuid:5bb6335f-78e0-5871-a1b5-9fee6f940a79"


def test_times_come_from_the_document_and_never_from_the_clock(files, rss, atom):
    assert parsedate_to_datetime(rss.findtext("lastBuildDate")) == NOW
    assert parsedate_to_datetime(rss.findtext("pubDate")) == NOW
    assert datetime.fromisoformat(atom.findtext(f"{ATOM}updated")) == NOW
    this_year = str(datetime.now(UTC).year).encode()
    assert not any(this_year in data for data in files.values())


def test_rss_names_itself_and_its_page(rss, document):
    own = rss.find(f"{ATOM}link")
    assert dict(own.attrib) == {"href": document.urls["rss"], "rel": "self", "type": "application/rss+xml"}
    assert rss.findtext("link") == document.urls["html"]
    assert (rss.findtext("language"), rss.findtext("ttl"), rss.findtext("generator")) == ("nl", "60", "Gazet")


def test_rss_follows_the_boards_profile(rss):
    names = [child.tag for child in rss]
    assert names[names.index("item") :] == ["item"] * len(HARD)
    for name in ("title", "link", "description", "language", "lastBuildDate", "ttl", "generator", "docs"):
        assert names.count(name) == 1
        assert rss.findtext(name).strip()
    for item in rss.iter("item"):
        tags = [child.tag for child in item]
        assert item.findtext("title").strip()
        assert item.find("guid").get("isPermaLink") == "false"
        assert tags.count("enclosure") <= 1
        assert "author" not in tags
        assert all(child.text.strip() for child in item.iter("category", "description"))
        if CONTENT in tags:
            assert tags.index("description") < tags.index(CONTENT)
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", item.findtext("pubDate"))


def test_an_rss_description_is_html_so_plain_text_is_escaped(rss):
    item = next(item for item in rss.iter("item") if item.findtext("title").startswith("خبر"))
    assert item.findtext("description") == "1 &lt; 2 &amp;&amp; 3 &gt; 2 &amp;amp; &lt;i&gt;x&lt;/i&gt;"


def test_rss_shows_the_first_attachment_as_enclosure_and_the_others_as_media(rss):
    item = by_title(rss.iter("item"), "Bijlagen")
    assert dict(item.find("enclosure").attrib) == {
        "url": "https://example.org/%C3%A9.pdf",
        "length": "1234",
        "type": "application/pdf",
    }
    assert [dict(media.attrib) for media in item.iter(f"{MEDIA}content")] == [
        {"url": "https://example.org/b.mp3", "type": "audio/mpeg"}
    ]
    assert dict(item.find(f"{MEDIA}thumbnail").attrib) == {"url": "https://example.org/i.png", "width": "640", "height": "480"}
    assert [creator.text for creator in item.iter(CREATOR)] == ["Jan Jansen", "Eva"]


def test_content_with_the_end_of_a_cdata_section_arrives_whole(rss, atom):
    html = "<p>]]&gt; ]]>  <b>ja</b></p>"
    item = by_title(rss.iter("item"), "Einde ]]> van CDATA")
    entry = by_title(atom.iter(f"{ATOM}entry"), "Einde ]]> van CDATA", f"{ATOM}title")
    assert item.findtext(CONTENT) == html
    assert (entry.findtext(f"{ATOM}content"), entry.find(f"{ATOM}content").get("type")) == (html, "html")


def test_atom_follows_rfc_4287(atom, document):
    links = [dict(found.attrib) for found in atom.findall(f"{ATOM}link")]
    assert links[0] == {"href": document.urls["atom"], "rel": "self", "type": "application/atom+xml"}
    assert links[1] == {"href": document.urls["html"], "rel": "alternate", "type": "text/html"}
    assert atom.findtext(f"{ATOM}author/{ATOM}name") == document.site_title
    assert atom.get("{http://www.w3.org/XML/1998/namespace}lang") == "nl"
    for entry in atom.iter(f"{ATOM}entry"):
        for name in ("id", "title", "updated"):
            assert len(entry.findall(ATOM + name)) == 1
            assert entry.findtext(ATOM + name).strip()
        rels = [found.get("rel") for found in entry.findall(f"{ATOM}link")]
        assert rels.count("alternate") <= 1
        assert "alternate" in rels or entry.findtext(f"{ATOM}content").strip()
        assert all(datetime.fromisoformat(entry.findtext(ATOM + name)).tzinfo for name in ("updated", "published"))


def test_no_two_atom_entries_share_an_updated_time(atom):
    updated = [entry.findtext(f"{ATOM}updated") for entry in atom.iter(f"{ATOM}entry")]
    assert len(set(updated)) == len(updated) == len(HARD)


def test_atom_links_keep_what_feedgen_drops(atom):
    entry = by_title(atom.iter(f"{ATOM}entry"), "Bijlagen", f"{ATOM}title")
    assert [dict(found.attrib) for found in entry.findall(f"{ATOM}link")] == [
        {"href": "https://www.example.org/nieuws/bericht-8/", "rel": "alternate", "type": "text/html"},
        {
            "href": "https://example.org/%C3%A9.pdf",
            "rel": "enclosure",
            "type": "application/pdf",
            "length": "1234",
            "title": "Rapport",
        },
        {"href": "https://example.org/b.mp3", "rel": "enclosure", "type": "audio/mpeg"},
    ]


def test_json_feed_follows_version_1_1(feed, document):
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert (feed["feed_url"], feed["home_page_url"], feed["language"]) == (document.urls["json"], document.urls["html"], "nl")
    assert feed["authors"] == [{"name": "Platform Samen Opleiden", "url": "https://www.example.org/nieuws/"}]
    for item in feed["items"]:
        assert item["id"]
        assert bool(item.get("content_html")) != bool(item.get("content_text"))
        assert all(datetime.fromisoformat(item[name]).tzinfo for name in ("date_published", "date_modified"))
        assert "" not in item.values()
    attachments = next(item for item in feed["items"] if item.get("title") == "Bijlagen")["attachments"]
    assert attachments == [
        {"url": "https://example.org/%C3%A9.pdf", "mime_type": "application/pdf", "title": "Rapport", "size_in_bytes": 1234},
        {"url": "https://example.org/b.mp3", "mime_type": "audio/mpeg"},
    ]


RFC_822 = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000")
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
URL = re.compile(r"https?://[a-z0-9.:-]+/[!-~]*")


def test_every_time_is_written_as_its_format_asks(rss, atom, feed):
    said = [node.text for node in rss.iter("pubDate", "lastBuildDate")]
    assert len(said) == 2 + len(HARD)
    assert all(RFC_822.fullmatch(text) for text in said)
    assert all(f"{parsedate_to_datetime(text):%a}" == text[:3] for text in said)  # the day of the week is the right one
    said = [node.text for node in atom.iter(f"{ATOM}updated", f"{ATOM}published")]
    assert len(said) == 1 + 2 * len(HARD)
    said += [item[name] for item in feed["items"] for name in ("date_published", "date_modified")]
    assert all(RFC_3339.fullmatch(text) for text in said)


def test_every_address_is_an_absolute_ascii_one(rss, atom, feed):
    own = {"{http://www.w3.org/2005/Atom}link": "href", "enclosure": "url", f"{MEDIA}content": "url", f"{MEDIA}thumbnail": "url"}
    found = [node.get(own[node.tag]) for tree in (rss, atom) for node in tree.iter(*own)]
    found += [node.text for node in rss.iter("link")] + [node.text for node in atom.iter(f"{ATOM}uri")]
    found += [feed["home_page_url"], feed["feed_url"], feed["authors"][0]["url"]]
    for item in feed["items"]:
        found += [value for name, value in item.items() if name in ("url", "external_url", "image", "banner_image")]
        found += [attachment["url"] for attachment in item.get("attachments", [])]
    assert len(found) > 3 * len(HARD)
    assert not [url for url in found if not URL.fullmatch(url)]
    assert "https://nieuws.xn--mnchen-3ya.example/stra%C3%9Fe%20&%20zo/?q=%C3%BC#%C3%A9%C3%A9n" in found


def test_no_element_is_there_for_nothing(rss, atom, feed):
    for tree in (rss.getparent(), atom):
        assert not [node.tag for node in tree.iter() if not (len(node) or node.attrib or (node.text or "").strip())]
        assert not [(node.tag, name) for node in tree.iter() for name, value in node.attrib.items() if not value.strip()]
    for item in feed["items"]:
        assert not [name for name, value in item.items() if value in ("", [], {}, None)]


def test_lengths_are_digits_and_an_enclosure_always_has_its_three_attributes(rss, atom, feed):
    enclosures = [*rss.iter("enclosure")]
    assert enclosures
    for node in enclosures:  # RSS requires all three; a length that is not known is 0
        assert set(node.attrib) == {"url", "length", "type"}
        assert re.fullmatch(r"\d+", node.get("length"))
    lengths = [node.get("length") for node in atom.iter(f"{ATOM}link") if "length" in node.attrib]
    lengths += [node.get("fileSize") for node in rss.iter(f"{MEDIA}content") if "fileSize" in node.attrib]
    assert lengths
    assert all(re.fullmatch(r"[1-9]\d*", text) for text in lengths)
    sizes = [found["size_in_bytes"] for item in feed["items"] for found in item.get("attachments", []) if "size_in_bytes" in found]
    assert sizes
    assert all(type(size) is int and size > 0 for size in sizes)


def test_ids_are_unique_in_each_format_and_differ_from_the_feeds_own(rss, atom, feed):
    entries = [node.text for node in atom.iterfind(f"{ATOM}entry/{ATOM}id")]
    for ids in ([node.text for node in rss.iter("guid")], [atom.findtext(f"{ATOM}id"), *entries], [i["id"] for i in feed["items"]]):
        assert len(set(ids)) == len(ids) >= len(HARD)


def test_markup_in_a_title_stays_text_and_no_text_holds_what_xml_forbids(files, rss, atom, feed):
    for titles in (
        [node.text.replace("\N{WORD JOINER}", "") for node in rss.iterfind("item/title")],
        [unescape(node.text) for node in atom.iterfind(f"{ATOM}entry/{ATOM}title")],
        [item["title"] for item in feed["items"] if "title" in item],
    ):
        assert "Over <b>vet</b> & zo" in titles
        assert "Emoji ❤️ 👩🏽‍🏫 é e\u0301" in titles
        assert "A" * 5000 in titles
        assert any("خبر عاجل <b>" in title for title in titles)
    assert {
        title.get("type", "text") for title in atom.iter(f"{ATOM}title") if "<" not in title.text and "&" not in title.text
    } == {"text"}
    assert (
        by_title(atom.iter(f"{ATOM}entry"), "Over &lt;b&gt;vet&lt;/b&gt; &amp; zo", f"{ATOM}title").find(f"{ATOM}title").get("type")
        == "html"
    )
    for name, data in files.items():
        text = json.dumps(json.loads(data), ensure_ascii=False) if name == "json" else data.decode()
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", text), name


def test_an_attachment_of_unknown_length_says_0_in_rss_and_nothing_elsewhere():
    audio = Attachment("https://example.org/a.mp3", "audio/mpeg", -1)
    files = render_all(make_feed_document([make_feed_item(1, attachments=(audio,))]), TEXTS)
    assert etree.fromstring(files["rss"]).find("channel/item/enclosure").get("length") == "0"
    enclosure = etree.fromstring(files["atom"]).find(f"{ATOM}entry/{ATOM}link[@rel='enclosure']")
    assert "length" not in enclosure.attrib
    assert json.loads(files["json"])["items"][0]["attachments"] == [{"url": audio.url, "mime_type": "audio/mpeg"}]


def test_an_empty_feed_is_still_a_feed():
    files = render_all(make_feed_document([]), TEXTS)
    assert json.loads(files["json"])["items"] == []
    for name in ("rss", "atom"):
        parsed = feedparser.parse(files[name])
        assert (bool(parsed.bozo), parsed.feed.title, parsed.entries) == (False, "Samen Opleiden: nieuws", [])
    assert "Hier is nog geen nieuws." in files["html"].decode()


def test_the_page_shows_the_items_in_its_language_and_points_to_its_feeds(files, document):
    page = LexborHTMLParser(files["html"].decode())
    assert page.css_first("html").attributes["lang"] == "nl"
    assert {node.attributes["type"]: node.attributes["href"] for node in page.css("link[rel=alternate]")} == {
        "application/rss+xml": document.urls["rss"],
        "application/atom+xml": document.urls["atom"],
        "application/feed+json": document.urls["json"],
    }
    assert len(page.css("article")) == len(HARD)
    assert len(page.css("h1")) == 1
    assert [node.attributes["lang"] for node in page.css("article[lang]")] == ["ar"]


def test_a_date_without_a_time_is_shown_without_one_in_the_zone_of_the_site(files):
    page = LexborHTMLParser(files["html"].decode())
    times = {node.css_first("h2").text(): node.css_first("time") for node in page.css("article")}
    by_day, by_time = times["Bijlagen"], times["IDN"]
    assert (by_day.text(), by_day.attributes["datetime"]) == ("14 mei 2019", "2019-05-14")
    assert (by_time.text(), by_time.attributes["datetime"]) == ("8 november 2018 12:00", "2018-11-08T12:00+01:00")


def test_the_page_holds_no_foreign_markup_script_or_image(files):
    page = LexborHTMLParser(files["html"].decode())
    assert not page.css("script, img, iframe, form, object, article b, article i")
    assert "خبر عاجل <b>" in page.text()
    assert not [node for node in page.css("a") if not re.match(r"https?://|mailto:", node.attributes["href"])]


def test_the_page_lets_people_subscribe_without_scripts_and_shows_the_way_to_the_archive():
    address, archive = "https://nieuws.example.org/subscribe/samen-opleiden", "https://nieuws.example.org/archive/samen-opleiden"
    made = render_all(make_feed_document(subscribe_url=address, archive_url=archive), TEXTS)["html"].decode()
    page = LexborHTMLParser(made)
    form = page.css_first("form")
    assert (form.attributes["method"], form.attributes["action"]) == ("post", address)
    assert {node.attributes["name"]: node.attributes.get("value") for node in form.css("input")} == {
        "email": None,
        "feed": "samen-opleiden",
    }
    assert form.css_first("label").attributes["for"] == form.css_first("input[type=email]").attributes["id"]
    assert page.css_first(f'a[href="{archive}"]').text() == "Eerdere edities"
    assert "form-action 'self' https://nieuws.example.org\"" in made
    assert not LexborHTMLParser(render_all(make_feed_document(), TEXTS)["html"].decode()).css("form")


ANY_ITEM = st.fixed_dictionaries(
    {name: st.text(max_size=30) for name in ("title", "summary", "kicker", "content_html", "url", "identity")},
    optional={
        "authors": st.lists(st.text(max_size=8), max_size=3).map(tuple),
        "categories": st.lists(st.text(max_size=8), max_size=3).map(tuple),
        "attachments": st.lists(
            st.builds(Attachment, st.text(max_size=20), st.text(max_size=8), st.integers(-1, 9)), max_size=2
        ).map(tuple),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_ITEM, max_size=3))
def test_no_item_whatever_it_holds_breaks_a_feed(changes):
    items = [make_feed_item(seq, **{**values, "identity": f"{seq}{values['identity']!a}"}) for seq, values in enumerate(changes, 1)]
    files = render_all(make_feed_document(items), TEXTS)
    assert len(etree.fromstring(files["rss"]).findall("channel/item")) == len(items)
    assert len(etree.fromstring(files["atom"]).findall(f"{ATOM}entry")) == len(items)
    assert len(json.loads(files["json"])["items"]) == len(items)
    assert len(LexborHTMLParser(files["html"].decode()).css("article")) == len(items)
