"""Copies of foreign images: whatever the bytes are, there is a copy that is safe to show, or a reason."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pipeline.collect.apart import ReaderProcesses
from pipeline.collect.picture import copy_of
from pipeline.errors import ReadError
from pipeline.models import ImageCopy
from tests import pictures

SEEDS = tuple(
    pictures.photo(80, 70, kind, mode)
    for kind, mode in (("JPEG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("GIF", "P"), ("WEBP", "RGB"))
)


def copied(body: bytes) -> ImageCopy:
    return copy_of(body, url="https://www.example.org/a.jpg")


def pixels(copy: ImageCopy) -> Image.Image:
    return Image.open(BytesIO(copy.data)).convert("RGB")


@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=6)), max_size=4), st.data()
)
def test_any_bytes_give_a_copy_or_a_reason(seed: bytes, changes: list[tuple[int, bytes]], data: st.DataObject) -> None:
    body = bytearray(seed)
    for place, put in changes:
        place %= len(body)
        body[place : place + len(put)] = put
    got = copied(bytes(body[: data.draw(st.integers(0, len(body)))] if data.draw(st.booleans()) else body))
    assert bool(got.data) is not bool(got.problem)
    if got.data:
        assert Image.open(BytesIO(got.data)).size == (got.width, got.height)
        assert got.width <= 1200
        assert got.height <= 1600


@given(st.binary(max_size=2_000))
def test_noise_is_no_image(body: bytes) -> None:
    assert copied(body).problem


def test_the_same_bytes_give_the_same_copy() -> None:
    assert copied(SEEDS[0]) == copied(SEEDS[0])


@pytest.mark.parametrize("turn", range(1, 9))
def test_an_image_stands_upright_as_a_browser_shows_it(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    flat = Image.new("RGB", (200, 100), "white")
    flat.paste("red", (0, 0, 40, 40))
    copy = copied(pictures.encoded(flat, "JPEG", exif=exif.tobytes(), quality=95))
    size, corner = {
        1: ((200, 100), (20, 20)),
        2: ((200, 100), (180, 20)),
        3: ((200, 100), (180, 80)),
        4: ((200, 100), (20, 80)),
        5: ((100, 200), (20, 20)),
        6: ((100, 200), (80, 20)),
        7: ((100, 200), (80, 180)),
        8: ((100, 200), (20, 180)),
    }[turn]
    assert (copy.own_width, copy.own_height) == (copy.width, copy.height) == size
    red, green, _ = pixels(copy).getpixel(corner)  # type: ignore[misc]
    assert red > 200
    assert green < 60


def test_what_is_seen_through_becomes_white_also_in_the_dark() -> None:
    glass = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    glass.paste((0, 0, 0, 255), (0, 0, 50, 50))
    shown = pixels(copied(pictures.encoded(glass, "PNG")))
    assert (shown.getpixel((10, 10)), shown.getpixel((90, 90))) == ((0, 0, 0), (255, 255, 255))


def test_a_drawing_keeps_its_edges_and_a_photo_is_a_jpeg() -> None:
    assert copied(pictures.drawing()).media_type == "image/png"
    assert copied(pictures.photo()).media_type == "image/jpeg"
    assert copied(pictures.drawing(2_400, 1_000)).media_type == "image/jpeg"


def test_an_odd_profile_makes_no_image_worse() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for one in (profile, profile[:60], b"nonsense"):
        copy = copied(pictures.photo(icc_profile=one))
        assert copy.data
        assert b"ICC_PROFILE" not in copy.data


def test_a_bomb_is_known_by_its_head_and_a_large_photo_is_made_small_where_memory_is_little() -> None:
    with ReaderProcesses(1, seconds=20, megabytes=48) as readers:
        for body in (pictures.bomb(), pictures.bomb(6_000, 3_000)):
            got = readers.call("pipeline.collect.picture:copy_of", body, url="https://www.example.org/a.png", megabytes=60)
            assert "more pixels" in got.problem
        large = pictures.photo(5_000, 4_000, quality=30)
        got = readers.call("pipeline.collect.picture:copy_of", large, url="https://www.example.org/a.jpg", megabytes=60)
        assert (got.own_width, got.width) == (5_000, 1_200)
        with pytest.raises(ReadError, match="more memory than 50 MB"):
            readers.call("tests.stubborn:allocate", 70, about="https://www.example.org/a.jpg", megabytes=50)
        assert readers.call("tests.stubborn:allocate", 70, megabytes=120) == 70
