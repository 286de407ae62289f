import email
import email.policy
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from pipeline.compose import digest, message
from pipeline.errors import TemplateFault
from pipeline.models import Personal, Precision, RenderedVariant
from pipeline.texts import Texts
from tests.factories import make_digest, make_feed_item

TEXTS = Texts(None)
ANN = Personal(
    "ann@example.org", "Ann", "<1@x.nl>", "https://nieuws.example.org/u/a?b=c&d=e'f", "mailto:redactie@example.org?subject=t"
)


def received(variant: RenderedVariant) -> tuple[LexborHTMLParser, str]:
    """What a mail program shows: the HTML and the text."""
    mail = email.message_from_bytes(message.splice(variant.data, ANN), policy=email.policy.default)
    return LexborHTMLParser(mail.get_body(("html",)).get_content()), mail.get_body(("plain",)).get_content().replace("\r\n", "\n")


def links(page: LexborHTMLParser) -> dict[str, str]:
    return {node.text().strip(): node.attributes["href"] for node in page.css("a")}


def test_a_digest_shows_its_items_with_kicker_date_and_teaser_in_html_and_in_text():
    page, text = received(digest.render(make_digest(), TEXTS))
    html = page.body.text()
    for shown in (
        "Interview | Doorlopend leren en de bestuurder",
        "22 mei 2019",
        "21 juni | Themabijeenkomst ‘Flexibel opleiden voor flexibel onderwijs’",
        "De Leidse scholengroep Leonardo Da Vinci stimuleert",
        "3 nieuwe berichten",
        "ann@example.org zich heeft aangemeld",
        "Platform Samen Opleiden",
        "Postbus 556, 2501 CN Den Haag",
    ):
        assert shown in html
        assert shown in text
    assert "Nieuws · 22 mei 2019" in " ".join(html.split())
    assert "Nieuws · 22 mei 2019" in text


def test_every_way_out_of_the_mail_is_there():
    page, text = received(digest.render(make_digest(more=4), TEXTS))
    found = links(page)
    assert found["Afmelden"] == ANN.unsubscribe_url
    assert found["Lees op het web"] == "https://nieuws.example.org/archive/samen-opleiden/2019-05-28T08:00"
    assert found["En nog 4 berichten"] == "https://nieuws.example.org/feeds/samen-opleiden.html"
    assert found["redactie@example.org"] == "mailto:redactie@example.org"
    assert found["Interview | Doorlopend leren en de bestuurder"] == "https://www.example.org/nieuws/bericht-1/"
    for line in (f"Afmelden: {ANN.unsubscribe_url}", "En nog 4 berichten:\nhttps://nieuws.example.org/feeds/samen-opleiden.html"):
        assert line in text


def test_where_all_is_shown_nothing_more_is_promised():
    page, text = received(digest.render(make_digest(), TEXTS))
    assert "En nog" not in page.body.text() + text


def test_the_page_for_the_web_holds_nothing_personal():
    variant = digest.render(make_digest(), TEXTS)
    for shown in (variant.html, variant.text):
        assert "Interview" in shown
        assert not re.search("[\ufdd0-\ufdef\0]|Afmelden|aangemeld|Lees op het web", shown)


def test_a_digest_loads_nothing_and_follows_nobody():
    html = digest.render(make_digest(), TEXTS).html
    assert not LexborHTMLParser(html).css("img, script, link, iframe, form, video, object")
    assert not re.search(r"url\(|@import|@font-face|fonts\.googleapis", html)


def test_every_link_has_a_colour_of_its_own():
    page, _ = received(digest.render(make_digest(more=1), TEXTS))
    assert len(page.css("a")) == 3 * 2 + 6
    assert not [node.html for node in page.css("a") if not re.search(r"(^|;)color:#", node.attributes.get("style") or "")]


def test_the_mail_says_its_language_and_direction_and_that_it_knows_the_dark():
    page = LexborHTMLParser(digest.render(make_digest(language="ar"), TEXTS).html)
    assert (page.css_first("html").attributes["lang"], page.css_first("html").attributes["dir"]) == ("ar", "rtl")
    assert page.css_first('meta[name="color-scheme"]').attributes["content"] == "light dark"
    assert [node.attributes["lang"] for node in page.css("h2")] == ["nl"] * 3


def test_the_preheader_names_the_other_items():
    page = LexborHTMLParser(digest.render(make_digest(), TEXTS).html)
    assert page.body.css_first("div").text().startswith("21 juni | Themabijeenkomst")


