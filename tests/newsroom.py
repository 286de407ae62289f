"""One newsroom that tells its stories in every way that Gazet reads: feeds, WordPress, schema.org, sitemaps, a listing, articles.

room = Newsroom(web, count=6)
web.serve("/nieuws/", room.page())
web.serve("/feed.xml", room.rss(), content_type=RSS)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape

from tests.servers.web import WebServer

RSS = "application/rss+xml"
XML = "application/xml"
JSON = "application/json"
_SUBJECTS = (
    "De gemeente opent een nieuwe school aan de rand van de stad",
    "Leraren volgen samen een opleiding over lezen in de klas",
    "Bibliotheek zoekt vrijwilligers voor de voorleesmiddag in mei",
    "Onderzoek laat zien dat kinderen vaker buiten spelen",
    "Wethouder reikt prijzen uit aan drie jonge uitvinders",
    "Muziekschool viert haar verjaardag met een groot concert",
    "Studenten bouwen een brug van karton over de gracht",
    "Nieuwe fietsroute verbindt twee dorpen met het station",
)
_BEGINNINGS = (
    "Driehonderd leerlingen krijgen er na de zomer een lokaal met uitzicht over de weilanden.",
    "Zestig juffen en meesters oefenden dit najaar hoe een verhaal blijft hangen.",
    "Wie graag hardop verhalen vertelt kan zich melden bij de balie naast de ingang.",
    "Het verkeer lijkt minder druk, en speeltuinen worden beter onderhouden dan vroeger.",
    "Een windmolen van lepels won, gevolgd door een regenmeter en een slimme brievenbus.",
    "Trompetten, violen en slagwerk klinken zaterdag vanaf het bordes van het stadhuis.",
    "Zonder lijm of spijkers moest het bouwwerk een volwassen bezoeker kunnen dragen.",
    "Over veertien kilometer asfalt rijdt men straks langs boomgaarden naar de trein.",
)
_MONTHS = ("september", "oktober", "november", "december")


@dataclass(frozen=True)
class Story:
    """One story: its place on the site, title, first words and date (UTC)."""

    path: str
    title: str
    teaser: str
    at: datetime


def story(number: int, at: datetime, folder: str = "/nieuws/") -> Story:
    """The ``number``-th story of any newsroom."""
    subject = _SUBJECTS[number % len(_SUBJECTS)] + (f" ({number})" if number >= len(_SUBJECTS) else "")
    return Story(f"{folder}bericht-{number}/", subject, _BEGINNINGS[number % len(_BEGINNINGS)], at)


class Newsroom:
    """``count`` stories, one a day in autumn, the newest first and of ``newest``."""

    def __init__(
        self, web: WebServer, count: int = 6, *, newest: datetime = datetime(2026, 11, 23, 9, tzinfo=UTC), folder: str = "/nieuws/"
    ) -> None:
        self.web = web
        self.stories: list[Story] = [story(count - place, newest - timedelta(days=place), folder) for place in range(count)]

    def tell(self, number: int, at: datetime) -> Story:
        """A new story, before all others."""
        self.stories.insert(0, story(number, at))
        return self.stories[0]

    def renamed(self, place: int, **changes: str) -> None:
        """One story with another path, title or teaser."""
        self.stories[place] = replace(self.stories[place], **changes)  # type: ignore[arg-type]

    @property
    def titles(self) -> list[str]:
        """Of all stories, sorted."""
        return sorted(one.title for one in self.stories)

    def rss(self, version: str = "2.0", *, channel: str = "", stories: Sequence[Story] | None = None) -> str:
        """RSS 0.91 or 2.0; ``channel``: further elements of it."""
        items = "".join(
            f"<item><title>{escape(one.title)}</title><link>{self.web.url(one.path)}</link>"
            f"<description>{escape(one.teaser)}</description>"
            + ("" if version == "0.91" else f"<guid>{self.web.url(one.path)}</guid>")
            + f"<pubDate>{format_datetime(one.at)}</pubDate></item>"
            for one in (self.stories if stories is None else stories)
        )
        head = f"<title>Nieuws</title><link>{self.web.url('/')}</link><description>Nieuws</description>{channel}"
        return f'<?xml version="1.0"?><rss version="{version}"><channel>{head}{items}</channel></rss>'

    def rdf(self) -> str:
        """RSS 1.0."""
        spaces = (
            'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"'
        )
        items = "".join(
            f'<item rdf:about="{self.web.url(one.path)}"><title>{escape(one.title)}</title><link>{self.web.url(one.path)}</link>'
            f"<description>{escape(one.teaser)}</description><dc:date>{one.at.isoformat()}</dc:date></item>"
            for one in self.stories
        )
        about = f'<channel rdf:about="{self.web.url("/")}"><title>Nieuws</title><link>{self.web.url("/")}</link></channel>'
        return f'<?xml version="1.0"?><rdf:RDF {spaces}>{about}{items}</rdf:RDF>'

    def atom(self) -> str:
        """Atom 1.0."""
        entries = "".join(
            f'<entry><id>{self.web.url(one.path)}</id><title>{escape(one.title)}</title><link href="{self.web.url(one.path)}"/>'
            f"<summary>{escape(one.teaser)}</summary><updated>{one.at.isoformat()}</updated>"
            f"<published>{one.at.isoformat()}</published></entry>"
            for one in self.stories
        )
        head = f"<id>{self.web.url('/')}</id><title>Nieuws</title><updated>{self.stories[0].at.isoformat()}</updated>"
        return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">{head}{entries}</feed>'

    def json_feed(self) -> str:
        """JSON Feed 1.1."""
        items = [
            {
                "id": self.web.url(one.path),
                "url": self.web.url(one.path),
                "title": one.title,
                "summary": one.teaser,
                "date_published": one.at.isoformat(),
            }
            for one in self.stories
        ]
        return json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "Nieuws", "items": items})

    def wordpress(self, stories: Sequence[Story] | None = None) -> str:
        """Posts as wp-json/wp/v2/posts gives them."""
        return json.dumps(
            [
                {
                    "id": place,
                    "type": "post",
                    "link": self.web.url(one.path),
                    "guid": {"rendered": self.web.url(f"/?p={one.path}")},
                    "date_gmt": f"{one.at:%Y-%m-%dT%H:%M:%S}",
                    "modified_gmt": f"{one.at:%Y-%m-%dT%H:%M:%S}",
                    "title": {"rendered": escape(one.title)},
                    "excerpt": {"rendered": f"<p>{escape(one.teaser)}</p>", "protected": False},
                    "content": {"rendered": f"<p>{escape(one.teaser)}</p>", "protected": False},
                }
                for place, one in enumerate(self.stories if stories is None else stories)
            ]
        )

    def sitemap(self, *, news: bool = False, stories: Sequence[Story] | None = None) -> str:
        """A sitemap; a news sitemap also says the titles."""
        urls = "".join(
            f"<url><loc>{self.web.url(one.path)}</loc>"
            + (
                f"<news:news><news:publication_date>{one.at.isoformat()}</news:publication_date>"
                f"<news:title>{escape(one.title)}</news:title></news:news>"
                if news
                else f"<lastmod>{one.at.isoformat()}</lastmod>"
            )
            + "</url>"
            for one in (self.stories if stories is None else stories)
        )
        spaces = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"'
        return f'<?xml version="1.0"?><urlset {spaces}>{urls}</urlset>'

    def sitemap_index(self, *children: tuple[str, str]) -> str:
        """An index of sitemaps: path and date of each."""
        listed = "".join(
            f"<sitemap><loc>{self.web.url(path)}</loc><lastmod>{changed}</lastmod></sitemap>" for path, changed in children
        )
        space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
        return f'<?xml version="1.0"?><sitemapindex {space}>{listed}</sitemapindex>'

    def page(self, *, head: str = "", foot: str = "", stories: Sequence[Story] | None = None) -> str:
        """A page that lists the stories as cards."""
        cards = "".join(
            f'<article class="card"><h2><a href="{one.path}">{escape(one.title)}</a></h2>'
            f'<p class="date">{one.at.day} {_MONTHS[one.at.month - 9]} {one.at.year}</p><p>{escape(one.teaser)}</p></article>'
            for one in (self.stories if stories is None else stories)
        )
        return (
            f"<!doctype html><html lang=nl><head><title>Nieuws</title>{head}</head><body><nav><a href=/>Home</a>"
            f"<a href=/over/>Over ons</a><a href=/contact/>Contact</a></nav><main><h1>Nieuws</h1>{cards}</main>{foot}</body></html>"
        )

    def microdata(self) -> str:
        """The same page, described by itemscope and itemprop."""
        cards = "".join(
            '<div itemscope itemtype="https://schema.org/NewsArticle">'
            f'<a itemprop="url" href="{one.path}"><span itemprop="headline">{escape(one.title)}</span></a>'
            f'<meta itemprop="datePublished" content="{one.at.isoformat()}"></div>'
            for one in self.stories
        )
        return f"<!doctype html><html lang=nl><head><title>Nieuws</title></head><body><main>{cards}</main></body></html>"

    def json_ld(self, stories: Sequence[Story] | None = None) -> str:
        """The element that describes the stories in JSON-LD, for the head of ``page``."""
        told = [
            {
                "@type": "NewsArticle",
                "url": self.web.url(one.path),
                "headline": one.title,
                "datePublished": one.at.isoformat(),
            }
            for one in (self.stories if stories is None else stories)
        ]
        return f'<script type="application/ld+json">{json.dumps({"@context": "https://schema.org", "@graph": told})}</script>'

    def article(self, one: Story, *, inside: str = "", head: str = "") -> str:
        """The page of a story."""
        text = (
            f"<p>{escape(one.title)}: dat staat hier uitgelegd in een stuk dat veel langer is dan wat de lijst ervan laat zien.</p>"
            "<p>Wie er meer van wil weten kan op dinsdag langskomen, want dan staat de deur de hele dag voor iedereen open.</p>"
        )
        return (
            f"<!doctype html><html lang=nl><head><title>{escape(one.title)}</title>{head}</head><body><main><article>"
            f"<h1>{escape(one.title)}</h1>{text}{inside}</article></main></body></html>"
        )

    def serve_articles(self, *, inside: str = "", head: str = "") -> None:
        """Every story's own page, at its path."""
        for one in self.stories:
            self.web.serve(one.path, self.article(one, inside=inside, head=head))
