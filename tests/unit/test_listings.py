"""Pages of every kind of markup give their news, whole and nothing else; a page without news says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

import pytest

from pipeline.collect.normalise import normalise
from pipeline.collect.read_page import read_page
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import ParsedSource

PAGES = Path(__file__).parent.parent / "data" / "listings"
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
ZONE = "Europe/Amsterdam"


def read(body: str | bytes, url: str = "https://www.example.org/nieuws/", language: str = "nl", **selectors: str) -> ParsedSource:
    data = body.encode() if isinstance(body, str) else body
    page = PageSettings.model_validate(selectors)
    return read_page(data, url=url, content_type="text/html", page=page, language=language, zone=ZONE, now=NOW)


def seen(parsed: ParsedSource, url: str, language: str) -> list[list[str]]:
    """What a visitor of the feed sees of each item: title, address, date, kicker, teaser, picture."""
    items, _remarks = normalise(parsed, base_url=url, language=language, now=NOW)
    return [
        [
            item.title,
            item.url,
            str(item.published.at.astimezone(ZoneInfo(ZONE)).date()) if item.published else "",
            item.kicker,
            item.summary,
            item.image.url if item.image else "",
        ]
        for item in items
    ]


def expected(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((PAGES / f"{name}.json").read_text("utf-8"))
    for item in told.get("items", []):
        item[1] = urljoin(told["url"], item[1])
        item[5] = urljoin(told["url"], item[5]) if item[5] else ""
    return told


ALL = sorted(path.stem for path in PAGES.glob("*.html"))
LISTINGS = [name for name in ALL if "items" in expected(name)]
NO_LISTINGS = [name for name in ALL if "why" in expected(name)]


@pytest.mark.parametrize("name", LISTINGS)
def test_a_page_gives_its_news_and_nothing_else(name: str) -> None:
    told = expected(name)
    parsed = read((PAGES / f"{name}.html").read_bytes(), told["url"], told["language"])
    assert seen(parsed, told["url"], told["language"]) == told["items"]
    assert parsed.next_page == told["next"]


@pytest.mark.parametrize("name", NO_LISTINGS)
def test_a_page_without_news_says_why_and_what_to_do(name: str) -> None:
    told = expected(name)
    with pytest.raises(ReadError, match="no list of news was found on the page: ") as caught:
        read((PAGES / f"{name}.html").read_bytes(), told["url"], told["language"])
    assert told["why"] in caught.value.reason
    assert caught.value.fix
