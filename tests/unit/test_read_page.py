from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline
from pipeline.collect.normalise import normalise
from pipeline.collect.read import read
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import CandidateItem, ParsedSource, Precision, SourceKind

DATA = Path(__file__).parent.parent / "data" / "wordpress"
PAGES = Path(pipeline.__file__).parent / "demo" / "pages"
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "https://www.example.org/nieuws/"


def page(
    body: bytes | str, *, url: str = URL, content_type: str = "text/html", selectors: PageSettings | None = None
) -> ParsedSource:
    data = body.encode() if isinstance(body, str) else body
    return read(
        data,
        url=url,
        content_type=content_type,
        kind=SourceKind.AUTO,
        page=selectors or PageSettings(),
        language="nl",
        zone="Europe/Amsterdam",
        now=NOW,
        max_items=500,
    )


def candidates(parsed: ParsedSource, url: str = URL) -> tuple[CandidateItem, ...]:
    return normalise(parsed, base_url=url, language="nl", now=NOW)[0]


def test_the_sample_site_gives_its_two_items_as_a_visitor_sees_them() -> None:
    found = page((PAGES / "nieuws.html").read_bytes())
    assert found.title == "Nieuws – Samen Opleiden"
    interview, meeting = candidates(found)
    assert interview.title == "Interview | Doorlopend leren en de bestuurder"
    assert interview.url == "https://www.example.org/nieuws/doorlopend-leren-en-de-bestuurder/"
    assert interview.kicker == "Nieuws"
    assert interview.summary == (
        "De Leidse scholengroep Leonardo Da Vinci stimuleert brede professionele ontwikkeling van leraren met behulp van het"
        " beroepsbeeld voor de leraar."
    )
    assert interview.published is not None
    assert (interview.published.at, interview.published.precision) == (datetime(2019, 5, 22, 10, 0, tzinfo=UTC), Precision.DAY)
    assert meeting.title == "21 juni | Themabijeenkomst ‘Flexibel opleiden voor flexibel onderwijs’"
    assert meeting.summary.endswith("In partnerschappen Samen Opleiden komen…")
    assert meeting.published is not None
    assert meeting.published.at == datetime(2019, 5, 14, 10, 0, tzinfo=UTC)


def test_the_next_version_of_the_sample_site_has_one_newer_item_on_top() -> None:
    before, after = (candidates(page((PAGES / name).read_bytes())) for name in ("nieuws.html", "nieuws-vervolg.html"))
    assert after[1:] == before
    assert after[0].published is not None
    assert after[0].published.at == datetime(2019, 5, 28, 10, 0, tzinfo=UTC)


def test_an_article_page_without_a_listing_is_said_to_be_none() -> None:
    with pytest.raises(ReadError, match="no listing found"):
        page((PAGES / "themabijeenkomst-flexibel-opleiden.html").read_bytes())


@pytest.mark.parametrize(
    ("listing", "feeds"), [("listing-front.html", ["feed-rss2.xml"]), ("listing-page2.html", ["feed-page2.xml"])]
)
def test_a_listing_and_its_feed_give_the_same_items(listing: str, feeds: list[str]) -> None:
    site = "http://127.0.0.1:8182/"
    seen = candidates(page((DATA / listing).read_bytes(), url=site), site)
    fed = [item for name in feeds for item in candidates(page((DATA / name).read_bytes(), url=site), site)]
    assert [(item.keys[-1], item.title, item.published and item.published.at, item.summary) for item in seen] == [
        (item.keys[-1], item.title, item.published and item.published.at, item.summary) for item in fed
    ]


def test_a_category_page_gives_all_its_posts() -> None:
    assert len(page((DATA / "listing-category.html").read_bytes(), url="http://127.0.0.1:8182/category/nieuws/").items) == 9


def test_a_protected_post_is_kept_without_its_excuse_for_a_teaser() -> None:
    found = candidates(page((DATA / "listing-front.html").read_bytes(), url="http://127.0.0.1:8182/"))
    (item,) = [item for item in found if item.title == "Beveiligd: Alleen voor leden"]
    assert item.summary == ""


def test_a_page_without_a_listing_names_the_feed_it_links_to() -> None:
    with pytest.raises(ReadError) as caught:
        page((DATA / "notfound.html").read_bytes(), url="http://127.0.0.1:8182/x")
    assert "http://127.0.0.1:8182/feed/" in caught.value.fix


def block(number: int, extra: str = "") -> str:
    return (
        f'<div class="kaart kaart-{number} thema-{number}">'
        f'<a class="beeld" href="/b/{number}"><img src="/i/{number}.png" alt="Beeld"></a>'
        f'<span class="rubriek">Verslag</span><h3>Bericht nummer {number}</h3><div class="datum">{number} maart 2020</div>'
        f"<div class='tekst'>Een tekst van enige lengte die het bericht kort samenvat.</div>{extra}"
        f"<a href='/b/{number}'>Lees meer</a></div>"
    )


