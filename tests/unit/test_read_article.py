from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trafilatura
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.markup import to_text
from pipeline.collect.read_article import MAX_PAGE_TAGS, Article, read_article
from pipeline.errors import ReadError
from pipeline.models import Attachment, Confidence, Image, Precision

PAGES = Path(__file__).parents[1] / "data" / "articles"
WORDPRESS = Path(__file__).parents[1] / "data" / "wordpress"
DEMO = Path(__file__).parents[2] / "pipeline" / "demo" / "pages"
URL = "https://www.example.org/nieuws/bericht/?utm_source=x"
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def article(body: bytes | str, *, url: str = URL, teaser: str = "", language: str = "") -> Article:
    data = body.encode() if isinstance(body, str) else body
    return read_article(
        data, url=url, content_type="text/html; charset=utf-8", language=language, zone="Europe/Amsterdam", now=NOW, teaser=teaser
    )


def page(name: str) -> Article:
    return article((PAGES / f"{name}.html").read_bytes())


def story(inside: str = "", head: str = "") -> str:
    text = "De gemeente opent in het voorjaar een nieuwe school aan de rand van de stad, met plaats voor driehonderd leerlingen."
    article = f"<article><h1>Nieuwe school</h1><p>{text}</p>{inside}</article>"
    return f"<html lang=nl><head><title>Nieuwe school</title>{head}</head><body><main>{article}</main></body></html>"


def test_a_long_article_keeps_its_text_and_nothing_from_beside_it() -> None:
    found = page("long")
    text = to_text(found.content_html)
    assert text.startswith("Twaalf basisscholen")
    for kept in ("Twaalf basisscholen", "Het begin", "elke dag een heel boek", "De resultaten", "vijf scholen voor voortgezet"):
        assert text.count(kept) == 1
    for other in (
        "cookies",
        "Facebook",
        "Lees ook",
        "Rekenen krijgt",
        "begroting",
        "Henk",
        "©",
        "Scholen werken samen aan leesonderwijs",
    ):
        assert other not in text
    assert '<a href="https://www.example.org/onderzoek/">onderzoek</a>' in found.content_html


BODY = """<p>De bouw begint na de zomer, en de kinderen kunnen er over twee jaar terecht, zegt de wethouder van onderwijs.</p>
<p>Het plein wordt groen, en de gymzaal is 's avonds voor verenigingen uit de wijk, die daar al jaren om vroegen.</p>"""


@pytest.mark.parametrize(
    "beside",
    [
        "<p><strong>Lees ook</strong></p><ul><li><a href=/a>Heel iets anders in een ander bericht</a></li></ul>",
        "<h3>Meer nieuws</h3><ul><li><a href=/a>Heel iets anders in een ander bericht</a></li></ul>",
        "<p>Zie ook: <a href=/a>Heel iets anders in een ander bericht</a></p>",
        "<div class='reacties'><p>Heel iets anders dan ik had gedacht, en ik kom graag kijken als het klaar is.</p></div>",
        "<div class='cookie-notice'><p>Heel iets anders: wij meten met cookies hoe bezoekers de website gebruiken.</p></div>",
        "<div id='comments'><p>Heel iets anders dan ik had gedacht, maar wel erg mooi dat het er nu eindelijk van komt.</p></div>",
        "<p><a href='https://twitter.com/intent/tweet?x'>Heel iets anders</a></p>",
    ],
)
def test_what_stands_inside_an_article_beside_its_text_is_left_out(beside: str) -> None:
    text = to_text(article(story(BODY + beside + BODY.replace("bouw", "inrichting"))).content_html)
    assert "De inrichting begint na de zomer" in text
    assert "Heel iets anders" not in text
    assert "Lees ook" not in text


def test_a_lead_above_the_article_is_not_lost() -> None:
    lead = "Leerlingen &amp; ouders dachten een jaar lang mee over het ontwerp van het gebouw."
    hero = f"<div class=hero><h1>Nieuwe school</h1><div class=lead>{lead}</div></div>"
    found = article(story(BODY).replace("<main>", f"<main>{hero}").replace("<article><h1>Nieuwe school</h1>", "<article>"))
    assert found.content_html.startswith(f"<p>{lead}</p>")
    assert found.content_html.count("dachten een jaar") == 1


