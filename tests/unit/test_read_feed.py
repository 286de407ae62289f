from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.read import read
from pipeline.collect.read_feed import looks_like_feed, read_feed
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import Image, ParsedItem, ParsedSource, PollHints, SourceKind

DATA = Path(__file__).parent.parent / "data" / "wordpress"
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "https://news.example/feed/"


def feed(body: bytes, content_type: str = "application/rss+xml") -> ParsedSource:
    return read_feed(body, url=URL, content_type=content_type, zone="Europe/Amsterdam", now=NOW, language="nl")


def read_any(body: bytes) -> ParsedSource:
    """As whatever it turns out to be."""
    wanted = {"kind": SourceKind.AUTO, "page": PageSettings(), "language": "nl", "zone": "Europe/Amsterdam"}
    return read(body, url=URL, content_type="text/xml", now=NOW, max_items=50, **wanted)  # type: ignore[arg-type]


def rss(item: str, encoding: str = "utf-8") -> bytes:
    head = f'<?xml version="1.0" encoding="{encoding}"?><rss version="2.0"><channel><title>T</title>'
    return f"{head}<item>{item}</item></channel></rss>".encode(encoding)


@pytest.mark.parametrize(
    ("name", "format"), [("feed-rss2.xml", "RSS 2.0"), ("feed-atom.xml", "Atom 1.0"), ("feed-rdf.xml", "RSS 1.0")]
)
def test_one_site_reads_the_same_in_every_format(name: str, format: str) -> None:
    found = feed((DATA / name).read_bytes())
    assert found.rule == f"a feed, {format}"
    assert len(found.items) == 10
    assert found.title == "Kwaliteitsnetwerk Onderwijs & Bestuur"
    first = found.items[0]
    assert first.title == "Wintertijd: bericht in het dubbele uur"
    assert first.url == "http://127.0.0.1:8182/nieuws/wintertijd-bericht-in-het-dubbele-uur/"
    assert first.published is not None
    assert first.published.at == datetime(2019, 10, 27, 1, 30, tzinfo=UTC)
    assert found.items[3].title == "Vacature | Adviseur m/v/x (0,8 fte) – € 3.900"


def test_a_valid_feed_without_entries_says_so_and_is_no_error() -> None:
    found = feed((DATA / "feed-comments.xml").read_bytes())
    assert found.items == ()
    assert "no entries" in found.rule


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("05-06-2019", datetime(2019, 6, 5, 10, 0, tzinfo=UTC)),
        ("Wed, 22 May 2019 14:05:00 CEST", datetime(2019, 5, 22, 12, 5, tzinfo=UTC)),
        ("wo, 22 mei 2019 14:05:00 +0200", datetime(2019, 5, 22, 12, 5, tzinfo=UTC)),
    ],
)
def test_feed_dates_that_feedparser_gets_wrong_are_right(date: str, expected: datetime) -> None:
    (item,) = feed(rss(f"<title>x</title><pubDate>{date}</pubDate>")).items
    assert item.published is not None
    assert item.published.at == expected


def test_an_unreadable_date_leaves_a_remark_and_keeps_the_item() -> None:
    found = feed(rss("<title>Fijn</title><pubDate>op een dag</pubDate>"))
    assert found.items[0].published is None
    assert found.skipped == ('"Fijn": the date "op een dag" could not be read',)


def test_markup_in_titles_becomes_text_and_arithmetic_stays() -> None:
    assert feed(rss("<title>&lt;b&gt;Vet&lt;/b&gt; &amp;amp; schuin</title>")).items[0].title == "Vet & schuin"
    assert feed(rss("<title>Waarom 100% &lt; 99% en 5 &gt; 4</title>")).items[0].title == "Waarom 100% < 99% en 5 > 4"


