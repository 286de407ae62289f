"""Items as they are shown: with the true size of their image, with our copy of it, and without an image that is broken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pipeline.jobs.images import media_folder
from pipeline.jobs.site import Site
from pipeline.models import FeedItem, Image, Picture
from pipeline.store import Tx, images
from pipeline.store.images import ImageRecord

_COPY = re.compile(rb'src="[^"]{0,200}?/media/([0-9a-f]{2}/[0-9a-f]{40}\.(?:jpg|png))"')


def with_pictures(site: Site, tx: Tx, listed: Sequence[FeedItem], *, copies: bool) -> list[FeedItem]:
    """The same items. What is not looked at yet stays as its source says; ``copies``: those that are kept are shown."""
    found = images.lookup(tx, addresses(listed))
    folder = media_folder(site)
    return [_with_picture(one, one.item.image, found, folder, copies=copies) if one.item.image else one for one in listed]


def _with_picture(one: FeedItem, image: Image, found: dict[str, ImageRecord], folder: Path, *, copies: bool) -> FeedItem:
    known = found.get(image.url)
    if known is None:
        return one
    if known.broken:
        return replace(one, item=replace(one.item, image=None))
    if known.own_width and known.own_height:
        image = replace(image, width=known.own_width, height=known.own_height)
    picture = None
    if copies and known.file and (folder / known.file).is_file():
        picture = Picture(known.file, known.width, known.height, image.alt)
    return replace(one, item=replace(one.item, image=image), picture=picture)


def beside(site: Site, pages: Mapping[str, bytes]) -> dict[str, bytes]:
    """Pages that are looked at as files, by name, changed so that they show the copies, and these as files beside them."""
    found: dict[str, bytes] = {}
    for name, page in pages.items():
        for file in _COPY.findall(page):
            with suppress(OSError):
                found[f"media/{file.decode()}"] = (media_folder(site) / file.decode()).read_bytes()
        found[name] = _COPY.sub(rb'src="media/\1"', page)
    return found


def are_mailed(tx: Tx, listed: Iterable[FeedItem], now: datetime) -> None:
    """A mail shows the copies of these items from now on."""
    images.touch(tx, addresses(listed), now)


def addresses(listed: Iterable[FeedItem]) -> set[str]:
    """Those of their images."""
    return {one.item.image.url for one in listed if one.item.image}
