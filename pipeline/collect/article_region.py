"""Where on a page its article stands, and what in there is not part of it: menus, share buttons, comments, "Lees ook"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.collect.markup import absolute_url, squeeze
from pipeline.models import Attachment, Image

FILE_TYPES = {
    "pdf": "application/pdf",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "rtf": "application/rtf",
    "csv": "text/csv",
    "zip": "application/zip",
    "epub": "application/epub+zip",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "webm": "video/webm",
}
_MAX_FILES = 20
_MAX_LINE = 250
_MAX_LINE_NODES = 60
_LARGE_PICTURE = 200
_NEVER = frozenset(
    ("script", "style", "noscript", "template", "svg", "iframe", "form", "button", "select", "nav", "footer", "aside", "dialog")
)
_KEPT = frozenset(("html", "body", "main", "article"))
_ROLES = frozenset(("navigation", "contentinfo", "complementary", "search", "dialog", "banner", "alertdialog"))
# Names are cut at 60 characters, so that the two free parts cannot cost more than a constant.
_AWAY_NAME = re.compile(
    r"(?:\w{1,20}[-_]{1,2}){0,2}(?:cookies?|consent|gdpr|share|sharing|sharedaddy|addtoany|addthis|social|socials|related|gerelateerd"
    r"|more[-_]news|meer[-_]nieuws|lees[-_]?ook|read[-_]?also|also[-_]read|comments?|reacties|respond|newsletter|nieuwsbrief"
    r"|byline|(?:post|entry|article)[-_]{1,2}meta|breadcrumbs?|sidebar|widget|pagination|pager|post[-_]navigation|skip[-_]link|tag[-_]?cloud|advertisement|recommended"
    r"|screen[-_]reader[-_]text|visually[-_]hidden|sr[-_]only)"
    r"(?:[-_]{1,2}(?:area|bar|block|box|buttons?|container|content|form|icons?|inner|items?|links?|list|media|news|notice|popup|posts?"
    r"|section|title|widget|wrap|wrapper)){0,2}",
    re.IGNORECASE,
)
_ASIDE_TEXT = re.compile(
    r"(?:lees ook|lees verder|zie ook|meer lezen|meer nieuws|meer over dit onderwerp|gerelateerde? (?:artikelen|berichten|nieuws)"
    r"|deel dit (?:artikel|bericht|nieuws)|delen|deel op|read also|see also|related (?:articles|posts|news|stories)|more news"
    r"|share this(?: article| post| story)?|lesen sie auch|mehr zum thema|das könnte sie auch interessieren|artikel teilen"
    r"|à lire aussi|lire aussi|sur le même sujet|partager(?: cet article)?)\s?[:.…]?",
    re.IGNORECASE,
)
_ASIDE_START = re.compile(
    r"(?:lees ook|zie ook|read also|see also|lesen sie auch|à lire aussi|lire aussi)\s?[:–-]?\s", re.IGNORECASE
)
_SHARE_HOST = re.compile(
    r"https?://(?:www\.)?(?:facebook\.com/sharer|twitter\.com/(?:intent|share)|x\.com/(?:intent|share)|linkedin\.com/(?:share|cws)"
    r"|(?:api\.|wa\.)?(?:whatsapp\.com/send|me/\?text)|bsky\.app/intent|t\.me/share)",
    re.IGNORECASE,
)
_SMALL_PICTURE = re.compile(r"(?:^|[/_-])(?:logo|icon|avatar|pixel|spacer|blank|emoji)", re.IGNORECASE)


def prune(tree: LexborHTMLParser, max_depth: int) -> bool:
    """Take out what stands beside an article; False, and nothing is done, where the rest is nested deeper than ``max_depth``.

    Only outermost nodes are removed, and after the walk, as removing one frees what is inside.
    """
    doomed: list[LexborNode] = []
    if not _walk(tree, doomed, max_depth):
        return False
    for node in doomed:
        node.decompose()
    return True


def region_of(tree: LexborHTMLParser) -> LexborNode | None:
    """The element that holds the article: its body if the page says so, the article with the page's heading, main, or all."""
    for selector in ("[itemprop=articleBody]", "main article", "article", "main", "[role=main]"):
        found = tree.css(selector)
        if len(found) == 1 and len(squeeze(found[0].text())) >= 40:
            return found[0]
    headed = [node for node in tree.css("article")[:50] if node.css_first("h1") is not None]
    return headed[0] if len(headed) == 1 else tree.css_first("main") or tree.body


