"""Images made by small generators: good ones of every kind, and hostile ones."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image


def photo(width: int = 640, height: int = 400, kind: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    """Something with many colours, the same for the same size."""
    shades = Image.linear_gradient("L").resize((width, height))
    other = shades.transpose(Image.Transpose.ROTATE_180)
    colours = Image.merge("RGB", (shades, other, Image.radial_gradient("L").resize((width, height))))
    return encoded(colours.convert(mode), kind, **options)


def drawing(width: int = 640, height: int = 400) -> bytes:
    """A PNG of two colours, the second in its upper left quarter."""
    made = Image.new("RGB", (width, height), "white")
    made.paste("navy", (0, 0, width // 2, height // 2))
    return encoded(made, "PNG")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The image as a file."""
    made = BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


def with_metadata() -> bytes:
    """A JPEG that lies on its side (EXIF orientation 6), and names a camera, a place and a person."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "SpyCam"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 5.0, 6.0), 3: "E", 4: (5.0, 7.0, 0.0)})
    return photo(800, 600, exif=exif.tobytes(), comment=b"taken by J. Jansen")


def bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """A PNG of a few kilobytes that says that it has so many pixels, and has the first of them."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(3 * 1_000_000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def animated(frames: int = 3) -> bytes:
    """A GIF whose first frame is a gradient, and whose others are black."""
    first = Image.linear_gradient("L").resize((320, 200))
    others = [Image.new("L", (320, 200), shade) for shade in range(frames - 1)]
    return encoded(first, "GIF", save_all=True, append_images=others, duration=100)
