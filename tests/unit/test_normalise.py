from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.normalise import clean_teaser, normalise, shorten, url_key
from pipeline.models import Attachment, CandidateItem, Image, ParsedItem, ParsedSource, Precision, ReadDate, SourceKind
from pipeline.shown import link

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
BASE = "https://www.example.org/nieuws/"


def run(*items: ParsedItem) -> tuple[tuple[CandidateItem, ...], tuple[str, ...]]:
    parsed = ParsedSource(SourceKind.FEED, "rss20", items)
    return normalise(parsed, base_url=BASE, language="nl", now=NOW)


def one(**fields: object) -> CandidateItem:
    (item,), _remarks = run(replace(ParsedItem(url="/a/", title="Titel"), **fields))  # type: ignore[arg-type]
    return item


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Een zin is af. […]", "Een zin is af."),
        ("Een zin die ophoudt […]", "Een zin die ophoudt…"),
        ("Een zin die ophoudt [...] Meer lezen »", "Een zin die ophoudt…"),
        ("Een zin die ophoudt, … Lees meer", "Een zin die ophoudt…"),
        ("Af. Continue reading →", "Af."),
        ("Wij lezen meer boeken.", "Wij lezen meer boeken."),
        ("Kinderen die meer lezen", "Kinderen die meer lezen"),
        ("[…]", ""),
        ("Er is geen samenvatting omdat dit een beveiligd bericht is.", ""),
        ("Er is geen samenvatting omdat dit bericht is beveiligd.", ""),
        ("", ""),
    ],
)
def test_teasers_end_as_sentences_or_with_an_ellipsis(text: str, expected: str) -> None:
    assert clean_teaser(text) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://www.example.org/a",
        "https://WWW.Example.org/a/",
        "https://www.example.org:443/a#top",
        "http://www.example.org:80/a?utm_source=x&utm_medium=y&fbclid=1",
        "https://example.org/a",
        "https://m.example.org/a",
        "https://amp.example.org/a",
        "https://www.example.org/amp/a/",
        "https://www.example.org/a/amp/",
        "https://www.example.org/a?amp=1",
        "https://www.example.org/a.amp",
        "https://www.example.org/a/index.html",
        "https://www.example.org/%61",
    ],
)
def test_one_address_in_many_spellings_is_one_identity(url: str) -> None:
    assert one(url=url).keys == ("url:example.org/a",)


def test_what_makes_a_difference_on_a_server_stays_in_the_identity() -> None:
    assert url_key("https://a.example/p?id=1") != url_key("https://a.example/p?id=2")
    assert url_key("https://a.example/P") != url_key("https://a.example/p")
    assert url_key("https://a.example:8080/p") != url_key("https://a.example/p")


def test_a_guid_is_the_strongest_identity() -> None:
    assert one(guid="abc").keys == ("guid:abc", "url:example.org/a")


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "ftp://x/y", "http://u:p@x/", "http://[", "", "http://" + "a" * 3000]
)
def test_an_entry_without_a_usable_address_or_guid_is_left_out_with_a_remark(url: str) -> None:
    items, remarks = run(ParsedItem(url=url, title="Weg"), ParsedItem(url="/b", title="Blijft"))
    assert [item.title for item in items] == ["Blijft"]
    assert remarks == ('entry 1 "Weg" has neither an address nor a guid',)


def test_an_entry_that_cannot_be_told_from_another_leaves_a_remark() -> None:
    items, remarks = run(ParsedItem("", "Een", guid="1"), ParsedItem("", "Twee", guid="1"))
    assert [item.title for item in items] == ["Een"]
    assert remarks == ('"Twee" has the guid or address of another entry and was left out',)


def test_twins_in_one_document_are_one_item_and_the_first_wins() -> None:
    items, remarks = run(ParsedItem("/a", "Titel", guid="1"), ParsedItem("/a?utm_source=x", "Titel", guid="2"))
    assert [item.keys[0] for item in items] == ["guid:1"]
    assert remarks == ()


def test_an_item_without_a_title_gets_its_first_words_or_its_address() -> None:
    assert one(title=" ", summary="Een korte tekst.").title == "Een korte tekst."
    assert one(title="").title == "https://www.example.org/a/"


def test_control_and_bidi_characters_never_leave() -> None:
    item = one(title="A\x00B\x0b\u202eC\u200b\ufffe \n D", summary="\x1b[31mrood")
    assert item.title == "ABC D"
    assert item.summary == "[31mrood"


