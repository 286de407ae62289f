"""feedparser with the places bounded where its time grows with the square, or the cube, of what a stranger sends.

Measured with feedparser 6.0.14: a first line of 80 KB of ``encoding="`` takes minutes, an author's name of 200 KB as long,
160 KB of blank lines before the first element 80 s, 16,000 categories on one entry 4 s; and a regular expression that runs
stops every thread of the process. Two more places let one entry lose the whole feed: a reference to a character that does not
exist, and a ``gml:pos`` by itself. Of a feed that is not well-formed "R&D" becomes "R&D;", and an item by "jan@x.amsterdam
(Jan)" is by "terdam (Jan". Three lose what a feed says: of skipHours only the last is kept, and a picture's
``media:description`` or a podcast's ``itunes:summary`` takes the place of the article's text. And half of its time goes to
dates that are read again from their strings, deep copies of flat mappings, joining addresses to nothing, and look-ups of names
that have no second name. All are inside the library and no setting reaches them, so they are replaced when this module is
imported.
"""

from __future__ import annotations

import html.entities
import io
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import feedparser
import feedparser.api
import feedparser.encodings
import feedparser.mixin
import feedparser.namespaces._base
import feedparser.namespaces.dc
import feedparser.namespaces.georss
import feedparser.namespaces.itunes
import feedparser.namespaces.mediarss
import feedparser.sanitizer
import feedparser.util

_MAX_NAME = 200
_MAX_LIST = 100
_DECLARED_ENCODING = re.compile(rb"<\?[^>\n]{0,200}?encoding=['\"]([^'\"\n]{0,60})['\"][^>\n]{0,200}\?>")
_BARE_AMPERSAND = re.compile(r"&([a-zA-Z][a-zA-Z0-9]{0,40}+)(?![a-zA-Z0-9;])")
_ADDRESS = re.compile(r"[\w.+-]{1,64}@(?:[a-zA-Z0-9-]{1,63}\.){1,10}[a-zA-Z0-9-]{2,63}(?:\?subject=\S{0,200})?")
_ENTITY = re.compile(rb"^[^\S\n]*+<!ENTITY([^>]{0,1000}+)>", re.MULTILINE)
_DOCTYPE = re.compile(rb"^[^\S\n]*+<!DOCTYPE([^>]{0,1000}+)>", re.MULTILINE)


def parse(body: bytes, headers: Mapping[str, str]) -> Mapping[str, Any]:
    """A document as feedparser gives it, neither sanitised nor resolved; raises whatever its loose parser is led to.

    ``headers`` are the answer's, names in lower case. feedparser opens what looks like a path, so it gets a stream.
    """
    return feedparser.parse(  # type: ignore[no-any-return]
        io.BytesIO(body), sanitize_html=False, resolve_relative_uris=False, response_headers=dict(headers)
    )


def _without_address(name: str) -> str:
    """A name without the mail address that RSS wants beside it."""
    if "@" not in name:
        return name
    bare = _ADDRESS.sub("", name)
    for brackets in ("()", "<>", "&lt;&gt;"):
        bare = bare.replace(brackets, "")
    bare = bare.strip(" ,;")
    return bare[1:-1].strip() if bare.startswith("(") and bare.endswith(")") else bare


def _bound(parser: Any) -> None:
    find_address, add_tag, add_character = parser._sync_author_detail, parser._add_tag, parser.handle_charref

    def find_address_in_short(self: Any, key: str = "author") -> None:
        context = self._get_context()
        if len(dict.get(context, f"{key}s") or ()) > _MAX_LIST:
            return
        if isinstance(name := dict.get(context, key), str):
            context[key] = _without_address(name[:_MAX_NAME])
        find_address(self, key)

    def add_tag_to_few(self: Any, term: Any, scheme: Any, label: Any) -> None:
        if len(dict.get(self._get_context(), "tags") or ()) < _MAX_LIST:
            add_tag(self, term, scheme, label)

    def add_character_that_exists(self: Any, ref: str) -> None:
        try:
            add_character(self, ref)
        except (ValueError, OverflowError):  # a UnicodeEncodeError is a ValueError
            self.elementstack[-1][2].append("\ufffd")

    parser._sync_author_detail, parser._add_tag = find_address_in_short, add_tag_to_few
    parser.handle_charref = add_character_that_exists


