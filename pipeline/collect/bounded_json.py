"""JSON from strangers: counted before it is built, and its odd values made harmless.

Measured with Python 3.11: 10 MB of ``[],[],`` become 220 MB of lists, an integer of a million digits is refused by default only
(``sys.set_int_max_str_digits``), and 100,000 nested lists end in a RecursionError. So containers and commas are counted in the
text, in linear time, integers that no identifier or size has stay text, and what nests too deeply is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pipeline.collect.foreign_text import plain
from pipeline.collect.markup import squeeze

_MAX_CONTAINERS = 60_000
_MAX_COMMAS = 400_000
_MAX_DIGITS = 30


class JsonRefusedError(ValueError):
    """Text that is no JSON, or JSON beyond the limits; ``str()`` says which."""


def load(text: str) -> object:
    """The value that a JSON text (RFC 8259) describes.

    Of equal names in one object the last counts; NaN and Infinity, which are no JSON, are None; control characters inside
    strings are forgiven. Raises JsonRefusedError.
    """
    if text.count("[") + text.count("{") > _MAX_CONTAINERS or text.count(",") > _MAX_COMMAS:
        raise JsonRefusedError(f"holds more than {_MAX_CONTAINERS:,} lists and objects or {_MAX_COMMAS:,} commas")
    try:
        return json.loads(text, parse_int=_integer, parse_constant=lambda _name: None, strict=False)
    except RecursionError:
        raise JsonRefusedError("is nested too deeply") from None
    except ValueError as error:
        raise JsonRefusedError(f"is broken: {str(error)[:120]}") from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def words(value: object) -> str:
    """A string on one line, anything else empty."""
    return squeeze(value) if isinstance(value, str) else ""


def plain_words(value: object) -> str:
    """A string on one line, without the markup and references that some write where plain text belongs."""
    return plain(value) if isinstance(value, str) else ""


def raw(value: object) -> str:
    """A string as it is, anything else empty."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int:
    """A number of bytes or pixels, 0 for what is none; "12" and 12.0 count."""
    if isinstance(value, str) and len(value) <= 12 and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 < value < 10**15 else 0


def identifier(value: object) -> str:
    """A string or a number as a string, written as JavaScript does: 7.0 is "7"."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else words(value)


def mapping(value: object) -> Mapping[str, object]:
    """An object, empty for anything else."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[object]:
    """A list; a single value is a list of one, nothing an empty list."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def objects(value: object) -> Iterator[Mapping[str, object]]:
    """The objects among the members of a list, or the one that stands where a list may."""
    return (member for member in sequence(value) if isinstance(member, dict))
