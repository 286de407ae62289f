"""A made-up item, with which every template is tried before it is needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pipeline.compose import digest, notice
from pipeline.compose.notice import AlertDocument, EveDocument, EveItem, Need
from pipeline.config import Settings
from pipeline.jobs import try_joining
from pipeline.jobs.open_edition import document_for
from pipeline.jobs.parts import foreseen
from pipeline.jobs.publish_feed import document_of
from pipeline.jobs.try_archive import check_archive
from pipeline.jobs.try_own_pages import check_own_pages
from pipeline.models import (
    Attachment,
    Choice,
    Credit,
    FeedItem,
    Image,
    Item,
    ItemStatus,
    Part,
    PartKind,
    Picture,
    Precision,
    Selection,
)
from pipeline.publish import render_all
from pipeline.texts import Texts


def check_templates(settings: Settings, texts: Texts, now: datetime) -> None:
    """Render every template for every feed, so that a mistake is found here and not at eight o'clock. Raises TemplateFault."""
    shown = [_sample(number, now) for number in (2, 1)]
    selection, web_url = Selection(tuple(shown), more=1), f"{settings.site.url}/read/sample"
    _check_notices(settings, texts, now)
    try_joining.check(settings, texts, now)
    check_archive(settings, texts, now)
    for feed in settings.feeds.values():
        mail = document_for(settings, feed, Choice(), selection, web_url=web_url, due_at=now, opened_at=now)
        digest.render(mail, texts)
        parts = [one.as_part(settings) for one in foreseen(feed)]
        document = document_of(settings, feed, shown, now.replace(microsecond=0), parts)
        render_all(document, texts)
        render_all(replace(document, items=(), whole=(feed.title, web_url)), texts)
        for done in (False, True):
            texts.render("unsubscribe.html.j2", feed.language, site=settings.site, feed=feed.title, done=done)
    check_own_pages(settings, texts, now)
    urls = dict.fromkeys(("rss", "atom", "json", "html"), web_url)
    parts = [Part(PartKind.TOPIC, "Topic", urls)]
    listed = [{"title": "Title", "description": "Text", "language": "en", "urls": urls, "archive": web_url, "parts": parts}]
    texts.render("index.html.j2", settings.site.language, site=settings.site, feeds=listed, subscribe=web_url)
    for kind in ("token", "past", "nothing", "method", "large", "busy", "failed", "nobody", "stale", "closed", "flood"):
        texts.render("message.html.j2", settings.site.language, site=settings.site, kind=kind)


def _check_notices(settings: Settings, texts: Texts, now: datetime) -> None:
    """The mails to who runs this: an alert, and an eve in each feed's language."""
    need = Need("Something", "Mend it.", "Tue 2026-11-24 08:00")
    notice.alert(AlertDocument(settings.site.title, "en", (need, need), (need,), (need,)), texts)
    for feed in settings.feeds.values():
        eve = EveDocument(
            feed_slug=feed.slug,
            feed_title=feed.title,
            timezone=settings.site.timezone,
            language=feed.language,
            due_at=now,
            clock="08:00",
            days=1,
            people=2,
            items=(EveItem(1, "Item", "https://www.example.org/1/"),),
            more=1,
            versions=2,
            subject="Subject",
            text="Text",
            intro=True,
        )
        notice.eve(eve, texts)


def _sample(number: int, now: datetime) -> FeedItem:
    """An item with everything that a template may show."""
    url = f"https://www.example.org/{number}/"
    item = Item(
        id=number,
        identity=f"urn:uuid:00000000-0000-0000-0000-{number:012}",
        url=url,
        title=f"Item {number}",
        kicker="News",
        summary="A summary.",
        content_html="<p>A summary.</p>",
        published_at=now,
        published_precision=Precision.TIME if number % 2 else Precision.DAY,
        updated_at=now,
        first_seen_at=now,
        authors=("Ann",),
        categories=("Topic",),
        image=Image(f"{url}picture.jpg", "A picture", 640, 360),
        attachments=(Attachment(f"{url}paper.pdf", "application/pdf", 1000, "Paper"),),
        language="",
        status=ItemStatus.RELEASED,
        content_hash="",
    )
    credit = Credit("Source", url, is_feed=True)
    picture = Picture(f"00/{'0' * 40}.jpg", 640, 360, "A picture")
    return FeedItem(seq=number, mailed=True, released_at=now, item=item, credit=credit, picture=picture)