def test_enclosures_content_and_authors_arrive() -> None:
    (item,) = feed(
        rss(
            "<title>x</title><author>An</author><category>Nieuws</category><description>kort</description>"
            '<content:encoded xmlns:content="http://purl.org/rss/1.0/modules/content/">&lt;p&gt;lang&lt;/p&gt;</content:encoded>'
            '<enclosure url="/a.mp3" type="audio/mpeg" length="12"/>'
        )
    ).items
    assert (item.content_html, item.summary_html, item.categories) == ("<p>lang</p>", "kort", ("Nieuws",))
    assert [(found.url, found.media_type, found.length) for found in item.attachments] == [("/a.mp3", "audio/mpeg", 12)]


def test_bytes_that_look_like_a_path_are_never_opened(tmp_path: Path) -> None:
    secret = tmp_path / "feed.xml"
    secret.write_bytes(rss("<title>secret</title>"))
    with pytest.raises(ReadError):
        feed(str(secret).encode())


def test_an_html_page_is_not_taken_for_a_feed() -> None:
    page = (DATA / "listing-front.html").read_bytes()
    assert not looks_like_feed(page, "application/rss+xml")
    with pytest.raises(ReadError, match="not a feed"):
        feed(page)


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf\n" + rss("<title>x</title>"), b"<!-- hi --><?x y?>" + rss(""), rss("", "utf-16")])
def test_a_feed_is_known_by_its_root(body: bytes) -> None:
    assert looks_like_feed(body, "text/html")


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_a_feed_in_wide_characters_is_read_with_and_without_a_byte_order_mark(charset: str) -> None:
    body = rss("<title>Één – ①</title><guid>1</guid>", charset.replace("-le", "").replace("-be", ""))
    found = read_any(body.decode(charset[:6]).encode(charset))
    assert [item.title for item in found.items] == ["Één – ①"]


def test_leading_rubbish_is_forgiven_where_the_server_says_feed() -> None:
    body = b"Warning: something in line 3\n" + rss("<title>x</title>")
    assert looks_like_feed(body, "application/rss+xml; charset=utf-8")
    assert not looks_like_feed(body, "text/plain")


def test_windows_bytes_in_a_feed_that_says_so_are_read() -> None:
    assert feed(rss("<title>Financiën – één</title>", "windows-1252")).items[0].title == "Financiën – één"


HEAD = b'<rss version="2.0"><channel>'
BOMBS = {
    "nested": HEAD + b"<item><description>" + b"<d>" * 60_000,
    "many items": HEAD + b"<item>" * 30_000,
    "too many items": HEAD + b"<item>" * 2_000_000,
    "entities": b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY a%d "%s">' % (i, (b"&a%d;" % (i - 1) if i else b"&a;") * 10) for i in range(12))
    + b"]>"
    + HEAD
    + b"<item><title>&a11;</title></item></channel></rss>",
    "external entity": b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    + HEAD
    + b"<item><title>[&x;]</title></item></channel></rss>",
    "NUL": HEAD + b"\0" * 100_000 + b"<item><title>x</title></item>",
    "ampersands": HEAD + b"<item><title>" + b"&" * 400_000,
    "unclosed comments": HEAD + b"<!--" * 200_000,
    "spaces": HEAD + b" " * 9_900_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_feeds_end_in_a_result_or_a_read_error(name: str) -> None:
    started = time.monotonic()
    try:
        found = feed(BOMBS[name])
    except ReadError:
        found = None
    assert found is None or all("/" not in item.title and len(item.title) < 2_000_000 for item in found.items)
    assert time.monotonic() - started < 30


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", HEAD, b"<feed xmlns='http://www.w3.org/2005/Atom'><entry>", b"<rdf:RDF>", HEAD + b"<item><title>"]),
)
def test_any_bytes_give_items_or_a_read_error(data: bytes, head: bytes) -> None:
    for kind in (SourceKind.AUTO, SourceKind.FEED):
        try:
            found = read(
                head + data,
                url=URL,
                content_type="",
                kind=kind,
                page=PageSettings(),
                language="nl",
                zone="UTC",
                now=NOW,
                max_items=10,
            )
        except ReadError:
            continue
        assert found.items or found.rule


