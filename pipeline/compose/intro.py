"""An editor's few words above a digest: Markdown becomes HTML that a mail may hold, and text (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import nh3
from markdown_it import MarkdownIt

from pipeline.shown import clean

_SPACED = "margin:0 0 12px"
_LISTED = "margin:0 0 12px;padding:0 0 0 24px"
_STYLES = {
    "p": _SPACED,
    "h2": f"{_SPACED};font-size:18px;font-weight:700",
    "ul": _LISTED,
    "ol": _LISTED,
    "blockquote": "margin:0 0 12px;padding:0 0 0 14px;border-left:3px solid #e0ddd4",
    # Its own colour: dark Thunderbird paints bare links cyan on white.
    "a": "color:#0b5a52;text-decoration:underline",
}
_HEADING = re.compile(r"^#{1,6}[ \t]+", re.MULTILINE)
_PLAIN_TAGS = {"br", "em", "strong", "li", "code"}


@dataclass(frozen=True, slots=True)
class Intro:
    """``hash`` names the bytes it came from, ``html`` is sanitised, without pictures, ``text`` nearly the Markdown as written."""

    hash: str
    html: str
    text: str


def render(markdown: str, identity: str) -> Intro:
    """CommonMark with http, https and mailto links, no pictures and no HTML of its own (promises 7 and 8).

    A line break is one, as in the text: these are letters, not manuscripts.
    """
    source = clean(markdown).strip()
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(["image", "hr"])
    tokens = parser.parse(source)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h2"
    html = nh3.clean(
        parser.renderer.render(tokens, parser.options, {}),
        tags=_PLAIN_TAGS | _STYLES.keys(),
        attributes={"a": {"href"}},
        attribute_filter=lambda _tag, _name, value: value if ":" in value else None,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
        set_tag_attribute_values={tag: {"style": style} for tag, style in _STYLES.items()},
    )
    return Intro(identity, html.strip(), _HEADING.sub("", source))