def test_a_page_that_is_one_form_is_read() -> None:
    links = "".join(f"<a href=/{name}>{name}</a> " for name in ("Wonen", "Werken", "Bestuur", "Contact"))
    body = story(BODY).replace("<main><article>", f"<form id=aspnetForm><div class=top>{links}</div><div>")
    text = to_text(article(body.replace("</article></main>", "</div></form>")).content_html)
    assert text.startswith("De gemeente opent")
    assert "Wonen" not in text


def test_what_trafilatura_fails_on_is_taken_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> str:
        raise RecursionError

    monkeypatch.setattr("trafilatura.extract", fail)
    assert to_text(article(story(BODY)).content_html).startswith("De gemeente opent")


def test_a_page_says_who_when_and_where() -> None:
    found = page("long")
    assert found.url == "https://www.example.org/nieuws/leesonderwijs/"
    assert found.title == "Scholen werken samen aan leesonderwijs"
    assert found.authors == ("Marja de Vries", "Tom Bos")
    assert found.language == "nl"
    assert found.image == Image("https://www.example.org/beeld/lezen.jpg", "", 1200, 630)
    assert found.published is not None
    assert found.published.at == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    assert found.published.confidence is Confidence.CERTAIN
    assert found.modified is not None
    assert found.modified.at == datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def test_downloads_of_the_article_are_attachments_and_those_of_comments_are_not() -> None:
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert page("long").attachments == (
        Attachment(
            "https://www.example.org/bestanden/Rapport%20lezen.PDF?v=2", "application/pdf", 0, "Download hier de rapportage"
        ),
        Attachment("https://www.example.org/bestanden/tabel.xlsx", sheet, 0, "Tabellen"),
    )


def test_an_article_without_paragraphs_is_read_whole() -> None:
    found = page("divs")
    text = to_text(found.content_html)
    for kept in ("Die neue Turnhalle an der", "knapp vier Millionen", "Feuerwehr", "tagsüber drei Schulen"):
        assert text.count(kept) == 1
    assert "Impressum" not in text
    assert found.title == "Neue Turnhalle eröffnet"
    assert found.published is not None
    assert (found.published.at.date().isoformat(), found.published.precision) == ("2026-11-18", Precision.DAY)


def test_tables_lists_and_quotes_stay_what_they_are() -> None:
    found = page("parts")
    for markup in ("<table>", "<li>", "<blockquote>", "<h2>What you can still do</h2>"):
        assert markup in found.content_html
    text = to_text(found.content_html)
    for kept in ("Centre", "10–12", "Return books", "quiet and well-read", "first day on which it opens"):
        assert text.count(kept) == 1
    assert "Become a member" not in text
    assert found.authors == ("The Library",)


def test_a_notice_of_two_lines_is_read() -> None:
    found = page("notice")
    text = to_text(found.content_html)
    assert "Op zaterdag 5 december is ons kantoor gesloten." in text
    assert "Maandag zijn we er weer." in text
    assert "Postbus" not in text
    assert found.published is not None
    assert found.published.at.date().isoformat() == "2026-11-23"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ((PAGES / "login.html").read_text(), "shows a login or a paywall"),
        ((PAGES / "error.html").read_text(), "is an error page"),
        ((WORDPRESS / "notfound.html").read_text(), "is an error page"),
        (story('<form><input type="password" name="p"></form>'), "asks for a password"),
        (
            story(head='<script type="application/ld+json">{"@type":"NewsArticle","isAccessibleForFree":"False"}</script>'),
            "is behind a paywall",
        ),
        ("<html><body><div id=app></div><script src=/app.js></script></body></html>", "holds no text"),
        ("<html><title>Just a moment...</title><body>Checking your browser before you go on</body></html>", "is an error page"),
    ],
)
def test_what_is_no_article_says_so(body: str, reason: str) -> None:
    with pytest.raises(ReadError) as caught:
        article(body)
    assert reason in caught.value.reason
    assert caught.value.fix


def test_an_article_that_leads_to_the_front_page_is_gone() -> None:
    with pytest.raises(ReadError, match="front page"):
        article(story(), url="https://www.example.org/")
    assert article(story(), url="https://www.example.org/?p=12").title == "Nieuwe school"


