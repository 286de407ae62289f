"""An editor's words above a digest: Markdown in, what a mail may hold out."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from pipeline.compose import digest
from pipeline.compose.intro import render
from pipeline.texts import Texts
from tests.factories import make_digest

TEXTS = Texts(None)


def test_markdown_becomes_paragraphs_links_and_lists_with_styles_of_their_own() -> None:
    html = render("# Hoi\n\nEen *paar* **woorden**, [lees](https://example.org/?a=1&b=2).\n\n- een\n- twee\n", "1").html
    page = LexborHTMLParser(html)
    assert [node.tag for node in page.body.iter()] == ["h2", "p", "ul"]
    [link] = page.css("a")
    assert link.attributes["href"] == "https://example.org/?a=1&b=2"
    assert "color:#0b5a52" in link.attributes["style"]


def test_only_web_and_mail_links_stay_and_no_picture_or_markup() -> None:
    html = render(
        "[a](javascript:alert(1)) [b](/hier) [c](mailto:a@example.org) [d](ftp://x.example/)\n\n"
        '![pixel](https://tracker.example/p.gif) <img src="https://tracker.example/q.gif"> <script>alert(1)</script>\n',
        "1",
    ).html
    page = LexborHTMLParser(html)
    assert not page.css("img, script, iframe")
    assert {node.attributes.get("href") for node in page.css("a")} == {
        None,
        "mailto:a@example.org",
        "https://tracker.example/p.gif",  # as a link that somebody may follow, not as something a mail loads
    }


@given(st.text(max_size=2000))
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_the_digest_renders_and_loads_nothing(markdown: str) -> None:
    intro = render(markdown, "1")
    made = digest.render(make_digest(intro_html=intro.html, intro_text=intro.text), TEXTS)
    page = LexborHTMLParser(made.html)
    assert not page.css("img, script, iframe, object, form, link, style[src]")
    assert all(re.match("(https?|mailto):", node.attributes.get("href") or "mailto:") for node in page.css("a"))
    assert "Interview | Doorlopend leren" in page.body.text()


def test_deep_nesting_does_not_reach_the_renderer() -> None:
    html = render(">" * 5000 + "x\n\n" + "- " * 2000 + "y", "1").html
    assert len(re.findall("<(?:blockquote|ul)", html)) < 200


def test_a_digest_without_an_intro_is_as_it_was() -> None:
    made = digest.render(make_digest(), TEXTS)
    assert "words" not in LexborHTMLParser(made.html).body.html.replace("keywords", "")
