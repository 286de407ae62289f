"""feedparser with the places bounded where its time grows with the square, or the cube, of what a stranger sends.

Measured with feedparser 6.0.14: a first line of 80 KB of ``encoding="`` takes minutes, an author's name of 200 KB as long,
160 KB of blank lines before the first element 80 s, 16,000 categories on one entry 4 s; and a regular expression that runs
stops every thread of the process. Two more places let one entry lose the whole feed: a reference to a character that does not
exist, and a ``gml:pos`` by itself. All are inside the library and no setting reaches them, so they are replaced when this
module is imported.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import feedparser
import feedparser.encodings
import feedparser.mixin
import feedparser.namespaces.georss
import feedparser.sanitizer

_MAX_NAME = 200
_MAX_LIST = 100
_DECLARED_ENCODING = re.compile(rb"<\?[^>\n]{0,200}?encoding=['\"]([^'\"\n]{0,60})['\"][^>\n]{0,200}\?>")
_ENTITY = re.compile(rb"^[^\S\n]*+<!ENTITY([^>]{0,1000}+)>", re.MULTILINE)
_DOCTYPE = re.compile(rb"^[^\S\n]*+<!DOCTYPE([^>]{0,1000}+)>", re.MULTILINE)


def parse(body: bytes, headers: Mapping[str, str]) -> Mapping[str, Any]:
    """A document as feedparser gives it, neither sanitised nor resolved; raises whatever its loose parser is led to.

    ``headers`` are the answer's, names in lower case. feedparser opens what looks like a path, so it gets a stream.
    """
    return feedparser.parse(  # type: ignore[no-any-return]
        io.BytesIO(body), sanitize_html=False, resolve_relative_uris=False, response_headers=dict(headers)
    )


def _bound(parser: Any) -> None:
    find_address, add_tag, add_character = parser._sync_author_detail, parser._add_tag, parser.handle_charref

    def find_address_in_short(self: Any, key: str = "author") -> None:
        context = self._get_context()
        if len(dict.get(context, f"{key}s") or ()) > _MAX_LIST:
            return
        if isinstance(name := dict.get(context, key), str):
            context[key] = name[:_MAX_NAME]
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


def _forget_places(namespace: Any) -> None:
    """Nothing here reads geometry."""
    for name in [name for name in vars(namespace) if name.startswith(("_start_", "_end_"))]:
        delattr(namespace, name)


_bound(feedparser.mixin._FeedParserMixin)
_forget_places(feedparser.namespaces.georss.Namespace)
feedparser.encodings.RE_XML_PI_ENCODING = _DECLARED_ENCODING
feedparser.sanitizer.RE_ENTITY_PATTERN = _ENTITY
feedparser.sanitizer.RE_DOCTYPE_PATTERN = _DOCTYPE