def test_long_texts_end_at_a_word() -> None:
    item = one(title="woord " * 200, summary="zin " * 900)
    assert len(item.title) <= 500
    assert item.title.endswith(" woord…")
    assert len(item.summary) <= 1000
    assert item.summary.endswith(" zin…")


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p onclick='x()' class=a id=b style='color:red'>Hoi</p>", "<p>Hoi</p>"),
        ("<script>alert(1)</script><style>p{}</style>tekst", "tekst"),
        ("<form><input value=x><button>Nee</button></form>na", "na"),
        ("<iframe src='https://x/'></iframe><object data=x></object>na", "na"),
        ("<a href='javascript:alert(1)'>x</a>", "<a>x</a>"),
        ("<a href=' java\nscript:alert(1)'>x</a>", "<a>x</a>"),
        ("<a href='../b/' target=_blank>x</a>", '<a href="https://www.example.org/b/">x</a>'),
        ("<img src='data:image/png;base64,AAAA'>na", "na"),
        ("<img src='/i.png' width=1 height=1 onerror=x>na", "na"),
        ("<img src='/i.png' alt='Een beeld'>", '<img src="https://www.example.org/i.png" alt="Een beeld">'),
        ("<svg><script>x</script></svg>na", "na"),
        ("een<br></br>twee<br/>drie", "een<br>twee<br>drie"),
        ('voor<iframe src="https://x/"/>na', "voorna"),
        ("voor<object data=x><p>Zie <a href=/f>de film</a></p>", 'voor<p>Zie <a href="https://www.example.org/f">de film</a></p>'),
    ],
)
def test_content_is_harmless_and_absolute(markup: str, expected: str) -> None:
    assert one(content_html=markup).content_html == expected


def test_content_nested_too_deeply_becomes_text_or_nothing() -> None:
    assert one(content_html="<div>" * 100 + "tekst" + "</div>" * 100).content_html == "<p>tekst</p>"
    assert one(content_html="<div>" * 200_000 + "tekst", summary="kort").content_html == ""


def test_the_summary_falls_back_to_the_content() -> None:
    assert one(content_html="<h2>Kop</h2><p>De <b>ee</b>rste alinea.</p>").summary == "Kop De eerste alinea."
    assert one(summary_html="Interview &#124; een &lt;b&gt; [&#8230;]").summary == "Interview | een <b>…"


def test_images_and_attachments_are_absolute_or_gone() -> None:
    item = one(image=Image("javascript:x"), attachments=(Attachment("/a.mp3", "audio/mpeg", -1), Attachment("data:x")) * 30)
    assert item.image is None
    assert {(found.url, found.length) for found in item.attachments} == {("https://www.example.org/a.mp3", 0)}
    assert len(item.attachments) == 20


def test_unbelievable_dates_are_dropped_with_a_remark() -> None:
    for at, why in ((datetime(1970, 1, 1, tzinfo=UTC), "is before 1990"), (NOW + timedelta(days=9), "lies in the future")):
        items, remarks = run(ParsedItem("/a", "T", published=ReadDate(at, Precision.TIME, "zeg", "rfc822")))
        assert items[0].published is None
        assert items[0].doubt == f'the date "zeg" {why}'
        assert remarks == (f'"T": the date "zeg" {why}',)


@pytest.mark.parametrize(
    ("ahead", "precision", "counts", "doubted"),
    [
        (timedelta(hours=-1), Precision.TIME, timedelta(hours=-1), False),
        (timedelta(minutes=3), Precision.TIME, timedelta(), False),
        (timedelta(hours=5), Precision.TIME, timedelta(), True),
        (timedelta(hours=12), Precision.DAY, timedelta(hours=12), False),
        (timedelta(hours=27), Precision.DAY, timedelta(), True),
    ],
)
def test_a_date_some_hours_ahead_counts_from_now(ahead: timedelta, precision: Precision, counts: timedelta, doubted: bool) -> None:
    item = one(published=ReadDate(NOW + ahead, precision, "straks", "rfc822"))
    assert item.published is not None
    assert item.published.at == NOW + counts
    assert item.doubt == ('the date "straks" lies ahead and counts from now' if doubted else "")


def test_time_passing_is_no_change_of_an_item() -> None:
    """A date ahead becomes a past one, "22 mei" another year's, a doubt goes: the source said nothing new."""
    later = NOW + timedelta(days=30)
    for rule, moved in (("rfc822", timedelta()), ("no year", timedelta(days=365)), ("relative", timedelta(days=1))):
        for days in (1, 20):
            at = NOW + timedelta(days=days)
            hashes = []
            for now, stated in ((NOW, at), (later, at + moved)):
                item = ParsedItem("/a", "T", published=ReadDate(stated, Precision.TIME, "x", rule))
                parsed = ParsedSource(SourceKind.FEED, "test", (item,))
                (found,), _remarks = normalise(parsed, base_url="https://www.example.org/", language="nl", now=now)
                hashes.append(found.content_hash)
            assert len(set(hashes)) == 1