NOISE = (
    "<nav><ul>" + "".join(f'<li><a href="/m/{i}">Een menupunt met een lange naam {i}</a></li>' for i in range(12)) + "</ul></nav>"
    '<div class="sidebar"><ul>'
    + "".join(f'<li><a href="/z/{i}">Gerelateerd bericht nummer {i}</a> <time>1 mei 2020</time></li>' for i in range(8))
    + '</ul></div><ol class="comments">'
    + "".join(
        f'<li class="comment"><a href="#c{i}">2 mei 2020</a><p>Wat een goed stuk, ik ben het er zeer mee eens.</p></li>'
        for i in range(20)
    )
    + '</ol><div class="tag-cloud">'
    + "".join(f'<a href="/t/{i}">onderwerp {i}</a>' for i in range(40))
    + "</div><footer><ul><li><a href='/p'>Privacyverklaring van deze website</a></li>"
    "<li><a href='/d'>Disclaimer</a></li></ul></footer>"
)


def test_cards_without_any_semantics_win_from_everything_around_them() -> None:
    found = page(f"<html><body>{NOISE}<div>{''.join(block(i) for i in (9, 8, 7))}</div></body></html>")
    assert [item.title for item in found.items] == ["Bericht nummer 9", "Bericht nummer 8", "Bericht nummer 7"]
    first = found.items[0]
    assert first.url == "https://www.example.org/b/9"
    assert first.kicker == "Verslag"
    assert first.summary == "Een tekst van enige lengte die het bericht kort samenvat."
    assert first.image is not None
    assert first.image.url == "https://www.example.org/i/9.png"
    assert first.published is not None
    assert first.published.at.date().isoformat() == "2020-03-09"


def test_cards_in_rows_are_one_listing() -> None:
    rows = "".join(f"<div class='rij'>{block(i)}{block(i + 1)}</div>" for i in (1, 3, 5))
    assert len(page(f"<body>{rows}</body>").items) == 6


def test_whole_cards_that_are_links_are_read() -> None:
    cards = "".join(
        f'<a class="c" href="/b/{i}"><strong>Een bericht {i} over iets</strong><span>{i} mei 2020</span></a>' for i in (1, 2, 3)
    )
    found = page(f"<body><div>{cards}</div></body>")
    assert (found.items[0].title, found.items[0].url) == ("Een bericht 1 over iets", "https://www.example.org/b/1")


def test_selectors_decide_and_the_rest_is_found() -> None:
    found = page(
        f"<body>{NOISE}{block(4, '<p class=anders>Dit is de tekst die de beheerder wil zien.</p>')}</body>",
        selectors=PageSettings(item=".kaart", teaser=".anders"),
    )
    (item,) = found.items
    assert (item.title, item.summary) == ("Bericht nummer 4", "Dit is de tekst die de beheerder wil zien.")
    assert item.published is not None


def test_a_selector_that_matches_nothing_is_an_error_that_names_it() -> None:
    with pytest.raises(ReadError, match=r"item = \"\.weg\""):
        page(f"<body>{block(1)}</body>", selectors=PageSettings(item=".weg"))


def test_links_are_relative_to_the_base_element() -> None:
    found = page(f"<head><base href='https://other.example/x/'></head><body>{block(1)}{block(2)}</body>")
    assert found.items[0].url == "https://other.example/b/1"


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-8", "text/html; charset=iso-8859-1"),
        ("cp1252", "text/html; charset=iso-8859-1"),
        ("cp1252", "text/html"),
        ("utf-16", ""),
    ],
)
def test_wrong_or_missing_charsets_do_not_garble(encoding: str, content_type: str) -> None:
    cards = "".join(block(i).replace("Bericht", "Één reünie – ‘coöperatie’") for i in (1, 2))
    found = page(f"<body>{cards}</body>".encode(encoding), content_type=content_type)
    assert found.items[0].title == "Één reünie – ‘coöperatie’ nummer 1"


