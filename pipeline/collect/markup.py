"""Foreign markup: decoded, measured before a parser sees it, turned into text or into harmless HTML.

HTML parsers need quadratic time for some inputs: 200,000 nested ``<div>`` or 300,000 attributes on one tag kept lexbor and
html5ever busy for minutes. So the tags are counted first, in one linear pass, and a document beyond the limits is refused.
"""

from __future__ import annotations

import codecs
import html
import re
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from urllib.parse import urljoin, urlsplit

import nh3
from selectolax.lexbor import LexborHTMLParser

from pipeline.shown import link

MAX_TAGS = 300_000
MAX_DEPTH = 1_000
MAX_ATTRIBUTES = 200
_MAX_COST = 20_000_000
_MAX_FRAGMENT = 400_000
_MAX_CLEAN_DEPTH = 60
_MAX_URL = 2_000

_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?P<raw>script|style|textarea|title|xmp|iframe|noembed|noframes)\b[^>]*+(?:>.*?(?:</(?P=raw)\b|\Z)|\Z)"
    r"|<(?P<close>/?)(?P<name>[a-z][^\s/>]*+)"
    r"(?P<attributes>(?:[\s/]++|=?[^\s/>=]++(?:\s*+=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\s>\"'][^\s>]*+)?+)?+|=)*+)",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(r"[^\s/>=]++(?:\s*+=\s*+(?:\"[^\"]*+\"?|'[^']*+'?|[^\s>]++)?+)?+")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VOID = _names("area base br col embed hr img input link meta param source track wbr")
_SELF_CLOSING = _names("p li dt dd option optgroup tr td th tbody thead tfoot colgroup caption")
_FORMATTING = _names("a b big code em font i nobr s small strike strong tt u")
_BLOCK = re.compile(
    r"<(?=/?(?:p|div|br|ul|ol|li|h[1-6]|table|tr|td|th|blockquote|section|article|header|footer|figure|figcaption|dl|dt|dd"
    r"|hr|pre|address|main|time)\b)",
    re.IGNORECASE,
)
_ILLEGAL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{2,30})", re.IGNORECASE)
_CHARSETS = re.compile(
    r"(?:utf-?8|us-ascii|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|gbk|gb2312|gb18030|big5|shift_jis|euc-jp|euc-kr)", re.IGNORECASE
)
_TAGS = _names(
    "a abbr b blockquote br caption cite code col colgroup dd del div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins"
    " kbd li mark ol p pre q s samp small span strong sub sup table tbody td tfoot th thead time tr tt u ul var"
)
_DROPPED = _names("script style noscript template iframe embed form input button select option textarea svg math title head")
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
    "time": {"datetime"},
}
_USELESS_IMAGE = re.compile(r"<img(?![^<>]*\ssrc=)[^<>]*+>|<img[^<>]*\s(?:width|height)=\"[01](?:px)?\"[^<>]*+>")
# To HTML it is open, and what follows is lost; to the many who write XML it is closed.
_CLOSED_FRAME = re.compile(r"(<iframe\b[^<>]*)/>", re.IGNORECASE)
# As XML is written out; HTML reads a second break in it.
_CLOSED_BREAK = re.compile(r"(<br\b[^<>]*+>)</br>", re.IGNORECASE)
_CLEAN_TAG = re.compile(r"<(/?)([a-z0-9]++)[^<>]*+>")


class TooComplexError(ValueError):
    """Markup beyond the limits; ``str()`` says which."""


def decode(body: bytes, content_type: str) -> str:
    """The text of an HTML document: BOM, then UTF-8 if it is that, then what header or meta say, then Windows-1252.

    UTF-8 goes before the declared charset because bytes that are valid UTF-8 by chance hardly exist, and wrong labels do.
    """
    for mark, name in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode(_declared(body, content_type), "replace")


def _declared(body: bytes, content_type: str) -> str:
    for place in (content_type, body[:4096].decode("ascii", "replace")):
        match = _CHARSET.search(place)
        if match and _CHARSETS.fullmatch(match[1]):
            name = match[1].lower()
            # WHATWG: these labels mean Windows-1252 on the web.
            return "cp1252" if name in ("iso-8859-1", "us-ascii") else name
    return "cp1252"


def parse(text: str) -> LexborHTMLParser:
    """The tree of a document or fragment; block elements are kept apart by white space. Raises TooComplexError."""
    legal = _legal(text)
    measure(legal)
    return LexborHTMLParser(_BLOCK.sub(" <", legal))


