"""What RSS 2.0 with the board's profile, RFC 4287 and JSON Feed 1.1 ask for, and what feed validators warn of.

``rss_faults``, ``atom_faults`` and ``json_faults`` take bytes and give one line for each rule that is broken. Nothing here knows
how Gazet writes a feed: the rules are read from the specifications.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from html.entities import name2codepoint
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

ATOM, CONTENT = "http://www.w3.org/2005/Atom", "http://purl.org/rss/1.0/modules/content/"
DC, MEDIA = "http://purl.org/dc/elements/1.1/", "http://search.yahoo.com/mrss/"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
SPACES = {"atom": ATOM, "content": CONTENT, "dc": DC, "media": MEDIA}

_URI = re.compile(r"[a-zA-Z][0-9a-zA-Z+.-]*:(?://)?[0-9a-zA-Z;/?:@&=+$.\-_!~*'()%,#]+")
_WEB = re.compile(r"https?://[a-z0-9.-]+(?::\d+)?/[!-~]*")
_ENCLOSED = re.compile(r"https?://(?:[a-zA-Z0-9-]+\.)+[a-zA-Z0-9][a-zA-Z0-9-]*(?::\d+)?/[!-~]*")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_MIME = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")
_RFC_822 = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:\+0000|GMT)")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_BAD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffd-\uffff]|[\ud800-\udfff]")
_PLAIN_MARKUP = re.compile(r"</?[a-zA-Z!]|&(?:#|(\w+))")
_MAIL = re.compile(r"<[^<>\s@]+@[^<>\s@]+>")


def _names(text: str) -> list[str]:
    return text.split()


_HTML_TAGS = _names(
    "a abbr b big blockquote br caption cite code col colgroup dd del div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins"
    " kbd li mark ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
_HTML_ATTRIBUTES = _names("href title src alt width height colspan rowspan scope start datetime")
_VOID = _names("br col hr img wbr")

_CHANNEL_ONCE = _names(
    "title link description language copyright managingEditor webMaster pubDate lastBuildDate generator docs cloud ttl image rating"
    " textInput skipHours skipDays"
)
_FEED_ONCE = _names("generator icon logo rights subtitle")
_FEED = {*_FEED_ONCE, *_names("id title updated author category contributor link entry")}
_ENTRY_ONCE = _names("content published rights source summary")
_ENTRY = {*_ENTRY_ONCE, *_names("id title updated author category contributor link thumbnail")}
_JSON_FEED = _names("version title home_page_url feed_url description icon favicon language authors items hubs expired next_url")
_JSON_ITEM = _names(
    "id url external_url title content_html content_text summary image banner_image date_published date_modified authors tags"
    " language attachments"
)
_URLS = _names("home_page_url feed_url icon favicon url external_url image banner_image")
_ITEM_ONCE = ["title", "link", "description", "comments", "enclosure", "guid", "pubDate", "source", f"{{{CONTENT}}}encoded"]
_ITEM = {*_ITEM_ONCE, "category", "author", f"{{{DC}}}creator", f"{{{DC}}}language", f"{{{ATOM}}}updated"} | {
    f"{{{MEDIA}}}{name}" for name in ("content", "thumbnail", "credit", "title", "description")
}
_CHANNEL = {*_CHANNEL_ONCE, "category", "item", f"{{{ATOM}}}link"}


def rss_faults(data: bytes) -> list[str]:
    """Broken rules of an RSS feed."""
    root = etree.fromstring(data)
    if root.tag != "rss" or root.get("version") != "2.0" or [child.tag for child in root] != ["channel"]:
        return ["is not RSS 2.0 with one channel"]
    return [*_xml(root), *_channel(root[0]), *(f"item {number}: {fault}" for number, fault in _each(root[0], "item", _item))]


def _channel(channel: Any) -> Iterator[str]:
    tags = [child.tag for child in channel]
    yield from (f"channel has no {name}" for name in ("title", "link", "description") if name not in tags)
    yield from (f"channel has {name} more than once" for name in _CHANNEL_ONCE if tags.count(name) > 1)
    yield from (f"channel has {tag}, which is not known" for tag in tags if tag not in _CHANNEL)
    if "item" in tags and set(tags[tags.index("item") :]) != {"item"}:
        yield "something follows the first item"
    own = [link for link in channel.findall(f"{{{ATOM}}}link") if link.get("rel") == "self"]
    if len(own) != 1 or own[0].get("type") != "application/rss+xml" or not _WEB.fullmatch(own[0].get("href", "")):
        yield "channel does not name itself"
    for name in ("title", "description", "copyright"):
        yield from (f"channel {name}: {fault}" for node in channel.findall(name) for fault in _plain(node.text))
    for name in ("pubDate", "lastBuildDate"):
        yield from (f"channel {name} {node.text!r} is no date" for node in channel.findall(name) if not _is_rfc_822(node.text))
    yield from (f"language {node.text!r}" for node in channel.findall("language") if not _TAG.fullmatch(node.text or ""))
    yield from (f"ttl {node.text!r}" for node in channel.findall("ttl") if not re.fullmatch(r"[1-9]\d*", node.text or ""))
    if channel.findtext("docs") != "http://www.rssboard.org/rss-specification":
        yield "docs is not the specification"
    yield from (fault for image in channel.findall("image") for fault in _image(image, channel))
    yield from _twice("guid", [item.findtext("guid") for item in channel.findall("item")])


def _image(image: Any, channel: Any) -> Iterator[str]:
    yield from (
        f"image {name} is not the channel's" for name in ("title", "link") if image.findtext(name) != channel.findtext(name)
    )
    if not re.search(r"\.(?:gif|jpe?g|png)$", urlsplit(image.findtext("url") or "").path.lower()):
        yield "image is neither GIF, JPEG nor PNG"
    for name, most in (("width", 144), ("height", 400)):
        if (size := image.findtext(name)) is not None and not 0 < int(size) <= most:
            yield f"image {name} {size}"


def _item(item: Any) -> Iterator[str]:
    tags = [child.tag for child in item]
    if "title" not in tags and "description" not in tags:
        yield "has neither title nor description"
    yield from (f"has {name} more than once" for name in _ITEM_ONCE if tags.count(name) > 1)
    yield from (f"has {tag}, which is not known" for tag in tags if tag not in _ITEM)
    guid = item.find("guid")
    if guid is None or guid.get("isPermaLink") not in ("true", "false"):
        yield "has no guid that says whether it is a link"
    elif guid.get("isPermaLink") == "true" and not _WEB.fullmatch(guid.text or ""):
        yield f"guid {guid.text!r} is no permanent link"
    if f"{{{CONTENT}}}encoded" in tags and "description" not in tags[: tags.index(f"{{{CONTENT}}}encoded")]:
        yield "has content before its description"
    for name in ("title", "category"):
        yield from (f"{name}: {fault}" for node in item.findall(name) for fault in _plain(node.text))
    for node in (*item.findall("description"), *item.findall(f"{{{CONTENT}}}encoded")):
        yield from (f"{node.tag}: {fault}" for fault in html_faults(node.text or ""))
    yield from (f"source {node.get('url')!r}" for node in item.findall("source") if not _WEB.fullmatch(node.get("url", "")))
    yield from (f"source: {fault}" for node in item.findall("source") for fault in _plain(node.text))
    yield from (f"link {node.text!r}" for node in item.findall("link") if not _URI.fullmatch(node.text or ""))
    yield from (f"pubDate {node.text!r}" for node in item.findall("pubDate") if not _is_rfc_822(node.text))
    yield from (f"updated {node.text!r}" for node in item.findall(f"{{{ATOM}}}updated") if not _is_rfc_3339(node.text))
    yield from (f"language {node.text!r}" for node in item.findall(f"{{{DC}}}language") if not _TAG.fullmatch(node.text or ""))
    yield from (f"author {node.text!r} has no address and name" for node in item.findall("author") if "@" not in (node.text or ""))
    yield from _files(item)


def _files(item: Any) -> Iterator[str]:
    for node in item.findall("enclosure"):
        if set(node.attrib) != {"url", "length", "type"} or not re.fullmatch(r"\d+", node.get("length")):
            yield "enclosure without url, length or type"
        elif not _ENCLOSED.fullmatch(node.get("url")) or not _MIME.fullmatch(node.get("type")):
            yield f"enclosure {node.get('url')!r} of type {node.get('type')!r}"
    yield from _media(item)


def _media(entry: Any) -> Iterator[str]:
    for node in (*entry.findall(f"{{{MEDIA}}}content"), *entry.findall(f"{{{MEDIA}}}thumbnail")):
        if not _URI.fullmatch(node.get("url", "")) or not _MIME.fullmatch(node.get("type", "a/b")):
            yield f"{node.tag} {node.get('url')!r} of type {node.get('type')!r}"
        for name in ("fileSize", "width", "height"):
            if not re.fullmatch(r"[1-9]\d*", node.get(name, "1")):
                yield f"{node.tag} {name} {node.get(name)!r}"


def atom_faults(data: bytes) -> list[str]:
    """Broken rules of an Atom feed."""
    root = etree.fromstring(data)
    if root.tag != f"{{{ATOM}}}feed" or None not in root.nsmap:
        return ["is not Atom, with Atom as the namespace of names without a prefix"]
    entries = [*_each(root, f"{{{ATOM}}}entry", lambda entry: _entry(entry, root))]
    return [*_xml(root), *_feed(root), *(f"entry {number}: {fault}" for number, fault in entries)]


def _feed(feed: Any) -> Iterator[str]:
    names = [etree.QName(child).localname for child in feed]
    yield from (f"feed has not one {name}" for name in ("id", "title", "updated") if names.count(name) != 1)
    yield from (f"feed has {name} more than once" for name in _FEED_ONCE if names.count(name) > 1)
    yield from (f"feed has {name}" for name in set(names) - _FEED)
    if "entry" in names and set(names[names.index("entry") :]) != {"entry"}:
        yield "something follows the first entry"
    if not _TAG.fullmatch(feed.get(LANG, "")):
        yield "feed has no language"
    own = [link for link in feed.findall(f"{{{ATOM}}}link") if link.get("rel") == "self"]
    if len(own) != 1 or own[0].get("type") != "application/atom+xml" or not _WEB.fullmatch(own[0].get("href", "")):
        yield "feed does not name itself"
    for name in ("icon", "logo"):
        yield from (f"{name} {node.text!r}" for node in feed.findall(f"{{{ATOM}}}{name}") if not _WEB.fullmatch(node.text or ""))
    yield from _common(feed)
    entries = feed.findall(f"{{{ATOM}}}entry")
    for name in ("id", "updated"):
        yield from _twice(name, [entry.findtext(f"{{{ATOM}}}{name}") for entry in entries])
    yield from _twice("id", [feed.findtext(f"{{{ATOM}}}id"), *(entry.findtext(f"{{{ATOM}}}id") for entry in entries[:1])])


def _entry(entry: Any, feed: Any) -> Iterator[str]:
    names = [etree.QName(child).localname for child in entry]
    yield from (f"has not one {name}" for name in ("id", "title", "updated") if names.count(name) != 1)
    yield from (f"has {name} more than once" for name in _ENTRY_ONCE if names.count(name) > 1)
    yield from (f"has {name}" for name in set(names) - _ENTRY)
    if entry.find(f"{{{ATOM}}}author") is None and feed.find(f"{{{ATOM}}}author") is None:
        yield "has no author, and nor has the feed"
    alternates = [link for link in entry.findall(f"{{{ATOM}}}link") if link.get("rel", "alternate") == "alternate"]
    if "content" not in names and not alternates:
        yield "has neither content nor an alternate link"
    if "content" not in names and "summary" not in names:
        yield "has neither content nor summary"
    if entry.get(LANG) is not None and not _TAG.fullmatch(entry.get(LANG)):
        yield f"language {entry.get(LANG)!r}"
    published, updated = entry.findtext(f"{{{ATOM}}}published"), entry.findtext(f"{{{ATOM}}}updated")
    if _is_rfc_3339(published) and _is_rfc_3339(updated) and datetime.fromisoformat(updated) < datetime.fromisoformat(published):
        yield "was updated before it was published"
    for source in entry.findall(f"{{{ATOM}}}source"):
        yield from (f"source: {fault}" for fault in _source(source))
    yield from _media(entry)
    yield from _common(entry)


def _source(source: Any) -> Iterator[str]:
    """RFC 4287 §4.2.11: what it should say of a feed so that the entry can be told where it is from."""
    names = [etree.QName(child).localname for child in source]
    yield from (f"has not one {name}" for name in ("id", "title", "updated") if names.count(name) != 1)
    yield from (f"has {name}" for name in set(names) - {"id", "title", "updated", "link"})
    yield from (f"title: {fault}" for text in source.findall(f"{{{ATOM}}}title") for fault in _text_construct(text))
    yield from (f"updated {at.text!r}" for at in source.findall(f"{{{ATOM}}}updated") if not _is_rfc_3339(at.text))
    if not _UUID.fullmatch(source.findtext(f"{{{ATOM}}}id") or ""):
        yield "id is no canonical urn:uuid"
    addresses = [one.get("href") for one in source.findall(f"{{{ATOM}}}link")]
    yield from (f"address {one!r}" for one in addresses if not _WEB.fullmatch(one or ""))


def _common(node: Any) -> Iterator[str]:
    """What holds for a feed and for an entry (RFC 4287 §3, §4.2)."""
    if not _UUID.fullmatch(node.findtext(f"{{{ATOM}}}id") or ""):
        yield "id is no canonical urn:uuid"
    for name in ("title", "subtitle", "summary", "rights", "content"):
        yield from (f"{name}: {fault}" for text in node.findall(f"{{{ATOM}}}{name}") for fault in _text_construct(text))
    for name in ("updated", "published"):
        yield from (f"{name} {at.text!r}" for at in node.findall(f"{{{ATOM}}}{name}") if not _is_rfc_3339(at.text))
    for person in node.findall(f"{{{ATOM}}}author"):
        yield from (f"author: {fault}" for fault in _plain(person.findtext(f"{{{ATOM}}}name")))
        if _MAIL.search(person.findtext(f"{{{ATOM}}}name") or ""):
            yield "an author's name holds an address"
    yield from ("category without a term" for one in node.findall(f"{{{ATOM}}}category") if not one.get("term", "").strip())
    links = node.findall(f"{{{ATOM}}}link")
    yield from (f"link: {fault}" for link in links for fault in _link(link))
    alternates = [(one.get("type"), one.get("hreflang")) for one in links if one.get("rel", "alternate") == "alternate"]
    yield from _twice("alternate link", alternates)


def _link(link: Any) -> Iterator[str]:
    if link.get("rel") not in ("self", "alternate", "enclosure", "via", "related", "hub", "next", "license"):
        yield f"rel {link.get('rel')!r}"
    if not _WEB.fullmatch(link.get("href", "")) and not _URI.fullmatch(link.get("href", "")):
        yield f"href {link.get('href')!r}"
    if not _MIME.fullmatch(link.get("type", "a/b")) or not re.fullmatch(r"\d+", link.get("length", "0")):
        yield f"type {link.get('type')!r}, length {link.get('length')!r}"
    yield from _plain(link.get("title", "-"))


def _text_construct(node: Any) -> Iterator[str]:
    kind = node.get("type", "text")
    if len(node) or kind not in ("text", "html"):
        yield f"is of type {kind!r} or has elements in it"
    yield from html_faults(node.text or "") if kind == "html" else _plain(node.text)


def json_faults(data: bytes) -> list[str]:
    """Broken rules of a JSON feed."""
    feed = json.loads(data)
    if feed.get("version") != "https://jsonfeed.org/version/1.1" or not isinstance(feed.get("items"), list):
        return ["is not JSON Feed 1.1 with items"]
    faults = [f"feed has {name}" for name in set(feed) - set(_JSON_FEED)]
    faults += [] if isinstance(feed.get("title"), str) and feed["title"].strip() else ["feed has no title"]
    faults += [f"{name} {feed[name]!r}" for name in _URLS if name in feed and not _WEB.fullmatch(feed[name])]
    faults += [*_members(feed), *_twice("id", [item.get("id") for item in feed["items"]]), *_characters(_strings(feed))]
    return faults + [f"item {number}: {fault}" for number, item in enumerate(feed["items"], 1) for fault in _json_item(item)]


def _json_item(item: dict[str, Any]) -> Iterator[str]:
    own = {name for name, value in item.items() if re.match(r"_[A-Za-z]", name) and isinstance(value, dict)}  # "Extensions"
    yield from (f"has {name}" for name in set(item) - set(_JSON_ITEM) - own)
    if not isinstance(item.get("id"), str) or not item["id"]:
        yield "has no id"
    if "content_html" not in item and "content_text" not in item:
        yield "has no content"
    yield from (f"{name} {item[name]!r}" for name in _URLS if name in item and not _WEB.fullmatch(item[name]))
    yield from (f"{name} {item[name]!r}" for name in ("date_published", "date_modified") if not _is_rfc_3339(item.get(name, "-")))
    yield from (f"content_html: {fault}" for fault in html_faults(item.get("content_html", "")))
    yield from _members(item)
    for file in item.get("attachments", []):
        if not _WEB.fullmatch(file.get("url", "")) or not _MIME.fullmatch(file.get("mime_type", "")):
            yield f"attachment {file}"
        if type(file.get("size_in_bytes", 1)) is not int or file.get("size_in_bytes", 1) < 1:
            yield f"attachment of {file['size_in_bytes']!r} bytes"


def _members(node: dict[str, Any]) -> Iterator[str]:
    if not _TAG.fullmatch(node.get("language", "nl")):
        yield f"language {node['language']!r}"
    yield from (f"author {one}" for one in node.get("authors", []) if not set(one) & {"name", "url", "avatar"})
    yield from (f"tag {tag!r}" for tag in node.get("tags", []) if not isinstance(tag, str) or not tag.strip())
    yield from (f"{name} is empty" for name, value in node.items() if value in ("", {}, None) or (value == [] and name != "items"))


def _xml(root: Any) -> Iterator[str]:
    """What holds for every element: no text that readers cannot show, nothing empty, namespaces under their usual prefix."""
    for prefix, space in root.nsmap.items():
        if (prefix or "atom", space) not in SPACES.items():
            yield f"namespace {prefix}={space}"
    for node in root.iter():
        texts = [node.text or "", *node.attrib.values()]
        if not len(node) and not any(text.strip() for text in texts):
            yield f"{node.tag} is empty"
        yield from (f"{node.tag} {name} is empty" for name, value in node.attrib.items() if not value.strip())
        yield from _characters(texts)
        if (node.tail or "").strip():
            yield f"text follows {node.tag}"


def _characters(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        found = _BAD.search(text)
        if found or any(ord(letter) & 0xFFFE == 0xFFFE for letter in text if letter > "\uffff"):
            yield f"a character that nobody can show in {text[:40]!r}"


def _plain(text: str | None) -> Iterator[str]:
    """Plain text that would be another one for those that read it as HTML."""
    if not (text or "").strip():
        yield "is empty"
    for found in _PLAIN_MARKUP.finditer(text or ""):
        name = found[1]
        if name is None or name in name2codepoint or name == "apos" or not name.isalpha():
            yield f"looks like HTML: {(text or '')[found.start() : found.start() + 30]!r}"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HTML_TAGS:
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            if name not in _HTML_ATTRIBUTES:
                self.faults.append(f"<{tag} {name}>")
            if name in ("href", "src") and not re.match(r"(?:https?://|mailto:)[!-~]", value or ""):
                self.faults.append(f"<{tag} {name}={value!r}> is relative or worse")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_comment(self, data: str) -> None:
        self.faults.append("a comment")

    def handle_decl(self, decl: str) -> None:
        self.faults.append("a declaration")

    def unknown_decl(self, data: str) -> None:
        self.faults.append("a section")

    def handle_pi(self, data: str) -> None:
        self.faults.append("an instruction")


def html_faults(markup: str) -> list[str]:
    """What is dangerous, relative or unbalanced in HTML that a reader will show."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader.faults + [f"<{tag}> is not closed" for tag in reader.open]


def _each(parent: Any, tag: str, rules: Any) -> Iterator[tuple[int, str]]:
    return ((number, fault) for number, node in enumerate(parent.findall(tag), 1) for fault in rules(node))


def _twice(name: str, values: Iterable[Any]) -> Iterator[str]:
    return (f"{name} {value!r} is there {count} times" for value, count in Counter(values).items() if count > 1)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _is_rfc_822(text: str | None) -> bool:
    return bool(_RFC_822.fullmatch(text or "")) and f"{parsedate_to_datetime(text or ''):%a}" == (text or "")[:3]


def _is_rfc_3339(text: str | None) -> bool:
    try:
        return bool(_RFC_3339.fullmatch(text or "")) and datetime.fromisoformat(text or "").tzinfo is not None
    except ValueError:
        return False
