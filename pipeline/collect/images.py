"""The picture of a block: lazy-loaded, in ``srcset``, ``<picture>`` or a style; placeholders and icons are passed over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborNode

from pipeline.collect.markup import absolute_url, squeeze
from pipeline.models import Image

WANTED_WIDTH = 1_200
LEAST_WIDTH = 600
_ICON = 48
_MAX_SET = 8_000
_LAZY = ("data-src", "data-lazy-src", "data-original", "data-lazy", "data-url")
_LAZY_SETS = ("data-srcset", "data-lazy-srcset", "srcset")
_MODERN = frozenset(("image/avif", "image/jxl", "image/heic"))
# HTML §4.8.4.2.2: an address, white space, a width or density; a comma at the end of an address ends the candidate.
_CANDIDATE = re.compile(r"[\s,]*+(?:(?P<bare>\S++)(?<=,)|(?P<url>\S++)(?:\s++(?P<size>[\d.]{1,10})(?P<unit>[wx])[^,]{0,40}+)?)")
_BACKGROUND = re.compile(r"background(?:-image)?\s{0,9}:[^;]{0,200}?url\(\s{0,9}[\"']?([^\"')\s]{1,2000})", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"(?:^|[/_.-])(?:placeholder|blank|spacer|pixel|transparent|lazy(?:load)?|loading|loader|empty|1x1)[^/]{0,40}$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Choice:
    """One file of a picture; ``width`` in pixels, 0 where unknown."""

    url: str
    width: int = 0


def picture_of(nodes: Iterable[LexborNode], base_url: str, *, chosen: bool = False) -> Image | None:
    """The first real picture in these elements, in a size for mail: nearest to 1,200 pixels wide, not under 600 if there is one.

    ``chosen``: the operator's selector named them, so small ones count, too.
    """
    for node in nodes:
        image = _of_img(node, base_url, chosen) if node.tag == "img" else _of_style(node, base_url)
        if image is not None:
            return image
    return None


def _of_img(node: LexborNode, base_url: str, chosen: bool) -> Image | None:
    width, height = _pixels(node, "width"), _pixels(node, "height")
    if 0 < max(width, height) <= (2 if chosen else _ICON):
        return None
    best = _best([choice for choice in _choices(node, base_url, width) if not _PLACEHOLDER.search(choice.url[-80:])])
    if best is None:
        return None
    scaled = round(height * best.width / width) if width and height and best.width else 0
    size = (best.width, scaled) if best.width and best.width != width else (width, height)
    return Image(best.url, squeeze(node.attrs.get("alt") or "")[:300], *size)


def _choices(node: LexborNode, base_url: str, width: int) -> list[_Choice]:
    """Files of the img itself; of the sources beside it only where it has no set of its own."""
    own = [choice for name in _LAZY_SETS for choice in _set(node.attrs.get(name) or "", base_url, width)]
    if not own and node.parent is not None and node.parent.tag == "picture":
        own = [choice for source in _sources(node.parent) for choice in _set(source, base_url, width)]
    plain = [absolute_url(node.attrs.get(name) or "", base_url) for name in _LAZY]
    plain = [url for url in plain if url] or [absolute_url(node.attrs.get("src") or "", base_url)]
    return [*own, *(_Choice(url, width) for url in plain if url)]


def _sources(picture: LexborNode) -> Iterator[str]:
    """The sets of one source: mail programs read JPEG, PNG and WebP, few read AVIF."""
    sources = [node for node in picture.css("source")[:10] if (node.attrs.get("type") or "").lower() not in _MODERN]
    sources.sort(key=lambda node: (node.attrs.get("type") or "") == "image/webp")
    for node in sources[:1]:
        yield node.attrs.get("data-srcset") or node.attrs.get("srcset") or ""


def _set(text: str, base_url: str, width: int) -> Iterator[_Choice]:
    for match in _CANDIDATE.finditer(text[:_MAX_SET]):
        url = absolute_url((match["bare"] or match["url"]).rstrip(","), base_url)
        if url:
            yield _Choice(url, _width(match["size"], match["unit"], width))


def _width(size: str | None, unit: str | None, width: int) -> int:
    try:
        number = float(size or "0")
    except ValueError:
        return 0
    return min(int(number if unit == "w" else number * width), 99_999)


def _best(choices: list[_Choice]) -> _Choice | None:
    """Where no width is known, the first: the author's own order."""
    enough = [choice for choice in choices if choice.width >= LEAST_WIDTH]
    if enough:
        return min(enough, key=lambda choice: abs(choice.width - WANTED_WIDTH))
    return max(choices, key=lambda choice: choice.width, default=None)


def _of_style(node: LexborNode, base_url: str) -> Image | None:
    match = _BACKGROUND.search((node.attrs.get("style") or "")[:4_000])
    address = match[1] if match else node.attrs.get("data-bg") or node.attrs.get("data-background-image") or ""
    url = absolute_url(address, base_url)
    return Image(url) if url and not _PLACEHOLDER.search(url[-80:]) else None


def _pixels(node: LexborNode, name: str) -> int:
    value = (node.attrs.get(name) or "").strip().removesuffix("px")
    return int(value) if re.fullmatch(r"[0-9]{1,5}", value) else 0