@pytest.mark.parametrize(
    "title", ["404 scholen doen mee", "500 leraren erbij", "Dit artikel niet missen", "Verdwenen kat gevonden"]
)
def test_news_that_reads_like_an_error_is_news(title: str) -> None:
    assert article(story().replace("Nieuwe school<", f"{title}<")).title == title


def test_a_text_shorter_than_the_teaser_is_not_taken() -> None:
    teaser = "Een samenvatting die langer is dan de tekst zelf. " * 5
    found = article(story(), teaser=teaser)
    assert found.content_html == ""
    assert "shorter than the teaser" in found.remarks[0]
    assert article(story(), teaser="De gemeente opent […]").remarks == ()


def test_without_trafilatura_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(ReadError) as caught:
        article(story())
    assert 'pip install "gazet[fulltext]"' in caught.value.fix


def test_only_an_address_of_the_same_site_is_canonical() -> None:
    for href, expected in (
        ("https://example.org/a/", "https://example.org/a/"),
        ("/b/", "https://www.example.org/b/"),
        ("https://evil.example/a/", URL),
        ("https://www.example.org/", URL),
        ("javascript:x", URL),
    ):
        assert article(story(head=f'<link rel="canonical" href="{href}">')).url == expected


@pytest.mark.parametrize(
    ("name", "words", "file"),
    [
        ("wrap-up-gesprekstafels.html", "Zo’n 100 bestuurders", "rapportage.pdf"),
        ("doorlopend-leren-en-de-bestuurder.html", "Hoe pakt een bestuurder dat aan?", ""),
        ("themabijeenkomst-flexibel-opleiden.html", "13.00 uur: ontvangst", ""),
    ],
)
def test_the_pages_of_the_demo(name: str, words: str, file: str) -> None:
    found = article((DEMO / name).read_bytes())
    text = to_text(found.content_html)
    assert words in text
    for other in ("cookies", "Meer nieuws", "Snel naar", "[…]", found.title):
        assert other not in text
    assert [attachment.url.rpartition("/")[2] for attachment in found.attachments] == ([file] if file else [])


def test_what_is_foreign_comes_out_harmless() -> None:
    found = article(story("<p onclick=x>Kijk <a href='javascript:x'>hier</a> <script>alert(1)</script><img src=data:x> verder</p>"))
    assert "Kijk" in found.content_html
    for bad in ("onclick", "javascript", "script", "data:"):
        assert bad not in found.content_html


def test_one_page_does_not_change_the_next() -> None:
    first = article(story())
    for _again in range(4):
        assert article(story()) == first
    cached = trafilatura.utils.trim.cache_info().currsize + trafilatura.utils.line_processing.cache_info().currsize
    assert cached == 0


@pytest.mark.parametrize(
    "body",
    [
        "<div>" * 200_000,
        story(f"<p>{'woord ' * 60_000}</p>"),
        story("<a href=/x>x</a>" * 100_000),
        story("<p>a</p>" * MAX_PAGE_TAGS),
        story("<img src=a>" * 16_000),
    ],
)
def test_a_page_beyond_the_limits_is_refused_before_it_costs_anything(body: str) -> None:
    with pytest.raises(ReadError, match=r"nested too deeply|more than|deep"):
        article(body)


PIECES = [
    *(
        "<p>",
        "</p>",
        "<article>",
        "<main>",
        "<h1>",
        "<h2>",
        "<b>",
        "<ul>",
        "<table>",
        "<div class='related'>",
        "</div>",
        "<time datetime='",
    ),
    *(
        "<script type='application/ld+json'>",
        '{"@type":"Article","author":[[{}]]}',
        "</script>",
        "<meta property='og:image' content='",
    ),
    *(
        "<link rel=canonical href='http://[",
        "'>",
        "<a href='/x.pdf'>",
        "<!--",
        "]]>",
        "&",
        "\x00",
        "Lees ook",
        " woord en nog een woord. ",
    ),
]
MARKUP = st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=40).map("".join)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | MARKUP.map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_give_an_article_or_a_reason(body: bytes) -> None:
    try:
        found = article(body)
    except ReadError as error:
        found = Article(url="", title="", content_html=error.fix and error.reason)
        assert found.content_html
    assert isinstance(found.content_html, str)