HOSTILE = {
    "nested": "<div>" * 200_000,
    "nested with strangers": "<div></x>" * 200_000,
    "hidden by NUL": "<\0div>" * 200_000,
    "formatting": "".join(f"<font size={i}>" for i in range(900)) + "<p>x</p>" * 300_000,
    "attributes": "<p " + " ".join(f"a{i}=1" for i in range(300_000)) + ">",
    "angles": "<" * 9_000_000,
    "comments": "<!--" * 2_000_000,
    "quotes": '<a b="' * 100_000,
    "one block": "<li>" + "".join(f"<a href='/{i}'>titel {i}</a>" for i in range(20_000)) + "</li><li>",
    "cards": "".join(block(i % 28 + 1) for i in range(3_000)),
    "white space": "<p>" + " \n" * 4_000_000,
    "NUL": "<body>" + "\0" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_end_in_a_result_or_a_read_error(name: str) -> None:
    started = time.monotonic()
    try:
        found = page(HOSTILE[name])
    except ReadError:
        found = None
    assert found is None or found.items
    assert time.monotonic() - started < 30


PIECES = st.sampled_from(
    [
        "<li>",
        "</li>",
        "<a href='/x",
        "'>",
        "<h2>",
        "</h2>",
        "<time datetime='",
        "22 mei 2019",
        "<p>",
        "<svg>",
        "<table>",
        "<!--",
        "\0",
        "titel ",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.lists(PIECES, max_size=60).map(lambda parts: "".join(parts).encode()))
def test_any_bytes_give_items_or_a_read_error(data: bytes) -> None:
    for selectors in (PageSettings(), PageSettings(item="li", date="time", image="img")):
        try:
            found = page(b"<body>" + data, selectors=selectors)
        except ReadError:
            continue
        assert all(item.url.startswith("https://www.example.org/") or "//" in item.url for item in found.items)


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b'[{"link": "<a href=\\"/a\\">b</a>"}]', "application/json", "JSON"),
        (b'{"items": ["<article><a href=/x>y</a></article>"]}', "text/html", "JSON"),
        (b'<?xml version="1.0"?><kml><Document><name>a</name></Document></kml>', "text/xml", "XML of another kind"),
        (b"%PDF-1.4 <a href=/x>y</a>", "text/html", "text/html"),
        (b"\x89PNG <a href=/x>y</a>", "image/png", "image/png"),
        (b"just words", "text/plain", "text/plain"),
    ],
)
def test_what_is_no_page_is_not_searched_for_a_listing(body: bytes, content_type: str, said: str) -> None:
    with pytest.raises(ReadError, match="neither a feed nor a web page") as caught:
        page(body, content_type=content_type)
    assert said in caught.value.reason


MONTHS = {
    "nl": "januari februari maart april mei juni juli augustus september oktober november december mrt. sept.",
    "en": "January February March April May June July August September October November December Jan Sept",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
}
NUMBERS = {"mrt.": 3, "sept.": 9, "Jan": 1, "Sept": 9}


@pytest.mark.parametrize(
    ("language", "month", "number"),
    [
        (language, name, NUMBERS.get(name, place))
        for language, names in MONTHS.items()
        for place, name in enumerate(names.split(), 1)
    ],
)
def test_a_label_keeps_its_word_and_gives_its_date_in_every_month(language: str, month: str, number: int) -> None:
    blocks = "".join(
        f'<article><p class="label">Nieuws {day} {month} 2019</p>'
        f'<h2><a href="/{day}">Bericht nummer {day} van deze maand</a></h2>'
        f"<p>Een teaser van enige lengte over bericht {day}.</p></article>"
        for day in (22, 14, 8)
    )
    found = candidates(page(f"<html lang={language}><body><main>{blocks}</main></body></html>"))
    assert [item.kicker for item in found] == ["Nieuws"] * 3
    assert [str(item.published.at.date()) for item in found if item.published] == [
        f"2019-{number:02}-{day:02}" for day in (22, 14, 8)
    ]


def _block(number: int, label: str, tags: str = "") -> str:
    return (
        f'<article class="post category-geheim">{label}<h2><a href="/{number}">Bericht nummer {number} is lang genoeg</a></h2>'
        f"<p>Een teaser van enige lengte over bericht {number}, met nog wat woorden.</p>{tags}</article>"
    )


def test_the_label_of_an_item_is_its_category_so_that_topics_reach_pages() -> None:
    blocks = [_block(1, "<p>Nieuws 22 mei 2019</p>"), _block(2, "<p>Agenda 21 mei 2019</p>"), _block(3, "<p>20 mei 2019</p>")]
    found = candidates(page(f"<html lang=nl><body><main>{''.join(blocks)}</main></body></html>"))
    assert [item.categories for item in found] == [("Nieuws",), ("Agenda",), ()]


def test_categories_that_a_block_links_to_go_before_its_label() -> None:
    tags = '<p><a rel="category tag" href="/t/1">Onderwijs &amp; Zorg</a>, <a rel=tag href="/t/2">Besturen</a></p>'
    blocks = "".join(_block(number, "<p>Nieuws 22 mei 2019</p>", tags) for number in (1, 2, 3))
    found = candidates(page(f"<html lang=nl><body><main>{blocks}</main></body></html>"))
    assert [item.categories for item in found] == [("Onderwijs & Zorg", "Besturen")] * 3
    assert [item.kicker for item in found] == ["Nieuws"] * 3