def measure(text: str) -> None:
    """Raises TooComplexError where a parser would need too much time or memory."""
    if text.count("<") > 4 * MAX_TAGS:
        raise TooComplexError(f"holds more than {4 * MAX_TAGS:,} angle brackets")
    opened: Counter[str] = Counter()
    tags = depth = formatting = cost = 0
    for match in _TAG.finditer(text):
        name = (match["name"] or "").lower()
        tags += 1
        cost += depth + 20 * formatting
        if tags > MAX_TAGS or depth > MAX_DEPTH or cost > _MAX_COST:
            raise TooComplexError(f"is nested too deeply or holds more than {MAX_TAGS:,} tags")
        if len(match["attributes"] or "") > 2 * MAX_ATTRIBUTES:
            _measure_attributes(match["attributes"])
        if not name or name in _VOID or name in _SELF_CLOSING:
            continue
        step = 1 if not match["close"] else -1 if opened[name] else 0
        opened[name] += step
        depth += step
        formatting += step if name in _FORMATTING else 0


def _measure_attributes(attributes: str) -> None:
    for count, _match in enumerate(_ATTRIBUTE.finditer(attributes)):
        if count > MAX_ATTRIBUTES:
            raise TooComplexError(f"has a tag with more than {MAX_ATTRIBUTES} attributes")


def _legal(text: str) -> str:
    """The text without control and bidi characters. What is printable has none, which is quicker to see."""
    return text if text.isprintable() else _ILLEGAL.sub("", text)


def squeeze(text: str) -> str:
    """One line of plain text: no control or bidi characters, runs of white space as one space."""
    return " ".join(_legal(text).split())


def to_text(markup: str) -> str:
    """The readable text of foreign markup, on one line; empty where it is beyond the limits."""
    if "<" not in markup and "&" not in markup:
        return squeeze(markup)
    try:
        tree = parse(_CLOSED_FRAME.sub(r"\1></iframe>", markup[:_MAX_FRAGMENT]))
    except TooComplexError:
        return ""
    tree.strip_tags(["script", "style", "noscript", "template", "svg", "iframe"])
    return squeeze(tree.body.text() if tree.body else "")


def clean_html(markup: str, base_url: str) -> str:
    """Foreign markup made harmless: known tags only, absolute http(s) links, no scripts, styles, forms, ids or classes.

    What is nested deeper than mail templates bear (decided at 60; real articles stay under 20) comes back as plain text.
    Links stop where their addresses are together as long as markup may be: 40,000 short ones on a long address made 80 MB.
    """
    fragment = _CLOSED_FRAME.sub(r"\1></iframe>", _legal(markup)[:_MAX_FRAGMENT])
    fragment = _CLOSED_BREAK.sub(r"\1", fragment)
    try:
        measure(fragment)
    except TooComplexError:
        return ""
    token = _attributes.set(_SafeAttributes(base_url))
    try:
        cleaned = _FOREIGN.clean(fragment)
    finally:
        _attributes.reset(token)
    cleaned = _OWN.clean(cleaned)  # what lay around a tag that is gone may not lie in what lies there now: a heading in a heading
    cleaned = _USELESS_IMAGE.sub("", _legal(cleaned)).strip()
    return cleaned if _depth(cleaned) <= _MAX_CLEAN_DEPTH else f"<p>{html.escape(to_text(cleaned), quote=False)}</p>"


class _SafeAttributes:
    """What an attribute's value becomes in one fragment; None: it goes."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._left = _MAX_FRAGMENT

    def __call__(self, _tag: str, name: str, value: str) -> str | None:
        safe = self._safe(name, value)
        self._left -= len(safe)
        return safe if self._left >= 0 and (safe or name not in ("href", "src")) else None

    def _safe(self, name: str, value: str) -> str:
        if name == "href" and value.strip().lower().startswith("mailto:"):
            return value.strip()
        if name in ("href", "src"):
            return absolute_url(value, self._base_url)
        return squeeze(value)


_attributes: ContextVar[_SafeAttributes] = ContextVar("attributes of the fragment that is being cleaned")


def _cleaner(attribute_filter: Callable[[str, str, str], str | None] | None = None) -> nh3.Cleaner:
    """What leaves out tags and attributes that are not known, and writes the rest as a parser would.

    To make one takes four times as long as to clean a teaser.
    """
    return nh3.Cleaner(
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED),
        attributes={name: set(names) for name, names in _ATTRIBUTES.items()},
        attribute_filter=attribute_filter,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )


_FOREIGN = _cleaner(lambda tag, name, value: _attributes.get()(tag, name, value))
_OWN = _cleaner()


def _depth(cleaned: str) -> int:
    """How deep sanitised, hence balanced, markup is nested."""
    depth = deepest = 0
    for match in _CLEAN_TAG.finditer(cleaned):
        if match[2] not in _VOID:
            depth += -1 if match[1] else 1
            deepest = max(deepest, depth)
    return deepest


def absolute_url(url: str, base_url: str) -> str:
    """``shown.link`` of an address in a document; empty too where it has a user name in it or is longer than 2,000."""
    text = re.sub(r"[\t\r\n]", "", _legal(url)).strip()
    if not text or len(text) > _MAX_URL:
        return ""
    try:
        address = urljoin(base_url, text)
        named = "@" in urlsplit(address).netloc
    except ValueError:
        return ""
    return "" if named else link(address)