def test_more_items_than_wanted_are_left_out_with_a_remark() -> None:
    body = (DATA / "feed-rss2.xml").read_bytes()
    found = read(
        body, url=URL, content_type="", kind=SourceKind.AUTO, page=PageSettings(), language="", zone="UTC", now=NOW, max_items=4
    )
    assert len(found.items) == 4
    assert "6 items beyond the first 4" in found.skipped[-1]


def test_a_doctype_made_to_be_backtracked_over_costs_nothing() -> None:
    begun = time.monotonic()
    assert not looks_like_feed(b"<!DOCTYPE x " + b"[]" * 20_000, "text/html")
    assert time.monotonic() - begun < 5  # it was exponential: minutes for thirty of them


@pytest.mark.parametrize("reference", ["&#x110000;", "&#xd800;", "&#99999999;", "&#" + "9" * 5000 + ";", "&#x" + "f" * 6000 + ";"])
def test_a_reference_to_no_character_costs_one_character_and_not_the_feed(reference: str) -> None:
    found = feed(rss(f"<title>A {reference} b</title></item><item><title>Nog een</title>"))
    assert [item.title for item in found.items] == ["A \ufffd b", "Nog een"]


def test_a_place_on_earth_by_itself_costs_nothing() -> None:
    found = feed(rss('<gml:pos xmlns:gml="http://www.opengis.net/gml">52 5</gml:pos><title>Ergens</title>'))
    assert [item.title for item in found.items] == ["Ergens"]


def test_what_a_prologue_declares_is_still_known() -> None:
    prologue = b'<?xml version="1.0"?>\n\n  <!DOCTYPE rss [\n\n <!ENTITY copy "(C)">\n\t<!ENTITY e "&#233;">\n]>\n'
    body = rss("<title>caf&e; &copy;</title><author>Jan de Boer (jan@example.org)</author>").partition(b"?>")[2]
    item = feed(prologue + body).items[0]
    assert (item.title, item.authors) == ("café (C)", ("Jan de Boer",))


ATOM = 'xmlns="http://www.w3.org/2005/Atom"'
MEDIA = 'xmlns:media="http://search.yahoo.com/mrss/"'
ITUNES = 'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'


def atom(entry: str, about: str = "") -> ParsedItem:
    (item,) = feed(f"<feed {ATOM} {about}><title>T</title><entry>{entry}</entry></feed>".encode()).items
    return item


def item(markup: str) -> ParsedItem:
    (found,) = feed(rss(markup)).items
    return found


@pytest.mark.parametrize(
    ("links", "address"),
    [
        ('<link href="/a"/>', "/a"),
        ('<link rel="self" href="/self"/><link rel="alternate" type="text/html" href="/a"/><link rel="edit" href="/edit"/>', "/a"),
        ('<link rel="alternate" href="/a"/><link rel="alternate" hreflang="en" href="/en"/>', "/a"),
        ('<link rel="alternate" type="application/pdf" href="/a.pdf"/><link rel="alternate" type="text/html" href="/a"/>', "/a"),
        ('<link rel="alternate" type="application/pdf" href="/a.pdf"/>', "/a.pdf"),
        ('<link rel="self" href="/self"/><link rel="replies" href="/r"/>', ""),
        ('<link rel="self" href="/self"/><content type="text/html" src="/buiten"/>', "/buiten"),
    ],
)
def test_of_several_links_the_page_that_an_entry_is_about_is_its_address(links: str, address: str) -> None:
    assert atom(f"<id>x</id>{links}").url == address


