"""Text whose kind nobody declared: titles that may or may not hold markup, plain text that is to become markup."""

from __future__ import annotations

import html
import re

from pipeline.collect.markup import TooComplexError, parse, squeeze, to_text

_MAX_PLAIN = 20_000
_MARKUP = re.compile(r"<[a-zA-Z/!][^<>]*>|&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|\w{2,30});")
_REFERENCE = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|\w{2,30});")
_SURELY_MARKUP = re.compile(r"<[a-z][a-z0-9]{0,20}(?:\s[^<>=]{0,200}=|(?:\s[^<>]{0,200})?>[^<]{0,2000}</[a-z])", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*+\n")


def holds_markup(text: str) -> bool:
    """Whether it holds something that reads like a tag or a character reference."""
    return _MARKUP.search(text) is not None


def plain(text: str) -> str:
    """One line of plain text. Nobody says whether titles hold markup, so only what looks like it is taken for it.

    Of markup without words, such as a picture, the alternative text; "<T>" alone stays as it is.
    """
    text = text[:_MAX_PLAIN]
    if not holds_markup(text):
        return squeeze(text)
    return to_text(text) or (_alternatives(text) if _SURELY_MARKUP.search(text) else squeeze(text))


def _alternatives(markup: str) -> str:
    try:
        pictures = parse(markup).css("img[alt]")
    except TooComplexError:
        return ""
    return squeeze(" ".join(picture.attributes.get("alt") or "" for picture in pictures))


def with_tags_kept(text: str) -> str:
    """One line of text that is declared to be plain: "<b>" is shown, "&#8217;" is still the mistake that it always is."""
    return squeeze(unescaped(text[:_MAX_PLAIN]))


def unescaped(text: str) -> str:
    """Character references read, once. ``html.unescape`` alone raises where one has thousands of digits."""
    return _REFERENCE.sub(lambda match: html.unescape(match[0]), text)


def as_html(text: str) -> str:
    """Plain text as markup; blank lines part paragraphs."""
    parts = [part.strip() for part in _BLANK_LINE.split(text)] if "\n" in text else [text]
    if len(parts) == 1:
        return html.escape(parts[0], quote=False)
    return "".join(f"<p>{html.escape(part, quote=False)}</p>" for part in parts if part)
