"""RSS, Atom and JSON Feed read back, each into the same words: what a reader learns of an item."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from lxml import etree

from tests.feed_rules import ATOM, CONTENT, DC, LANG, MEDIA

Reading = dict[str, Any]
"""``texts``: summary and content, those that are there; ``files``: (address, media type, bytes or 0)."""


def _plain(text: str) -> str:
    return text.replace("\N{WORD JOINER}", "")


def read_rss(data: bytes) -> Iterator[Reading]:
    """The items of an RSS feed. Its description is HTML: the content itself where there is no summary."""
    channel = etree.fromstring(data)[0]
    for item in channel.iter("item"):
        published = parsedate_to_datetime(item.findtext("pubDate"))
        described, content = item.findtext("description", ""), item.findtext(f"{{{CONTENT}}}encoded", "")
        nodes = [*item.iter("enclosure", f"{{{MEDIA}}}content")]
        files = [(node.get("url"), node.get("type"), int(node.get("length") or node.get("fileSize") or 0)) for node in nodes]
        yield {
            "id": item.findtext("guid"),
            "url": item.findtext("link", ""),
            "title": _plain(item.findtext("title")),
            "texts": {described if "<" in described else html.unescape(described), content} - {""},
            "published": published,
            "updated": datetime.fromisoformat(item.findtext(f"{{{ATOM}}}updated") or published.isoformat()),
            "authors": [node.text for node in item.iter(f"{{{DC}}}creator")],
            "categories": [_plain(node.text) for node in item.iter("category")],
            "files": sorted(files),
            "image": _thumbnail(item),
            "language": item.findtext(f"{{{DC}}}language") or channel.findtext("language"),
        }


def read_atom(data: bytes) -> Iterator[Reading]:
    """The entries of an Atom feed."""
    feed = etree.fromstring(data)
    for entry in feed.iter(f"{{{ATOM}}}entry"):
        links = entry.findall(f"{{{ATOM}}}link")
        files = [node for node in links if node.get("rel") == "enclosure"]
        names = entry.iterfind(f"{{{ATOM}}}author/{{{ATOM}}}name")
        yield {
            "id": entry.findtext(f"{{{ATOM}}}id"),
            "url": "".join(node.get("href") for node in links if node.get("rel") == "alternate"),
            "title": _text(entry.find(f"{{{ATOM}}}title")),
            "texts": {_text(entry.find(f"{{{ATOM}}}{name}")) for name in ("summary", "content")} - {""},
            "published": datetime.fromisoformat(entry.findtext(f"{{{ATOM}}}published")),
            "updated": datetime.fromisoformat(entry.findtext(f"{{{ATOM}}}updated")).replace(microsecond=0),
            "authors": [_plain(node.text) for node in names],
            "categories": [node.get("term") for node in entry.iter(f"{{{ATOM}}}category")],
            "files": sorted((node.get("href"), node.get("type"), int(node.get("length", 0))) for node in files),
            "image": _thumbnail(entry),
            "language": entry.get(LANG) or feed.get(LANG),
        }


def read_json(data: bytes) -> Iterator[Reading]:
    """The items of a JSON feed."""
    feed = json.loads(data)
    for item in feed["items"]:
        yield {
            "id": item["id"],
            "url": item.get("url", ""),
            "title": item.get("title", ""),
            "texts": {item.get(name, "") for name in ("summary", "content_html", "content_text")} - {""},
            "published": datetime.fromisoformat(item["date_published"]),
            "updated": datetime.fromisoformat(item["date_modified"]),
            "authors": [one["name"] for one in item.get("authors", [])],
            "categories": item.get("tags", []),
            "files": sorted((one["url"], one["mime_type"], one.get("size_in_bytes", 0)) for one in item.get("attachments", [])),
            "image": item.get("image", ""),
            "language": item.get("language", feed["language"]),
        }


def _text(node: Any) -> str:
    """Plain text, also where HTML was said to be able to say it; HTML that has a tag as it is."""
    if node is None:
        return ""
    return html.unescape(node.text) if node.get("type") == "html" and "<" not in node.text else node.text


def _thumbnail(node: Any) -> str:
    found = node.find(f"{{{MEDIA}}}thumbnail")
    return "" if found is None else found.get("url")
