"""Posts of the WordPress REST API (wp/v2/posts), and the addresses at which a site offers them.

A post's ``guid.rendered`` is the guid of the site's RSS feed, so an item stays one item when the two ways alternate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from urllib.parse import urlsplit

from pipeline.collect.bounded_json import mapping, objects, plain_words, raw, sequence, whole, words
from pipeline.collect.foreign_text import plain, unescaped
from pipeline.collect.noted_dates import MOST_ITEMS, NotedDates
from pipeline.errors import ReadError
from pipeline.models import Image, ParsedItem, ParsedSource, ReadDate, SourceKind

_MAX_NAMES = 200
_PER_PAGE = 50
# _embed fills only what _fields leaves in, so _links and _embedded are named too.
_FIELDS = (
    "id,link,type,guid,date,date_gmt,modified,modified_gmt,title,excerpt,content,"
    "author,featured_media,categories,tags,_links,_embedded"
)
_EMBED = "author,wp:featuredmedia,wp:term"
_ROUTE = re.compile(r"/wp/v2/(categories|tags|users)/(\d{1,12})/?", re.ASCII)
_ROUTE_NAMES = {"categories": "categories", "tags": "tags", "users": "author"}


def rest_url(api_root: str, narrowed_to: str = "") -> str:
    """The address of a site's newest posts, given what its "https://api.w.org/" link names.

    ``narrowed_to`` is the address of a category, tag or author in the same API: then only its posts.
    """
    only = _ROUTE.search(narrowed_to)
    query = f"per_page={_PER_PAGE}&_fields={_FIELDS}&_embed={_EMBED}"
    query += f"&{_ROUTE_NAMES[only[1]]}={only[2]}" if only else ""
    # A site without pretty addresses answers at ?rest_route=/ .
    separator = "&" if "rest_route=" in urlsplit(api_root).query else "?"
    return f"{api_root.rstrip('/')}/wp/v2/posts{separator}{query}"


def is_posts(value: object) -> bool:
    """Whether a JSON value is a list of WordPress posts."""
    return isinstance(value, list) and bool(value) and all(_is_post(member) for member in value[:3])


def is_api_root(value: object) -> bool:
    """Whether a JSON value describes a WordPress REST API."""
    return "wp/v2" in sequence(mapping(value).get("namespaces"))


def read_wordpress(value: object, *, url: str, language: str, zone: str, now: datetime, limit: int = MOST_ITEMS) -> ParsedSource:
    """The first ``limit`` posts that the API answered with, newest first as it gives them.

    Raises ReadError for an answer that is no list of posts, with the API's own words where it gives some.
    """
    if value != [] and not is_posts(value):
        raise ReadError(url, _what_instead(value), fix=_fix(value, url))
    dates = NotedDates(language, zone, now)
    posts = [post for post in objects(value) if _is_post(post)]
    if left_out := len(sequence(value)) - len(posts):
        dates.note(f"{left_out} entries are no posts and were left out")
    dates.note_rest(len(posts), limit)
    rule = "posts of the WordPress REST API"
    return ParsedSource(
        kind=SourceKind.WORDPRESS,
        rule=rule if posts else f"{rule}: there are none",
        items=tuple(_item(post, dates) for post in posts[:limit]),
        skipped=tuple(dates.remarks),
    )


def _is_post(value: object) -> bool:
    """Posts of any type; a picture in the media library has a link and a title too, but is no news."""
    post = mapping(value)
    return (
        post.get("type") != "attachment"
        and isinstance(post.get("link"), str)
        and isinstance(mapping(post.get("title")).get("rendered"), str)
    )


def _what_instead(value: object) -> str:
    answer = mapping(value)
    if message := plain_words(answer.get("message")):
        return f'answers "{message[:120]}" where the posts of its WordPress REST API should be'
    return "is the root of a WordPress REST API, not its posts" if is_api_root(value) else "is no list of WordPress posts"


def _fix(value: object, url: str) -> str:
    if is_api_root(value):
        return f"Give the address of its posts: {rest_url(url)}"
    return 'Give the address of the site\'s news page with kind = "auto", or of its feed.'


def _item(post: Mapping[str, object], dates: NotedDates) -> ParsedItem:
    title = plain(_rendered(post, "title"))
    hidden = any(mapping(post.get(name)).get("protected") is True for name in ("content", "excerpt"))
    embedded = mapping(post.get("_embedded"))
    return ParsedItem(
        url=words(post.get("link")),
        title=title,
        # Escaped for HTML here, for XML in the feed: "&#038;" in an address is "&" there.
        guid=unescaped(words(mapping(post.get("guid")).get("rendered"))),
        summary_html="" if hidden else _rendered(post, "excerpt"),
        content_html="" if hidden else _rendered(post, "content"),
        published=_date(post, "date_gmt", "date", title, dates),
        updated=_date(post, "modified_gmt", "modified", title, dates),
        authors=tuple(dict.fromkeys(_named(islice(objects(embedded.get("author")), _MAX_NAMES))))[:20],
        categories=_categories(embedded),
        image=_image(embedded),
    )


def _rendered(post: Mapping[str, object], name: str) -> str:
    return raw(mapping(post.get(name)).get("rendered"))


def _date(post: Mapping[str, object], name: str, local: str, title: str, dates: NotedDates) -> ReadDate | None:
    """``date_gmt`` is UTC without saying so; ``date`` is the site's own time, taken for the source's."""
    exact = words(post.get(name))
    return dates.read(title, (f"{exact}Z" if exact and not exact.startswith("0000") else "", words(post.get(local))))


def _named(things: Iterator[Mapping[str, object]]) -> Iterator[str]:
    """What cannot be embedded is an object with ``code`` and ``message`` and without a name."""
    return (name for thing in things if (name := plain_words(thing.get("name"))))


def _categories(embedded: Mapping[str, object]) -> tuple[str, ...]:
    terms = [term for group in sequence(embedded.get("wp:term")) for term in objects(group)]
    told = [term for term in terms[:_MAX_NAMES] if term.get("taxonomy") != "post_format"]
    return tuple(dict.fromkeys(_named(iter(told))))[:50]


def _image(embedded: Mapping[str, object]) -> Image | None:
    for media in objects(embedded.get("wp:featuredmedia")):
        if (address := words(media.get("source_url"))) and words(media.get("media_type")) in ("", "image"):
            size = mapping(media.get("media_details"))
            return Image(address, plain_words(media.get("alt_text")), whole(size.get("width")), whole(size.get("height")))
    return None
