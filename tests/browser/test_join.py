"""From subscribing to leaving in a real browser, by keyboard alone, on a phone by night and on a desk by day."""

from __future__ import annotations

import re
from datetime import timedelta
from email.message import EmailMessage
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
def test_somebody_subscribes_chooses_reads_and_leaves_by_keyboard_alone(
    tmp_path: Path, browser: Browser, width: int, scheme: str
) -> None:
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
            _choose_every_day(page)
            _read_and_leave(served, page)
            page.goto(f"{served.url}/confirm/x")
            look(page, name="gone")
            assert refused == []
            assert context.cookies() == []
            context.close()
            with world.site.store.read() as tx:
                assert [one.status for one in subscribers.records(tx)] == [SubscriptionStatus.UNSUBSCRIBED]
        world.close()


def _choose_every_day(page: Page) -> None:
    """From the page that says thanks to the preferences: a weekly digest becomes a daily one at seven."""
    tab_to(page, "a[href*='/preferences/']")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Je mails").wait_for()
    look(page, name="preferences")
    tab_to(page, "input[name='cadence.po']:checked")
    page.keyboard.press("ArrowUp")
    tab_to(page, "input[name='time.po']")
    page.keyboard.type("0700AM")
    tab_to(page, "button[value=save]")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Opgeslagen.").wait_for()
    look(page, name="saved")


def _read_and_leave(served: Served, page: Page) -> None:
    """The next digest comes as chosen, has a button to leave that a mail program presses, and is the last."""
    world, address = served.world, "bob@b.example.org"
    world.news("Tweede", "2026-11-24T14:00")
    world.run("2026-11-25T06:59")
    assert _digests(world, address) == []
    world.run("2026-11-25T07:00")
    [digest] = _digests(world, address)
    assert set(world.titles(digest)) == {"Eerste", "Tweede"}
    link = str(digest["List-Unsubscribe"]).partition(">")[0].strip("<")
    assert served.send("POST", served.path_of(link), body=b"List-Unsubscribe=One-Click").status == 200
    page.reload()
    look(page, name="left")
    world.news("Derde", "2026-11-25T14:00")
    world.run("2026-11-26T07:00")
    world.run("2026-12-01T08:00")
    assert [mail["Message-ID"] for mail in _digests(world, address)] == [digest["Message-ID"]], "nothing more"


def _digests(world: World, address: str) -> list[EmailMessage]:
    return [mail for mail in world.mails if address in str(mail["To"]) and "List-Id" in mail]


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
