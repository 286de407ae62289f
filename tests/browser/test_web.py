"""The web server's pages in a real browser: by hand, by ear, by night, on a phone, and under their own security policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from pipeline.jobs import operate
from pipeline.models import SubscriptionStatus
from pipeline.store import subscribers
from tests.served import NOW, Served, digest_world, dump, links, read_link, unsubscribe_link
from tests.servers.web import WebServer
from tests.world import World

PREFIX = "/nieuws"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A site under a path, with a digest to ann."""
    with WebServer() as source:
        world = World(tmp_path / "site", source)
        with Served(world, prefix=PREFIX) as made:
            digest_world(world)
            for number in range(1, 5):
                source.serve(f"/{number}/", b"<!doctype html><title>Bericht</title><h1>Bericht</h1>", content_type="text/html")
            yield made
        world.close()


@pytest.fixture(
    params=[(width, scheme) for width in (320, 1280) for scheme in ("light", "dark")], ids=lambda it: f"{it[0]}-{it[1]}"
)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    yield context.new_page()
    context.close()


def preferences_link(world: World) -> str:
    return next(url for url in links(world) if "/preferences/" in url)


def my_data_link(world: World) -> str:
    with world.site.store.read() as tx:
        person = subscribers.person_at(tx, "ann@example.org")
    assert person is not None
    return world.site.links.my_data_url(world.site.settings.site.url, person.id, NOW)


def look(page: Page, *, name: str) -> None:
    """Axe finds nothing, nothing sticks out, and the page's own policy forbids nothing that the page needs."""
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], name
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgba(0, 0, 0, 0)", f"{name}: no style"
    small = "[...document.querySelectorAll('button')].filter(b => b.getBoundingClientRect().height < 44).length"
    assert page.evaluate(small) == 0, name


def test_pages_are_for_everybody(served: Served, page: Page) -> None:
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    link = unsubscribe_link(served.world)
    operate.withdraw(served.world.site, 2, served.now)
    for name, url in {
        "read": read_link(served.world),
        "index": served.url + "/",
        "archive": served.url + "/archive/po",
        "edition": served.url + "/archive/po/2026-11-24T08:00",
        "feed": served.url + "/feeds/po.html",
        "nothing": served.url + "/nope",
        "error": link[:-1],
        "preferences": preferences_link(served.world),
        "my data": my_data_link(served.world),
        "erase": my_data_link(served.world) + "/erase",
        "before": link,
    }.items():
        page.goto(url)
        look(page, name=name)
        bold = "[...document.querySelectorAll('label:has(input)')].filter(one => getComputedStyle(one).fontWeight > 400).length"
        assert page.evaluate(bold) == 0, f"{name}: a label beside what it ticks is no heading"
    page.get_by_role("button", name="Afmelden").click()
    page.get_by_role("heading", name="Je bent afgemeld").wait_for()
    look(page, name="after")
    assert refused == []
    with served.world.site.store.read() as tx:
        assert [one.status for one in subscribers.records(tx)] == [SubscriptionStatus.UNSUBSCRIBED]


def test_a_browser_that_follows_every_link_of_a_digest_changes_nothing(served: Served, browser: Browser) -> None:
    """As scanners of mail providers do, scripts and all."""
    before = dump(served.world)
    [mail] = served.world.mails
    context = browser.new_context(java_script_enabled=True)
    page = context.new_page()
    body = mail.get_body(("html",))
    assert body is not None
    page.set_content(body.get_content())
    found = {url for url in page.evaluate("[...document.links].map((a) => a.href)") if url.startswith("http")}
    assert found | {url + "/" for url in found} >= set(links(served.world)), "the text part has no others"
    for url in sorted(found):
        for _ in range(2):
            answer = page.goto(url, wait_until="networkidle")
            assert answer is not None
            assert answer.status == 200, url
        page.keyboard.press("Tab")
        page.mouse.move(50, 50)
        for onward in page.evaluate("[...document.links].map((a) => a.href)"):
            if onward.startswith(served.url):
                page.goto(onward, wait_until="load")
                page.go_back()
    context.close()
    assert dump(served.world) == before


def test_the_button_can_be_reached_and_pressed_by_keyboard(served: Served, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(unsubscribe_link(served.world))
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Je bent afgemeld").wait_for()
    page.close()