def test_links_count_from_xml_base_where_a_feed_has_one() -> None:
    content = '<content type="html">&lt;a href="twee"&gt;b&lt;/a&gt; &lt;img src="/i.jpg"&gt;</content>'
    entry = f'<id>x</id><link href="een"/>{content}'
    found = atom(entry, 'xml:base="https://b.example/nieuws/"')
    assert found.url == "https://b.example/nieuws/een"
    assert 'href="https://b.example/nieuws/twee"' in found.content_html
    assert 'src="https://b.example/i.jpg"' in found.content_html
    assert 'href="twee"' in atom(entry).content_html


@pytest.mark.parametrize(
    ("guid", "url"),
    [
        ("<guid>https://a.example/1</guid>", "https://a.example/1"),
        ("<guid>12345</guid>", ""),
        ('<guid isPermaLink="false">https://a.example/1</guid>', ""),
        ('<guid isPermaLink="true">/1</guid>', ""),
        ("<guid>https://a.example/1</guid><link>https://a.example/2</link>", "https://a.example/2"),
        ("<link>https://a.example/2</link><link>https://a.example/3</link>", "https://a.example/2"),
        ('<atom:link rel="self" href="/s" xmlns:atom="http://www.w3.org/2005/Atom"/><link>/2</link>', "/2"),
    ],
)
def test_a_guid_is_an_address_only_where_it_is_one(guid: str, url: str) -> None:
    assert item(f"<title>x</title>{guid}").url == url


def test_an_item_with_only_a_description_is_an_item() -> None:
    found = item("<description>Alleen dit</description><guid isPermaLink='false'>1</guid>")
    assert (found.title, found.summary_html, found.guid, found.url) == ("", "Alleen dit", "1", "")


def test_markup_in_cdata_and_escaped_is_the_same() -> None:
    assert item("<description><![CDATA[<p>a &amp; b</p>]]></description>") == item(
        "<description>&lt;p&gt;a &amp;amp; b&lt;/p&gt;</description>"
    )


@pytest.mark.parametrize(
    "date",
    [
        '<dc:date xmlns:dc="http://purl.org/dc/elements/1.1/">2019-05-22T12:05:00Z</dc:date>',
        '<dcterms:issued xmlns:dcterms="http://purl.org/dc/terms/">2019-05-22T12:05:00Z</dcterms:issued>',
        '<prism:publicationDate xmlns:prism="http://prismstandard.org/namespaces/1.2/basic/">2019-05-22T12:05:00Z</prism:publicationDate>',
    ],
)
def test_dates_of_the_extensions_are_read(date: str) -> None:
    found = item(f"<title>x</title>{date}")
    assert found.published is not None
    assert found.published.at == datetime(2019, 5, 22, 12, 5, tzinfo=UTC)


def test_atom_says_whether_a_title_holds_markup_and_is_believed() -> None:
    assert atom('<title type="text">Het element &lt;b&gt; &#38;amp; meer</title><id>x</id>').title == "Het element <b> & meer"
    assert atom('<title type="html">Het &lt;b&gt;vette&lt;/b&gt; bericht</title><id>x</id>').title == "Het vette bericht"
    xhtml = '<title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Het <b>vette</b> bericht</div></title><id>x</id>'
    assert atom(xhtml).title == "Het vette bericht"


def test_xhtml_content_arrives_as_markup_without_its_wrapper() -> None:
    content = '<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>a &amp; <em>b</em></p></div></content>'
    assert atom(f"<id>x</id><summary>kort</summary>{content}").content_html == "<p>a &amp; <em>b</em></p>"


def test_the_source_of_a_copied_entry_does_not_take_its_place() -> None:
    source = '<source><id>bron</id><title>Bron</title><link href="/bron"/><author><name>Bo</name></author></source>'
    found = atom(f'<id>x</id><title>Een</title><link href="/een"/><author><name>An</name></author>{source}')
    assert (found.guid, found.title, found.url, found.authors) == ("x", "Een", "/een", ("An",))


