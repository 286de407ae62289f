"""Other ways to read the news of a page: the feeds and the API that it names, and where such things usually are.

A feed is worth more than a page's markup only if it tells the same news. A site's front feed linked from a section's page does
not, nor does the feed of its comments, whose links lead to the very articles. So comments are never offered, feeds below the
page's own folder come first, and ``speaks_of`` says how much of a feed the page shows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from urllib.parse import unquote, urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.collect.markup import TooComplexError, absolute_url, parse, squeeze
from pipeline.collect.normalise import url_key
from pipeline.collect.read_wordpress import rest_url
from pipeline.models import Offer, ParsedItem, ParsedSource, SourceKind

SPEAKS = 0.9
"""From this share on (see ``speaks_of``) a feed is taken for the page's own."""

_API = "https://api.w.org/"
_FEED_TYPES = frozenset(
    (
        *(f"application/{name}" for name in ("rss+xml", "atom+xml", "rdf+xml", "feed+json", "json", "xml")),
        "text/xml",
    )
)
_FEED_NAME = re.compile(r"(?:[\w-]{1,40}\.)?(?:rss|atom|rdf)|(?:feed|rss|atom|index\.rss)(?:\.xml|\.json)?|feeds?", re.IGNORECASE)
_OF_COMMENTS = re.compile(r"\b(?:comments?|reacties?|kommentare?|commentaires?|replies)\b", re.IGNORECASE)
_NO_FEED = re.compile(r"/wp-json/|[?&]rest_route=|oembed", re.IGNORECASE)
_LINK_VALUE = re.compile(
    r"<([^<>]{1,2000})>((?:[ \t]{0,5};[ \t]{0,5}[\w*!#$&+.^`|~-]{1,40}"
    r"(?:[ \t]{0,5}=[ \t]{0,5}(?:\"[^\"]{0,500}+\"|[^\s;,\"]{0,500}+))?+)*+)"
)
_PARAMETER = re.compile(r";[ \t]{0,5}([\w*-]{1,40})[ \t]{0,5}=[ \t]{0,5}(?:\"([^\"]{0,500}+)\"|([^\s;,\"]{1,500}+))")
_SITEMAP_LINE = re.compile(r"^[ \t]{0,20}sitemap[ \t]{0,20}:[ \t]{0,20}(\S{1,2000})", re.IGNORECASE | re.MULTILINE)
_MAX_LINKS = 5_000
_MAX_OFFERS = 10
_MAX_SITEMAPS = 20
_MAX_ROBOTS = 500_000
_NEWEST = 10
_ENOUGH = 5


def offers(page: LexborHTMLParser | str, headers: Mapping[str, str], url: str) -> tuple[Offer, ...]:
    """The feeds that a page names, best first, then its site's WordPress API.

    ``page``: its tree or its text; ``headers`` the answer's, names in lower case, several Link values joined with commas;
    ``url`` its final address. Feeds of comments and oEmbed are left out. Never raises.
    """
    tree = _tree(page)
    if tree is None:
        return ()
    links = [*_header_links(headers.get("link", "")), *_elements(tree)]
    base = base_of(tree, url)
    feeds = list(_feeds(links, base, url))
    feeds.sort(key=lambda offer: not _below(offer.url, url))
    api = _wordpress(links, base)
    return (*feeds[: _MAX_OFFERS - len(api)], *api)


def page_links(tree: LexborHTMLParser, url: str) -> frozenset[str]:
    """The absolute addresses of a page's first 5,000 links."""
    base = base_of(tree, url)
    texts = dict.fromkeys(node.attributes.get("href") or "" for node in tree.css("a[href]")[:_MAX_LINKS])
    return frozenset(address for text in texts if (address := absolute_url(text, base)))


def base_of(tree: LexborHTMLParser, url: str) -> str:
    """The address from which relative ones count: ``<base href>``, else the page's own."""
    base = tree.css_first("base[href]")
    return absolute_url((base.attributes.get("href") or "") if base is not None else "", url) or url


def well_known(url: str) -> tuple[str, ...]:
    """Four addresses at which a page's feed may be though nothing names it, those below its own folder first."""
    parts = urlsplit(url)
    site = f"{parts.scheme}://{parts.netloc}/"
    folder = urljoin(site, _folder(parts.path))
    names = ("feed/", "rss.xml") if folder != site else ("feed/", "rss.xml", "feed.xml", "atom.xml")
    return tuple(dict.fromkeys(f"{place}{name}" for place in (folder, site) for name in names))[:4]


def sitemaps_of(robots_txt: str) -> tuple[str, ...]:
    """The sitemaps that a robots.txt names, those with news in their name first."""
    named = (absolute_url(match[1], "") for match in _SITEMAP_LINE.finditer(robots_txt[:_MAX_ROBOTS]))
    found = list(dict.fromkeys(address for address in named if address))
    return tuple(sorted(found, key=lambda address: "news" not in address.lower()))[:_MAX_SITEMAPS]