def test_an_update_before_the_publication_is_no_fault() -> None:
    item = one(
        published=ReadDate(NOW - timedelta(days=1), Precision.TIME, "a", "iso"),
        updated=ReadDate(NOW - timedelta(days=2), Precision.TIME, "b", "iso"),
    )
    assert item.updated is not None
    assert item.updated.at == NOW - timedelta(days=2)
    assert item.doubt == ""


def test_the_hash_changes_with_what_a_reader_sees_and_with_nothing_else() -> None:
    hour = ReadDate(NOW, Precision.TIME, "een uur geleden", "relative")
    later = ReadDate(NOW + timedelta(hours=1), Precision.TIME, "zojuist", "relative")
    assert one(published=hour).content_hash == one(published=later).content_hash
    assert one(url="http://www.example.org/a?utm_source=x").content_hash == one(url="/a").content_hash
    assert one(title="Anders").content_hash != one().content_hash
    assert one(summary="Anders").content_hash != one().content_hash
    assert one(published=replace(hour, rule="iso")).content_hash != one(published=replace(later, rule="iso")).content_hash


TEXT = st.text(max_size=80) | st.sampled_from(
    [
        "<p>",
        "</div><script>",
        "http://x/\ud800",
        "//[",
        "\x00\x01",
        "http://ex\u0000.com:99999/",
        "/a\x00b\ud800",
        "&#0;&#xd800;&#1;x",
        "a\udfff/b",
        "&#" + "9" * 5000 + ";",
    ]
)


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from strings(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from strings(getattr(value, field.name))


@settings(max_examples=200, deadline=None)
@given(TEXT, TEXT, TEXT, TEXT)
def test_any_strings_normalise_to_clean_ones(url: str, title: str, markup: str, guid: str) -> None:
    item = ParsedItem(
        url=url,
        title=title,
        guid=guid,
        kicker=title,
        summary=title,
        summary_html=markup,
        content_html=markup,
        published=ReadDate(NOW, Precision.TIME, title, "iso"),
        updated=ReadDate(NOW, Precision.DAY, markup, "iso"),
        authors=(title, guid),
        categories=(markup, title),
        image=Image(url, title),
        attachments=(Attachment(url, markup, 1, title), Attachment("/a" + url, f"audio/{title}", 1, markup)),
        language=guid,
    )
    items, _remarks = run(item)
    for found in items:
        assert found.keys
        assert found.title
        assert found.url == "" or found.url.startswith(("http://", "https://"))
        for text in strings(found):
            assert "\x00" not in text
            text.encode("utf-8")
        assert all(len(key.encode()) <= 500 for key in found.keys)
        assert "<script" not in found.content_html


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.integers(min_value=2, max_value=100))
def test_shortened_texts_fit(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= limit


def test_entries_with_guids_of_their_own_stay_apart_though_they_share_an_address() -> None:
    first = ParsedItem(url="/status/", title="Versie 1", guid="v1")
    second = ParsedItem(url="/status/", title="Versie 2", guid="v2")
    found, _ = run(second, first)
    assert [item.title for item in found] == ["Versie 2", "Versie 1"]
    assert [item.keys for item in found] == [("guid:v2",), ("guid:v1",)]


def test_the_same_entry_twice_is_one_item() -> None:
    entry = ParsedItem(url="/a/", title="Titel", guid="a")
    found, _ = run(entry, entry)
    assert len(found) == 1


def test_an_identity_of_any_length_fits_into_an_index_and_stays_the_same() -> None:
    long = "漢" * 900
    first, again = one(guid=long), one(guid=long)
    assert first.keys == again.keys
    assert all(len(key.encode()) <= 500 for key in first.keys)
    assert one(guid=long[:-1]).keys[0] != first.keys[0]
    assert one(guid="a" * 2000 + "1").keys[0] != one(guid="a" * 2000 + "2").keys[0]
    assert one(url="/" + "a" * 900).keys[0].startswith("url:sha256:")
    assert one(guid="g" * 496).keys[0].startswith("guid:sha256:")
    assert one(guid="g" * 495).keys[0] == "guid:" + "g" * 495


def test_a_number_too_long_for_python_is_no_reason_to_lose_a_source() -> None:
    assert one(summary_html="Een &#" + "9" * 5000 + "; teken").summary == "Een \ufffd teken"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://straße.example/über uns", "https://xn--strae-oqa.example/%C3%BCber%20uns"),
        ("https://München.example", "https://xn--mnchen-3ya.example/"),
        ("/100%/a%20b", "https://www.example.org/100%25/a%20b"),
    ],
)
def test_an_address_is_collected_as_it_will_be_shown(url: str, expected: str) -> None:
    assert one(url=url).url == expected
    assert link(expected) == expected
