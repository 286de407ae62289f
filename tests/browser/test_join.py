"""Subscribing in a real browser, by keyboard alone, on a phone by night and on a desk by day."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pipeline.models import SubscriptionStatus
from pipeline.store import subscribers
from tests.browser.test_web import PREFIX, look
from tests.served import Served
from tests.servers.web import WebServer
from tests.world import World


def tab_to(page: Page, which: str) -> None:
    """Press Tab until that element has the focus, and see that it shows."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("(which) => document.activeElement.matches(which)", which):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    raise AssertionError(f"{which} cannot be reached")


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_somebody_subscribes_and_confirms_by_keyboard_alone(tmp_path: Path, browser: Browser, width: int, scheme: str) -> None:
    with WebServer() as source:
        world = World(tmp_path / "site", source)
        world.write_feed("two", url=source.url("/two.xml"), top='description = "Een tweede feed, met een omschrijving."')
        with Served(world, prefix=PREFIX) as served:
            world.news("Eerste", "2026-11-20T09:00")
            world.run(served.now)
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
            page, refused = context.new_page(), []
            page.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
            _subscribe(page, served)
            world.run(served.now)
            link = re.search(r"http\S+/confirm/\S+", world.mails[-1].get_content())
            assert link
            page.goto(link[0])
            look(page, name="confirm")
            tab_to(page, "button")
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="Je bent aangemeld").wait_for()
            look(page, name="done")
            page.goto(f"{served.url}/confirm/x")
            look(page, name="gone")
            assert refused == []
            assert context.cookies() == []
            context.close()
            with world.site.store.read() as tx:
                assert [one.status for one in subscribers.records(tx)] == [SubscriptionStatus.ACTIVE]
        world.close()


def _subscribe(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/subscribe")
    look(page, name="form")
    tab_to(page, "#email")
    page.keyboard.type("bob@b")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    look(page, name="mistakes")
    assert page.evaluate("document.activeElement.id") == "email", "where the mistake is"
    page.keyboard.press("End")
    page.keyboard.type(".example.org")
    tab_to(page, "#feed-1")
    page.keyboard.press("Space")
    served.now += timedelta(seconds=5)
    tab_to(page, "button")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Kijk in je mail").wait_for()
    look(page, name="subscribed")