def speaks_of(feed: ParsedSource, links: Collection[str], listed: Sequence[str] = (), *, base_url: str = "") -> float:
    """How sure it is, from 0 to 1, that a feed tells a page's news.

    ``links``: all addresses of the page, ``listed``: those of its own list of news, newest first, where one was found.
    Without ``listed`` it is the share of the feed's ten newest items that the page links to. With it, where a link in a
    sidebar does not count: either may be longer than the other, but nearly all of the shorter one must be in the longer one,
    and nearly all that the feed tells down to the oldest common item must be listed; it is the smaller of these two shares.
    Of a page that lists less than five items of a longer feed it is not sure: those may be a section's by chance.
    """
    told = [key for item in _newest(feed.items) if (key := url_key(absolute_url(item.url, base_url or item.url)))]
    shown = {url_key(address) for address in listed}
    if not shown:
        linked = {url_key(address) for address in links}
        return sum(key in linked for key in told[:_NEWEST]) / max(1, len(told[:_NEWEST]))
    return _agreement(list(dict.fromkeys(told)), shown)


def _agreement(told: Sequence[str], shown: Collection[str]) -> float:
    places = [place for place, key in enumerate(told, 1) if key in shown]
    if not places:
        return 0.0
    if len(places) < min(_ENOUGH, len(told)):
        return len(places) / len(told)
    return min(len(places) / places[-1], len(places) / min(len(told), len(shown)))


def _newest(items: Sequence[ParsedItem]) -> Sequence[ParsedItem]:
    """By date where all have one, else as the feed gives them."""
    dates = [item.published.at for item in items if item.published is not None]
    if len(dates) < len(items):
        return items
    return [
        item for _date, _place, item in sorted(zip(dates, range(0, -len(items), -1), items, strict=True), key=_age, reverse=True)
    ]


def _age(entry: tuple[object, int, ParsedItem]) -> tuple[object, int]:
    return entry[0], entry[1]


class _Link:
    """A link with its relation and media type, from a header or an element; ``named`` is what a person would read."""

    __slots__ = ("address", "how", "media", "named", "relations")

    def __init__(self, address: str, relation: str, media: str, named: str, how: str) -> None:
        self.address = squeeze(address)
        self.relations = frozenset(relation.lower().split()[:10])
        self.media = media.partition(";")[0].strip().lower()
        self.named = squeeze(named)[:200]
        self.how = how


def _tree(page: LexborHTMLParser | str) -> LexborHTMLParser | None:
    if not isinstance(page, str):
        return page
    try:
        return parse(page)
    except TooComplexError:
        return None


def _header_links(value: str) -> Iterator[_Link]:
    """Links in HTTP headers (RFC 8288)."""
    for match in _LINK_VALUE.finditer(value[:20_000]):
        told = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(match[2])}
        yield _Link(match[1], told.get("rel", ""), told.get("type", ""), told.get("title", ""), "a Link header names it")


def _elements(tree: LexborHTMLParser) -> Iterator[_Link]:
    for node in tree.css("link[href]")[:500]:
        yield _element(node, node.attributes.get("title") or "", "the page names it (rel=alternate)")
    for node in tree.css("a[href]")[:_MAX_LINKS]:
        if node.attributes.get("type") or _FEED_NAME.fullmatch(_last(node.attributes.get("href") or "")):
            yield _element(node, node.text()[:500], "the page links to it")


def _element(node: LexborNode, named: str, how: str) -> _Link:
    told = node.attributes
    return _Link(told.get("href") or "", told.get("rel") or "", told.get("type") or "", named, how)


def _last(address: str) -> str:
    return address.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]


def _feeds(links: Sequence[_Link], base: str, url: str) -> Iterator[Offer]:
    seen = {url_key(url)}
    for link in links:
        address = absolute_url(re.sub(r"^feed:(?://)?(?=https?:)", "", link.address), base)
        if not address or not _is_feed(link, address) or _is_of_comments(link, address):
            continue
        if (key := url_key(address)) not in seen:
            seen.add(key)
            yield Offer(SourceKind.FEED, address, link.how)


def _is_feed(link: _Link, address: str) -> bool:
    if _NO_FEED.search(address) or "oembed" in link.media:
        return False
    named = _FEED_NAME.fullmatch(_last(address)) is not None
    if link.media == "application/json" and not named:
        return False
    typed = link.media in _FEED_TYPES
    if link.how == "the page links to it":
        return named or typed
    return typed and not link.relations.isdisjoint(("alternate", "feed"))


def _is_of_comments(link: _Link, address: str) -> bool:
    return _OF_COMMENTS.search(link.named) is not None or _OF_COMMENTS.search(unquote(urlsplit(address).path)) is not None


def _wordpress(links: Sequence[_Link], base: str) -> tuple[Offer, ...]:
    """The API of the page's site; on the page of a category, tag or author, its posts only."""
    root = next((absolute_url(link.address, base) for link in links if _API in link.relations), "")
    if not root:
        return ()
    own = (link.address for link in links if "alternate" in link.relations and link.media == "application/json")
    return (Offer(SourceKind.WORDPRESS, rest_url(root, next(own, "")), "the page names its WordPress REST API"),)


def _below(address: str, url: str) -> bool:
    """Whether a feed lies below the page's own folder; every address of the site lies below its front page."""
    feed, page = urlsplit(address), urlsplit(url)
    return feed.netloc == page.netloc and feed.path.startswith(_folder(page.path))


def _folder(path: str) -> str:
    start, _slash, last = path.rpartition("/")
    return f"{start}/" if "." in last or not last else f"{path}/"
