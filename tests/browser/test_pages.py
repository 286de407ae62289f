"""What people see: the digest as a mail program shows it, and the feed's page; on a phone, wider, by day and by night."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from pipeline.compose import digest, message
from pipeline.models import Attachment, FeedDocument, Personal, Precision
from pipeline.publish import html
from pipeline.publish.entries import entries_of
from pipeline.texts import Texts
from tests.factories import make_digest, make_feed_document, make_feed_item

TEXTS = Texts(None)
ADDRESS = "http://gazet.test/page"
LONG = "Onderwijskwaliteitsverbeteringsmaatregelen" * 5
PERSONAL = Personal(
    address="a" * 64 + "@example.org",
    name="Jan",
    message_id="<1@nieuws.example.org>",
    unsubscribe_url="https://nieuws.example.org/u/" + "x" * 200,
    unsubscribe_mailto="mailto:redactie@example.org?subject=x",
)

# For every element with text of its own: its contrast with what is painted behind it (WCAG 2.2, relative luminance).
CONTRASTS = """() => {
  const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] === 1) return colour;
      if (colour[3] !== 0) throw new Error("a half transparent background");
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  };
  const found = [];
  for (const e of document.body.querySelectorAll("*")) {
    const own = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (!own || !e.checkVisibility()) continue;
    const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(behind(e))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), own.slice(0, 60)]);
  }
  return found;
}"""


def hard_items():
    return [
        make_feed_item(1),
        make_feed_item(2, attachments=(Attachment(f"https://example.org/{LONG}.pdf", "application/pdf", 9),)),
        make_feed_item(3, authors=("Jan Jansen", LONG), published_precision=Precision.TIME),
        make_feed_item(4, title=LONG, kicker=LONG, summary=f"{LONG} https://example.org/{LONG}", url=f"https://example.org/{LONG}"),
        make_feed_item(5, title="", summary=f"https://example.org/{LONG}", url=""),
        make_feed_item(6, title="خبر عاجل: ❤️ اجتماع", summary="نص قصير عن التعليم.", language="ar"),
    ]


def mail() -> str:
    document = make_digest(hard_items(), more=4, postal_address=f"Postbus 556\n2501 CN {LONG}")
    data = message.splice(digest.render(document, TEXTS).data, PERSONAL)
    return email.message_from_bytes(data, policy=email.policy.default).get_body(("html",)).get_content()


def page_of(document: FeedDocument) -> str:
    return html.render(document, entries_of(document), TEXTS).decode()


def twin() -> str:
    return page_of(make_feed_document(hard_items(), description=f"Nieuws over {LONG}"))


def arabic_twin() -> str:
    return page_of(make_feed_document(hard_items(), language="ar", title="أخبار"))


VIEWS = [
    pytest.param((build, width, scheme), id=f"{build.__name__}-{width}-{scheme}")
    for build, widths in ((mail, (320, 640)), (twin, (320, 640, 1280)), (arabic_twin, (320,)))
    for width in widths
    for scheme in ("light", "dark")
]


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page at that width and scheme; a test fails if it asks for anything but itself."""
    build, width, scheme = request.param
    source, asked = build(), []

    def answer(route):
        asked.append(route.request.url)
        if route.request.url == ADDRESS:
            route.fulfill(body=source, content_type="text/html; charset=utf-8")
        else:
            route.abort()

    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    context.route("**/*", answer)
    page = context.new_page()
    page.goto(ADDRESS, wait_until="load")
    yield page
    context.close()
    assert [url for url in asked if not url.endswith("/favicon.ico")] == [ADDRESS]


@pytest.mark.parametrize("page", VIEWS, indirect=True)
def test_a_page_is_readable_at_this_width_by_day_and_by_night(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    assert page.evaluate("[...document.images].filter((image) => !image.hasAttribute('alt')).length") == 0
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 20
    assert [found for found in contrasts if found[0] < 4.5] == []


@pytest.mark.parametrize("page", [view for view in VIEWS if "-320-" in view.id], indirect=True)
def test_no_text_is_cut_off_or_too_small_on_a_phone(page):
    small = """() => [...document.body.querySelectorAll("*")]
      .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
      .filter((e) => parseFloat(getComputedStyle(e).fontSize) < 13 || e.getBoundingClientRect().right > innerWidth + 0.5
        || e.getBoundingClientRect().left < -0.5)
      .map((e) => e.outerHTML.slice(0, 80))"""
    assert page.evaluate(small) == []


@pytest.mark.parametrize("page", [VIEWS[0], VIEWS[1]], indirect=True)
def test_a_mail_follows_the_readers_light_or_dark(page):
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    shade = page.evaluate("parseInt(getComputedStyle(document.querySelector('.card')).backgroundColor.match(/\\d+/)[0])")
    assert (shade < 64) if dark else (shade > 192)


@pytest.mark.parametrize("page", [view for view in VIEWS if view.id.startswith("twin-1280")], indirect=True)
def test_every_link_of_the_page_can_be_seen_when_reached_by_keyboard(page):
    for _ in range(page.locator("a").count()):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.evaluate("document.activeElement.href").startswith("mailto:")