def _keep_ampersands(parser: Any) -> None:
    """One that stands for itself, which XML forbids, is written out before the loose parser closes it with a semicolon."""
    feed = parser.feed

    def written_out(match: re.Match[str]) -> str:
        return match[0] if match[1] in html.entities.html5 else f"&amp;{match[1]}"

    parser.feed = lambda self, data: feed(self, _BARE_AMPERSAND.sub(written_out, data))


def _keep_texts_apart(media: Any, podcast: Any) -> None:
    """The text of a picture and the summary for a podcast's directory get names of their own."""
    for namespace, name in ((media, "media_description"), (podcast, "itunes_summary")):
        setattr(namespace, f"_start_{name}", lambda self, _attributes, name=name: self.push(name, 1))
        setattr(namespace, f"_end_{name}", lambda self, name=name: self.pop(name))


def _keep_all(parser: Any, group: str, name: str) -> None:
    """Collects the texts of ``<name>`` inside ``<group>`` as ``group_list``, at most 100."""

    def start(self: Any, _attributes: Mapping[str, str]) -> None:
        self.push(name, 0)

    def end(self: Any) -> None:
        inside = len(self.elementstack) > 1 and self.elementstack[-2][0] == group
        text = self.pop(name)
        found = dict.setdefault(self.feeddata, f"{group}_list", [])
        if inside and text and len(found) < _MAX_LIST:
            found.append(text[:_MAX_NAME])

    setattr(parser, f"_start_{name}", start)
    setattr(parser, f"_end_{name}", end)


def _read_no_dates(*modules: Any) -> None:
    for module in modules:
        module._parse_date = lambda _text: None


def _join_only_to_something(join: Callable[[str, str], str]) -> Callable[[str, str], str]:
    return lambda base, address: join(base, address) if address and (base or "://" in address) else address or base


def _look_up_at_once(mapping: Any) -> None:
    """Names without a second name are looked up as in any dictionary; the others as the library does."""
    special = frozenset(("category", "enclosures", "license", "updated", "updated_parsed", *mapping.keymap))
    contains, get, set_default = mapping.__contains__, mapping.get, mapping.setdefault

    def plain_contains(self: Any, key: Any) -> bool:
        return bool(contains(self, key)) if key in special else dict.__contains__(self, key)

    def plain_get(self: Any, key: Any, default: Any = None) -> Any:
        return get(self, key, default) if key in special else dict.get(self, key, default)

    def plain_set_default(self: Any, key: Any, default: Any) -> Any:
        return set_default(self, key, default) if key in special else dict.setdefault(self, key, default)

    mapping.__contains__, mapping.get, mapping.setdefault = plain_contains, plain_get, plain_set_default


def _forget_places(namespace: Any) -> None:
    """Nothing here reads geometry."""
    for name in [name for name in vars(namespace) if name.startswith(("_start_", "_end_"))]:
        delattr(namespace, name)


_keep_ampersands(feedparser.api.LooseFeedParser)
_bound(feedparser.mixin._FeedParserMixin)
_keep_all(feedparser.mixin._FeedParserMixin, "skiphours", "hour")
_keep_all(feedparser.mixin._FeedParserMixin, "skipdays", "day")
_keep_texts_apart(feedparser.namespaces.mediarss.Namespace, feedparser.namespaces.itunes.Namespace)
_forget_places(feedparser.namespaces.georss.Namespace)
_read_no_dates(feedparser.namespaces._base, feedparser.namespaces.dc)
_look_up_at_once(feedparser.util.FeedParserDict)
# What it copies here are flat mappings of strings.
feedparser.mixin.copy = SimpleNamespace(deepcopy=feedparser.util.FeedParserDict)
feedparser.mixin._urljoin = _join_only_to_something(feedparser.mixin._urljoin)
feedparser.encodings.RE_XML_PI_ENCODING = _DECLARED_ENCODING
feedparser.sanitizer.RE_ENTITY_PATTERN = _ENTITY
feedparser.sanitizer.RE_DOCTYPE_PATTERN = _DOCTYPE