def test_pictures_sound_and_films_of_media_rss_are_told_apart() -> None:
    group = (
        f'<media:group {MEDIA}><media:content url="/f.mp4" type="video/mp4" fileSize="9"/>'
        '<media:content url="/i.jpg" type="image/jpeg" width="30" height="20"/></media:group>'
    )
    found = item(f"<title>x</title>{group}<enclosure url='/a.mp3' type='audio/mpeg' length='1'/>")
    assert found.image == Image("/i.jpg", "", 30, 20)
    assert [(file.url, file.length) for file in found.attachments] == [("/a.mp3", 1), ("/f.mp4", 9)]
    assert item(f'<media:thumbnail {MEDIA} url="/t.jpg"/>').image == Image("/t.jpg")


@pytest.mark.parametrize("before", [True, False])
def test_the_words_under_a_picture_do_not_take_the_place_of_the_articles(before: bool) -> None:
    words = '<media:description type="plain">Foto: An</media:description>'
    media = f'<media:content {MEDIA} url="/i.jpg" medium="image">{words}</media:content>'
    text = "<description>&lt;p&gt;Het bericht&lt;/p&gt;</description>"
    found = item(media + text if before else text + media)
    assert (found.summary_html, found.content_html) == ("<p>Het bericht</p>", "")


def test_a_film_without_another_text_has_the_one_of_media_rss() -> None:
    found = atom(f"<id>x</id><media:group {MEDIA}><media:description>Een film</media:description></media:group>")
    assert found.summary_html == "Een film"


def test_a_podcasts_item_has_its_sound_picture_and_own_description() -> None:
    found = item(
        "<title>Aflevering 1</title><description>&lt;b&gt;Rijk&lt;/b&gt;</description>"
        f"<itunes:summary {ITUNES}>Kaal</itunes:summary>"
        f'<itunes:author {ITUNES}>An</itunes:author><itunes:image {ITUNES} href="https://a.example/i.jpg"/>'
        "<enclosure url='/a.mp3' type='audio/mpeg' length='12'/>"
    )
    assert (found.summary_html, found.content_html, found.authors) == ("<b>Rijk</b>", "", ("An",))
    assert found.image == Image("https://a.example/i.jpg")
    assert item(f"<itunes:summary {ITUNES}>Kaal</itunes:summary>").summary_html == "Kaal"


def test_the_original_address_stands_before_the_counting_one() -> None:
    counted = "<link>https://feeds.example/~r/1</link>"
    original = '<feedburner:origLink xmlns:feedburner="http://rssnamespace.org/feedburner/ext/1.0">https://a.example/1</feedburner:origLink>'
    assert item(counted + original).url == "https://a.example/1"


def about(markup: str) -> PollHints:
    return feed(
        f'<rss version="2.0" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"><channel>{markup}<item/></channel></rss>'.encode()
    ).hints


@pytest.mark.parametrize(
    ("markup", "hours"),
    [
        ("<ttl>60</ttl>", 1),
        ("<ttl> 90 </ttl>", 1.5),
        ("<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>2</sy:updateFrequency>", 0.5),
        ("<sy:updatePeriod> daily </sy:updatePeriod>", 24),
        ("<sy:updateFrequency>4</sy:updateFrequency>", 6),
        ("<sy:updatePeriod>weekly</sy:updatePeriod><ttl>60</ttl>", 168),
        ("<ttl>0</ttl>", None),
        ("<ttl>soms</ttl>", None),
        ("<ttl>99999999999</ttl>", None),
        ("<sy:updatePeriod>ooit</sy:updatePeriod>", None),
        ("", None),
    ],
)
def test_a_feed_says_how_often_to_ask_for_it(markup: str, hours: float | None) -> None:
    assert about(markup).at_least == (None if hours is None else timedelta(hours=hours))


def test_hours_and_days_to_stay_away_are_all_kept() -> None:
    hours = "<skipHours><hour>0</hour><hour> 7 </hour><hour>24</hour><hour>25</hour><hour>x</hour></skipHours>"
    days = "<skipDays><day>Saturday</day><day>sunday</day><day>zondag</day></skipDays><hour>3</hour>"
    assert about(hours + days) == PollHints(None, frozenset((0, 7)), frozenset((5, 6)))


