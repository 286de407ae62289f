"""Values with real and slightly hard defaults: Dutch news, curly quotes, dates by day; name only what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.models import DigestDocument, FeedDocument, FeedItem, Item, ItemStatus, Precision, Selection

NOW = datetime(2019, 5, 28, 6, 0, tzinfo=UTC)

_NEWS = (
    {
        "title": "Interview | Doorlopend leren en de bestuurder",
        "kicker": "Nieuws",
        "summary": "De Leidse scholengroep Leonardo Da Vinci stimuleert brede professionele ontwikkeling van leraren met "
        "behulp van het beroepsbeeld voor de leraar.",
        "published_at": datetime(2019, 5, 22, 10, 0, tzinfo=UTC),
    },
    {
        "title": "21 juni | Themabijeenkomst ‘Flexibel opleiden voor flexibel onderwijs’",
        "kicker": "Agenda",
        "summary": "Zowel op lerarenopleidingen als op scholen krijgen thema’s als flexibilisering en maatwerk steeds meer "
        "aandacht. In partnerschappen Samen Opleiden komen ze samen.",
        "published_at": datetime(2019, 5, 14, 10, 0, tzinfo=UTC),
    },
    {
        "title": "Wrap-up gesprekstafels samen opleiden en professionaliseren in de regio | PO",
        "kicker": "",
        "summary": "In de eerste helft van 2018 hebben er een achttal gesprekken in samenwerking met de PO-Raad "
        "plaatsgevonden in verschillende regio’s. Zo’n 100 bestuurders, opleidingsmanagers, projectleiders "
        "partnerschappen, directeuren, schoolopleiders en lectoren hebben deelgenomen aan een gesprekstafel en hebben zo "
        "waardevolle input geleverd voor de discussie over de verdere uitwerking van een gezamenlijke landelijke ambitie "
        "van de sectorraden, OCW, VH en VSNU rond samen opleiden en professionaliseren.",
        "published_at": datetime(2018, 11, 8, 11, 0, tzinfo=UTC),
    },
)


def make_item(number: int = 1, **changes: Any) -> Item:
    """Item ``number`` of a Dutch news page; the text repeats after three."""
    news: dict[str, Any] = dict(_NEWS[(number - 1) % len(_NEWS)])
    values: dict[str, Any] = {
        "id": number,
        "identity": f"url:https://www.example.org/nieuws/bericht-{number}/",
        "url": f"https://www.example.org/nieuws/bericht-{number}/",
        "content_html": "",
        "published_precision": Precision.DAY,
        "first_seen_at": NOW,
        "authors": (),
        "categories": ("Nieuws",),
        "image": None,
        "attachments": (),
        "language": "nl",
        "status": ItemStatus.RELEASED,
        "content_hash": f"{number:064x}",
        **news,
    }
    values |= {"updated_at": values["published_at"]} | changes
    return Item(**values)


def make_feed_item(seq: int = 1, *, mailed: bool = True, released_at: datetime = NOW, **changes: Any) -> FeedItem:
    """An item with its number; further changes are the item's."""
    return FeedItem(seq=seq, mailed=mailed, released_at=released_at, item=make_item(seq, **changes))


def make_feed_document(items: Sequence[FeedItem] | None = None, **changes: Any) -> FeedDocument:
    """A feed of three items, newest first."""
    base = changes.get("base_url", "https://nieuws.example.org")
    slug = changes.get("slug", "samen-opleiden")
    values: dict[str, Any] = {
        "slug": slug,
        "title": "Samen Opleiden: nieuws",
        "description": "Nieuws over samen opleiden en professionaliseren.",
        "language": "nl",
        "site_title": "Platform Samen Opleiden",
        "base_url": base,
        "home_url": "https://www.example.org/nieuws/",
        "contact": "redactie@example.org",
        "timezone": "Europe/Amsterdam",
        "changed_at": NOW,
        "items": tuple(make_feed_item(seq) for seq in (3, 2, 1)) if items is None else tuple(items),
        "urls": {extension: f"{base}/feeds/{slug}.{extension}" for extension in ("rss", "atom", "json", "html")},
    }
    return FeedDocument(**(values | changes))


def make_digest(items: Sequence[FeedItem] | None = None, *, more: int = 0, **changes: Any) -> DigestDocument:
    """A digest of three items in Dutch."""
    shown = tuple(make_feed_item(seq) for seq in (1, 2, 3)) if items is None else tuple(items)
    values: dict[str, Any] = {
        "feed_slug": "samen-opleiden",
        "feed_title": "Samen Opleiden: nieuws",
        "site_title": "Platform Samen Opleiden",
        "language": "nl",
        "timezone": "Europe/Amsterdam",
        "base_url": "https://nieuws.example.org",
        "feed_url": "https://nieuws.example.org/feeds/samen-opleiden.html",
        "web_url": "https://nieuws.example.org/archive/samen-opleiden/2019-05-28T08:00",
        "contact": "redactie@example.org",
        "postal_address": "Postbus 556, 2501 CN Den Haag",
        "sender": "Samen Opleiden <nieuws@example.org>",
        "due_at": NOW,
        "opened_at": NOW,
        "message_id_domain": "nieuws.example.org",
        "list_id": "samen-opleiden.nieuws.example.org",
        "unsubscribe_mail": "redactie@example.org",
        "selection": Selection(shown, more),
    }
    return DigestDocument(**(values | changes))
