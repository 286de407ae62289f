"""A foreign image as a copy that is safe to show: looked at first, decoded small, and written anew (Pillow).

    bytes ─▶ of which kind, how large ─▶ first frame, upright ─▶ small, on white, sRGB ─▶ JPEG, or PNG where that is exact and small

Nothing of the file goes into the copy but its pixels: no place and camera (EXIF), no comment, no profile, no second frame. The
same bytes give the same copy. For a process that can be killed (``apart``): 16 megapixels with transparency need 140 MB there,
for Pillow keeps four bytes for each, and so does scaling.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageCms, UnidentifiedImageError

from pipeline.models import ImageCopy

MAX_WIDTH, MAX_HEIGHT = 1_200, 1_600
LEAST = 64
"""Pixels in either direction: what is smaller is an icon, or counts who reads."""
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
_MODES = frozenset(("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"))
_MOST_PIXELS = 16_000_000
_MOST_OF_JPEG = 40_000_000
"""Its decoder makes it smaller by 2, 4 or 8 on the way; but a progressive one it keeps whole, with six bytes for each."""
_MOST_OF_WEBP = 10_000_000
"""Its decoder keeps two more canvases."""
_A_BOMB = 100_000_000
_QUALITY = 82
_FEW_COLOURS = 256
_LARGEST_PNG = 150_000
_LARGEST_PROFILE = 1_000_000
_NEARLY_ONE = 2
_ORIENTATION = 0x0112  # EXIF 2.32 §4.6.4
_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = 5
# Kinds of images that others may show, but of which no copy is made: their magic bytes, and where those stand.
_OTHER_KINDS = (
    (4, b"ftyp", "AVIF or HEIC"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"\0\0\1\0", "ICO"),
)

Image.MAX_IMAGE_PIXELS = None  # our own limits stand above; its warning would be an error of nobody's


def copy_of(body: bytes, *, url: str) -> ImageCopy:  # noqa: ARG001  (who calls it apart names the address for errors)
    """The image and its copy, or why there is none. Raises MemoryError."""
    try:
        with Image.open(BytesIO(body), formats=_FORMATS) as image:
            return _looked_at(image)
    except UnidentifiedImageError:
        return _of_no_kind(body)
    except MemoryError:
        raise
    except Exception:  # decoders meet damage with errors of any class
        return ImageCopy(problem="is damaged: it cannot be shown whole", broken=True)


def _of_no_kind(body: bytes) -> ImageCopy:
    start = body[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<") and b"<svg" in body[:4000].lower():
        return ImageCopy(problem="is an SVG drawing, which can hold scripts: no copy is kept")
    if start.startswith((b"<!doctype html", b"<html")):
        return ImageCopy(problem="is a page, not an image", broken=True)
    for place, magic, name in _OTHER_KINDS:
        if body.startswith(magic, place):
            return ImageCopy(problem=f"is {name}, of which no copy is kept")
    return ImageCopy(problem="is not an image", broken=True)


def _looked_at(image: Image.Image) -> ImageCopy:
    """What the head of the file tells, before anything is decoded."""
    turn = _orientation(image)
    width, height = image.size if turn < _ON_ITS_SIDE else image.size[::-1]
    if min(width, height) < LEAST:
        return ImageCopy(width, height, problem=f"is only {width} × {height} pixels", broken=True)
    if width * height > _most_pixels(image):
        problem = f"has more pixels ({width} × {height}) than a copy is made of"
        return ImageCopy(width, height, problem=problem, broken=width * height > _A_BOMB)
    if image.mode not in _MODES:
        return ImageCopy(width, height, problem=f"has pixels of a rare kind ({image.mode})")
    shown = _shown(image, turn)
    bands = shown.getextrema() if len(shown.getbands()) > 1 else (shown.getextrema(),)
    if all(high - low <= _NEARLY_ONE for low, high in bands):  # type: ignore[misc,operator]
        return ImageCopy(width, height, problem="shows one colour and nothing else", broken=True)
    data, media_type = _written(shown, exact=shown.size == (width, height) and image.format != "JPEG")
    return ImageCopy(width, height, data, media_type, *shown.size)


def _most_pixels(image: Image.Image) -> int:
    if image.format == "JPEG" and not image.info.get("progressive"):
        return _MOST_OF_JPEG
    return _MOST_OF_WEBP if image.format == "WEBP" else _MOST_PIXELS


def _orientation(image: Image.Image) -> int:
    """How it is to be turned; odd metadata make no image worse. Of a PNG it stands behind all pixels, and is not asked for."""
    if image.format not in ("JPEG", "WEBP"):
        return 1
    try:
        turn = image.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:
        return 1
    return turn if isinstance(turn, int) and turn in _TURNED else 1


def _shown(image: Image.Image, turn: int) -> Image.Image:
    """The first frame as a browser would show it on white, no larger than a copy may be; L or RGB, and nothing but pixels."""
    profile = image.info.get("icc_profile")
    image.draft(None, (MAX_HEIGHT, MAX_HEIGHT))
    image.load()
    made: Image.Image = image
    if image.mode in ("1", "P"):  # what has no shades in between cannot be scaled
        made = image.convert("RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB")
    elif image.has_transparency_data and image.mode not in ("RGBA", "LA"):
        made = image.convert("RGBA")
    box = (MAX_WIDTH, MAX_HEIGHT) if turn < _ON_ITS_SIDE else (MAX_HEIGHT, MAX_WIDTH)
    made.thumbnail(box, Image.Resampling.LANCZOS)
    if turn in _TURNED:
        made = made.transpose(_TURNED[turn])
    made = _in_srgb(_on_white(made), profile)
    made.info.clear()
    return made


def _on_white(image: Image.Image) -> Image.Image:
    """Dark lines on nothing would vanish on a dark page."""
    if image.mode not in ("RGBA", "LA"):
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _in_srgb(image: Image.Image, profile: object) -> Image.Image:
    """The colours that its profile means (ICC.1); without one, or with an odd one, those that everybody takes them for."""
    if isinstance(profile, bytes) and 0 < len(profile) <= _LARGEST_PROFILE:
        try:
            own = ImageCms.ImageCmsProfile(BytesIO(profile))
            made = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            made = None
        if made is not None:
            return made
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _written(image: Image.Image, *, exact: bool) -> tuple[bytes, str]:
    """Drawings and screenshots keep their sharp edges where that is no larger; every mail program shows both kinds."""
    made = BytesIO()
    if exact and image.getcolors(_FEW_COLOURS) is not None:
        image.save(made, "PNG", optimize=True)
        if made.tell() <= _LARGEST_PNG:
            return made.getvalue(), "image/png"
    made = BytesIO()
    image.save(made, "JPEG", quality=_QUALITY, optimize=True, progressive=True)
    return made.getvalue(), "image/jpeg"