@pytest.mark.parametrize(
    ("links", "page"),
    [
        ('<link rel="self" href="/feed"/><link rel="next" href="/feed?page=2"/>', "https://news.example/feed?page=2"),
        ('<link rel="prev-archive" href="2019.xml"/>', "https://news.example/feed/2019.xml"),
        ('<link rel="next" href="javascript:x"/><link rel="previous" href="/0"/>', ""),
    ],
)
def test_a_feed_says_where_its_older_entries_are(links: str, page: str) -> None:
    assert feed(f"<feed {ATOM}>{links}<entry><id>x</id></entry></feed>".encode()).next_page == page
    inside = links.replace("<link", '<a:link xmlns:a="http://www.w3.org/2005/Atom"')
    assert feed(f'<rss version="2.0"><channel>{inside}<item/></channel></rss>'.encode()).next_page == page


def test_a_channel_of_the_nineties_is_read() -> None:
    body = (
        b'<?xml version="1.0"?><CHANNEL HREF="https://a.example/"><TITLE>Nieuws</TITLE><ITEM HREF="https://a.example/1"'
        b' LASTMOD="2019-05-22T14:05-0500"><TITLE>Een</TITLE><ABSTRACT>Kort.</ABSTRACT></ITEM></CHANNEL>'
    )
    found = read_any(body)
    assert found.rule == "a feed, CDF"
    assert [(one.title, one.url, one.summary_html) for one in found.items] == [("Een", "https://a.example/1", "Kort.")]
    later = body.replace(b"<CHANNEL ", b'<Channel xmlns="http://purl.org/net/rss1.1#" ').replace(b"</CHANNEL>", b"</Channel>")
    assert read_any(later).rule == "a feed, RSS 1.1"
    with pytest.raises(ReadError, match="not a feed"):
        read_any(b"<channel><title>Leeg</title></channel>")


def test_an_item_with_neither_address_nor_guid_is_known_by_what_it_says() -> None:
    def names(markup: str) -> list[str]:
        return [one.guid for one in feed(rss(markup)).items]

    dated = "<title>Open dag</title><pubDate>Wed, 22 May 2019 14:05:00 +0200</pubDate><description>{}</description>"
    (first,) = names(dated.format("Kom langs."))
    assert first.startswith("text:")
    assert names(dated.format("Kom vooral langs.")) == [first]
    assert names(dated.format("Kom langs.").replace("22 May", "29 May")) != [first]
    undated = names(
        "<title>Kort</title><description>een</description></item><item><title>Kort</title><description>twee</description>"
    )
    assert len(set(undated)) == 2
    assert names("<title>x</title><link>https://a.example/1</link>") == [""]
    assert names("<author>Niemand</author>") == [""]


def test_a_title_that_is_only_a_picture_is_its_alternative_text() -> None:
    picture = "&lt;img src='/i.png' alt='Een beeld' onerror='x()'/&gt;"
    assert item(f"<title>{picture}</title>").title == "Een beeld"
    assert item(f"<title>{picture.replace('alt', 'title')}</title><description>Tekst</description>").title == ""
    assert item("<title>&lt;script&gt;x()&lt;/script&gt;</title>").title == ""
    assert [item(f"<title>&lt;{text}&gt;</title>").title for text in ("T", "/T")] == ["<T>", "</T>"]


def test_an_entry_that_speaks_another_language_than_its_feed_says_so() -> None:
    def spoken(markup: str) -> str:
        return atom(f"<id>1</id>{markup}", 'xml:lang="nl-NL"').language

    assert spoken('<title xml:lang="en">One</title>') == "en"
    assert spoken('<title>Een</title><content type="html" xml:lang="fr">Un</content>') == "fr"
    assert spoken("<title>Een</title>") == ""
    assert spoken('<title xml:lang="nl-nl">Een</title><summary xml:lang="">x</summary>') == ""


