"""The pages and mails of signing up, tried before they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pipeline.compose import joining
from pipeline.compose.joining import ConfirmDocument, Entry, KnownDocument, Letterhead, WelcomeDocument, WelcomeFeed
from pipeline.config import FeedSettings, Settings
from pipeline.jobs.confirm import Standing, State
from pipeline.models import Cadence
from pipeline.texts import Texts


def check(settings: Settings, texts: Texts, now: datetime) -> None:
    """Render each of them for every feed. Raises TemplateFault."""
    for feed in settings.feeds.values():
        _mails(settings, texts, feed, now)
        for single in (True, False):
            _form(settings, texts, feed, single)
        pages: list[Standing] = [*_standings(feed)]
        for found in pages:
            texts.render("confirm.html.j2", feed.language, site=settings.site, found=found, nothing=True)
        texts.render("subscribed.html.j2", feed.language, site=settings.site, confirm=True)
        texts.render("embed.html.j2", feed.language, site=settings.site, feed=feed.title, slug=feed.slug, action=settings.site.url)


def _standings(feed: FeedSettings) -> Iterator[Standing]:
    yield Standing(State.WAITS, feed.language, "Ann", Cadence.DAILY, ("topic",), (feed,), (feed,))
    yield Standing(State.DONE, feed.language, pages=((feed.title, "https://www.example.org/preferences/sample"),))
    yield Standing(State.GONE, feed.language)


def _form(settings: Settings, texts: Texts, feed: FeedSettings, single: bool) -> None:
    typed: dict[str, Any] = {"email": "ann@example.org", "name": "Ann", "feeds": (feed.slug,), "cadence": "daily", "topics": ("A",)}
    values: dict[str, Any] = {"site": settings.site, "feeds": (feed,), "single": single, "topics": ["A"], "typed": typed}
    values |= {"cadences": [str(one) for one in Cadence], "usual": "daily" if single else "", "again": single}
    values["said"] = texts.render("consent.txt.j2", feed.language, site=settings.site, feed=feed.title if single else "")
    for faults in ({}, {"email": "invalid", "feed": "missing"}):
        texts.render("subscribe.html.j2", feed.language, **values, faults=faults, stamp="stamp", bait="comment")


def _mails(settings: Settings, texts: Texts, feed: FeedSettings, now: datetime) -> None:
    about, url = settings.site, "https://www.example.org/"
    site = Letterhead(about.title, about.url, about.contact, about.postal_address, about.timezone, feed.language)
    for titles in ((feed.title,), (feed.title, feed.title)):
        joining.words("confirm", ConfirmDocument(site, titles, url, now, now), texts)
    joining.words("known", KnownDocument(site, ((feed.title, url),)), texts)
    shown = WelcomeFeed(feed.title, (Entry("Item", url),), 1, url, now, url, url)
    joining.words("welcome", WelcomeDocument(site, (shown, WelcomeFeed(feed.title, (), 0, url, None, url, url))), texts)