@pytest.mark.parametrize(
    ("language", "count", "more", "subject"),
    [
        ("nl", 1, 0, "Samen Opleiden: nieuws – Interview | Doorlopend leren en de bestuurder"),
        ("nl", 2, 0, "Samen Opleiden: nieuws – Interview | Doorlopend leren en de bestuurder, en nog één"),
        ("nl", 3, 4, "Samen Opleiden: nieuws – Interview | Doorlopend leren en de bestuurder, en nog 6"),
        ("en", 3, 4, "Samen Opleiden: nieuws – Interview | Doorlopend leren en de bestuurder, and 6 more"),
    ],
)
def test_the_subject_names_the_first_item_and_counts_the_others(language, count, more, subject):
    items = [make_feed_item(seq) for seq in range(1, count + 1)]
    variant = digest.render(make_digest(items, more=more, language=language), TEXTS)
    assert variant.subject == subject
    assert email.message_from_bytes(message.splice(variant.data, ANN), policy=email.policy.default)["Subject"] == subject


def test_a_long_first_title_is_cut_in_the_subject_only():
    title = "Een heel lange titel die niet ophoudt " * 6
    variant = digest.render(make_digest([make_feed_item(1, title=title)]), TEXTS)
    assert len(variant.subject) < 110
    assert variant.subject.endswith("…")
    assert " ".join(title.split()) in LexborHTMLParser(variant.html).css_first("h2").text()


def test_a_time_is_shown_only_where_one_was_read():
    items = [make_feed_item(1, published_precision=Precision.TIME), make_feed_item(2)]
    text = digest.render(make_digest(items), TEXTS).text
    assert "Nieuws · 22 mei 2019 12:00\n" in text
    assert "Agenda · 14 mei 2019\n" in text


def test_a_large_digest_stays_below_what_gmail_shows_and_names_the_rest():
    items = [make_feed_item(seq) for seq in range(1, 201)]
    variant = digest.render(make_digest(items, more=7), TEXTS)
    page, text = received(variant)
    shown = len(page.css("h2"))
    assert 25 <= shown < 200
    assert variant.shown == shown
    assert len(page.html.encode()) < 102 * 1024
    assert links(page)[f"En nog {207 - shown} berichten"]
    assert text.count("https://www.example.org/nieuws/") == shown
    assert variant.subject.endswith("en nog 206")


def test_a_digest_that_fits_shows_all_of_its_selection():
    assert digest.render(make_digest(more=7), TEXTS).shown == 3


def test_one_item_that_is_too_large_by_itself_is_still_sent():
    variant = digest.render(make_digest([make_feed_item(1, title="a" * 120_000)]), TEXTS)
    assert variant.shown == 1
    assert "a" * 120_000 in variant.html


HARD_TITLES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "</mj-text></mj-column><mj-raw><script>alert(1)</script>",
            "<!-- ",
            "]]> & &amp; &lt;b&gt;",
            "{{ 7 * 7 }} {% raw %}",
            '" onload="x',
            "C:\\temp\\u{fe0f}",
            "❤️ e\u0301 👩🏽‍🏫 \u200f\u00ad\u00a0",
            "&#233; &#65; &nbsp;",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(HARD_TITLES, HARD_TITLES, st.text(max_size=20))
def test_whatever_an_item_holds_its_reader_sees_just_that_as_text(title, summary, kicker):
    url = "https://example.org/\\" + title
    variant = digest.render(
        make_digest([make_feed_item(1, title=f"x{title}", summary=f"y{summary}", kicker=kicker, url=url)]), TEXTS
    )
    page, text = received(variant)
    heading = page.css_first("h2")
    assert " ".join(heading.text().split()) == " ".join(digest.one_line(f"x{title}").split())
    assert page.css_first("p[dir]").text() == digest.shorten(digest.one_line(f"y{summary}"), 300)
    assert heading.css_first("a").attributes["href"] == digest.link(url)
    assert page.css_first("[aria-roledescription]").attributes["aria-label"] == variant.subject
    assert not page.css("script, mj-raw, b")
    assert digest.one_line(f"x{title}") in text


def test_a_template_that_is_no_mjml_is_named(tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "digest.mjml.j2").write_text("<mjml><mj-body><mj-text>")
    with pytest.raises(TemplateFault, match=r"digest\.mjml\.j2: is not MJML"):
        digest.render(make_digest(), Texts(tmp_path))


def test_a_mistake_in_the_text_template_is_named_with_its_line(tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "digest.txt.j2").write_text("{{ digest.feed_title }}\n{{ digest.titel }}\n")
    with pytest.raises(TemplateFault) as caught:
        digest.render(make_digest(), Texts(tmp_path))
    assert (caught.value.line, "titel" in caught.value.reason) == (2, True)


def test_the_same_document_gives_the_same_bytes():
    assert digest.render(make_digest(), Texts(None)) == digest.render(make_digest(), TEXTS)