def files_in(region: LexborNode, base: str) -> Iterator[Attachment]:
    """The documents and recordings that an article links to, titled by the link's words; their lengths are not known here."""
    seen: set[str] = set()
    for node in region.css("a[href],audio[src],video[src],source[src]"):
        address = absolute_url(node.attrs.get("href") or node.attrs.get("src") or "", base)
        name = unquote(urlsplit(address).path.rpartition("/")[2])
        media = FILE_TYPES.get(name.rpartition(".")[2].lower()) if "." in name else None
        if media and address not in seen and len(seen) < _MAX_FILES:
            seen.add(address)
            yield Attachment(address, media, 0, (squeeze(node.text()) or name)[:200])


def picture_in(region: LexborNode, base: str) -> Image | None:
    """The first picture of an article that is not known to be small and is not called a logo or an icon."""
    for node in region.css("img")[:50]:
        names = ("src", "data-src", "data-lazy-src", "data-original")
        address = next((found for name in names if (found := absolute_url(node.attrs.get(name) or "", base))), "")
        width, height = pixels(node.attrs.get("width")), pixels(node.attrs.get("height"))
        small = 0 < width < _LARGE_PICTURE or 0 < height < _LARGE_PICTURE / 2
        if address and not small and not _SMALL_PICTURE.search(urlsplit(address).path):
            return Image(address, squeeze(node.attrs.get("alt") or "")[:300], width, height)
    return None


def pixels(value: object) -> int:
    """A width or height as HTML writes it; 0 for anything else."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value) else 0


def _walk(tree: LexborHTMLParser, doomed: list[LexborNode], max_depth: int) -> bool:
    waiting = [(tree.root, 1)] if tree.root is not None else []
    leading: set[int] = set()
    while waiting:
        node, depth = waiting.pop()
        if depth > max_depth:
            return False
        children = [child for child in node.iter() if child.is_element_node]
        for place, child in enumerate(children):
            if _leads_aside(child):
                leading.add(child.mem_id)
                leading.update(after.mem_id for after in children[place + 1 : place + 2] if _is_links(after))
            if child.mem_id in leading or _is_away(child):
                doomed.append(child)
            else:
                waiting.append((child, depth + 1))
    return True


def _is_away(node: LexborNode) -> bool:
    if node.tag in _NEVER or (node.attrs.get("role") or "") in _ROLES:
        return node.tag != "form" or node.css_first("h1,article,main") is None
    if node.tag in _KEPT:
        return False
    if node.tag == "a" and _SHARE_HOST.match(node.attrs.get("href") or ""):
        return True
    names = [*(node.attrs.get("class") or "").split()[:40], node.attrs.get("id") or ""]
    return any(_AWAY_NAME.fullmatch(name[:60]) for name in names) and node.css_first("h1") is None


def _leads_aside(node: LexborNode) -> bool:
    """A heading or line that leads to other articles: "Lees ook:" alone, or with one link behind it."""
    text = _short_text(node) if node.tag in ("p", "h2", "h3", "h4", "h5", "h6", "div", "strong", "span", "ul") else ""
    if not text:
        return False
    return _ASIDE_TEXT.fullmatch(text) is not None or (_ASIDE_START.match(text) is not None and _link_share(node) > 0.5)


def _short_text(node: LexborNode) -> str:
    """The text of a node, empty where it is more than a line (250 characters, 60 nodes): then it is not read to its end."""
    parts: list[str] = []
    length = 0
    for place, inner in enumerate(node.traverse(include_text=True)):
        if inner.is_text_node:
            parts.append(inner.text_content or "")
            length += len(parts[-1].strip())
        if length > _MAX_LINE or place > _MAX_LINE_NODES:
            return ""
    return squeeze("".join(parts))


def _is_links(node: LexborNode) -> bool:
    return node.tag in ("ul", "ol", "p", "div") and _link_share(node) > 0.8


def _link_share(node: LexborNode) -> float:
    """How much of a text is links, from 0 to 1."""
    whole = len(squeeze(node.text()))
    return sum(len(squeeze(link.text())) for link in node.css("a[href]")[:100]) / whole if whole else 0.0