def test_a_base_that_is_relative_itself_counts_from_the_one_around_it_and_the_document() -> None:
    content = '<content type="html" xml:base="diep/">&lt;a href="twee"&gt;b&lt;/a&gt;</content>'
    found = atom(f'<id>https://a.example/1</id><link href="een" xml:base="sub/"/>{content}', 'xml:base="/nieuws/"')
    assert found.url == "https://news.example/nieuws/sub/een"
    assert 'href="https://news.example/nieuws/diep/twee"' in found.content_html


def test_a_guid_does_not_depend_on_where_the_feed_is() -> None:
    content = '<description xml:base="https://b.example/">x</description>'
    assert item(f"<guid isPermaLink='false'>1</guid>{content}").guid == "1"


def test_who_wrote_a_feed_or_the_source_of_a_copy_wrote_its_entries() -> None:
    name = "<author><name>{}</name></author>"
    around = f"<title>T</title>{name.format('Redactie')}<entry>{{}}<id>1</id></entry>"

    def authors(markup: str) -> tuple[str, ...]:
        (found,) = feed(f'<feed xmlns="{ATOM}">{around.format(markup)}</feed>'.encode()).items
        return found.authors

    assert authors("<title>x</title>") == ("Redactie",)
    assert authors(name.format("Jan")) == ("Jan",)
    assert authors(f"<source><title>S</title>{name.format('Piet')}</source>") == ("Piet",)


def test_an_ampersand_by_itself_stays_one_in_a_feed_that_is_not_well_formed() -> None:
    found = item("<title>R&D caf&eacute; AT&T &amp; &nbsp;zo</title><link>https://a.example/?a=1&b=2</link>")
    assert (found.title, found.url) == ("R&D café AT&T & zo", "https://a.example/?a=1&b=2")
    assert "Q&A" in item("<title>x&eacute;</title><description><![CDATA[<b>Q&A</b>]]></description>").summary_html.replace(
        "&amp;", "&"
    )


def test_a_podcast_with_only_a_subtitle_has_that() -> None:
    podcast = '<x:subtitle xmlns:x="http://www.itunes.com/dtds/podcast-1.0.dtd">Kort</x:subtitle>'
    assert item(f"<title>x</title><guid>1</guid>{podcast}").summary_html == "Kort"
    assert item(f"<title>x</title><guid>1</guid><description>Lang</description>{podcast}").summary_html == "Lang"


@pytest.mark.parametrize(
    ("told", "authors"),
    [
        ("jan@a.example (Jan Jansen)", ("Jan Jansen",)),
        ("Jan Jansen &lt;jan@a.example&gt;", ("Jan Jansen",)),
        ("jan@a.example, Jan Jansen", ("Jan Jansen",)),
        ("jan@a.example", ()),
        ("jan@a.nl (Jan Jansen)", ("Jan Jansen",)),
        ("jan@a.amsterdam (Jan Jansen)", ("Jan Jansen",)),
        ("Jan Jansen (jan@a.amsterdam)", ("Jan Jansen",)),
        ("@jan", ("@jan",)),
        ("mailto:Jan%20Jansen%20%3Cjan%40a.example%3E", ()),
    ],
)
def test_the_name_of_an_author_is_kept_and_the_address_is_not(told: str, authors: tuple[str, ...]) -> None:
    assert item(f"<guid>1</guid><author>{told}</author>").authors == authors


def test_an_original_address_that_is_none_is_not_taken() -> None:
    burner = '<f:origLink xmlns:f="http://rssnamespace.org/feedburner/ext/1.0">geen adres</f:origLink>'
    assert item(f"<title>x</title><link>https://a.example/1</link>{burner}").url == "https://a.example/1"


def test_content_in_another_kind_of_text_is_text() -> None:
    assert atom('<id>1</id><content type="text/markdown"># Kop &lt;3</content>').content_html == "# Kop &lt;3"
