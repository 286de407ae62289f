"""How a result comes back from a process that is not trusted: as JSON, checked field by field against ``pipeline.models``.

A pickle would let whoever took over a parser run code, or change an enum, in the process that holds the passwords. So the
child sends dataclasses as lists of their fields, and the parent builds them anew: a field of another type is refused.
"""

from __future__ import annotations

import base64
import functools
import json
import struct
import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from pipeline import models

HEAD = struct.Struct(">I")
"""The length of what follows a head, or the kind after it, in bytes."""
BEGUN, RESULT, REFUSED, FAULT = b"B", b"R", b"E", b"F"
"""Kinds of answers: work starts; packed result; a ReadError's url, reason, fix; another error's name."""
LAST = frozenset((RESULT.lower(), REFUSED.lower(), FAULT.lower()))
"""The same, from a process that ends now."""
NO_MEMORY = 77
"""The exit code of a process whose document needs more memory than it may have."""

_FROM_MODELS: dict[str, type] = {
    name: found
    for name, found in vars(models).items()
    if isinstance(found, type)
    and found.__module__.startswith(f"{models.__name__}.")
    and (is_dataclass(found) or issubclass(found, Enum))
}


def pack(value: object) -> bytes:
    """Any nesting of what ``pipeline.models`` is made of, as bytes. Raises TypeError for anything else."""
    return json.dumps(_named(value), separators=(",", ":")).encode("ascii")


def unpack(data: bytes) -> Any:
    """What was packed; raises ValueError for anything that ``pack`` does not write."""
    try:
        return _rebuilt(json.loads(data))
    except (TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a result: {type(error).__name__}") from None


def _named(value: object) -> object:
    """A value outside a dataclass says what it is: ``["tuple", …]``, ``["ParsedItem", field, …]``; plain ones are themselves."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    kind = type(value)
    if kind in (tuple, list, frozenset, set):
        return [kind.__name__, *map(_named, typing.cast("typing.Iterable[object]", value))]
    if isinstance(value, dict):
        return ["dict", *([_named(key), _named(inner)] for key, inner in value.items())]
    if kind in (bytes, datetime, timedelta) or _FROM_MODELS.get(kind.__name__) is kind:
        return [kind.__name__, _bare(value)]
    raise TypeError(f"{kind.__name__} cannot be handed back")


def _bare(value: Any) -> Any:
    """A value whose type its place tells."""
    kind = type(value)
    if value is None or kind in (str, int, float, bool):
        return value
    if kind in (tuple, list, frozenset, set):
        return [_bare(inner) for inner in value]
    if _FROM_MODELS.get(kind.__name__) is kind:
        return value.value if isinstance(value, Enum) else [_bare(getattr(value, name)) for name in _names(kind)]  # type: ignore[arg-type]
    if kind is dict:
        return [[_bare(key), _bare(inner)] for key, inner in value.items()]
    if kind is datetime:
        return value.isoformat()
    if kind is timedelta:
        return [value.days, value.seconds, value.microseconds]
    if kind is bytes:
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"{kind.__name__} cannot be handed back")


@functools.cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


_COLLECTIONS: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "list": list, "frozenset": frozenset, "set": set}
_SINGLE: dict[str, Any] = {"bytes": bytes, "datetime": datetime, "timedelta": timedelta, **_FROM_MODELS}


def _rebuilt(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    name, *inner = value
    if name in _COLLECTIONS:
        return _COLLECTIONS[name](map(_rebuilt, inner))
    if name == "dict":
        return {_rebuilt(key): _rebuilt(one) for key, one in inner}
    return _builder(_SINGLE[name])(*inner)


@functools.cache
def _builder(hint: Any) -> Callable[[Any], Any]:
    """What turns bare JSON into a value of that type, or raises ValueError or TypeError."""
    if hint in (str, int, bool, float, types.NoneType):
        return functools.partial(_exactly, hint)
    if hint in _SPECIAL:
        return _SPECIAL[hint]
    if isinstance(hint, type) and hint in _FROM_MODELS.values():
        return hint if issubclass(hint, Enum) else _dataclass_builder(hint)
    outer, inner = typing.get_origin(hint), typing.get_args(hint)
    if outer in (types.UnionType, typing.Union):
        return _optional_builder(inner)
    if outer is dict:
        key, one = map(_builder, inner)
        return lambda value: {key(left): one(right) for left, right in _list(value)}
    if outer in (tuple, list, frozenset, set):
        return _collection_builder(outer, inner)
    raise TypeError(f"{hint} cannot be handed back")


def _dataclass_builder(kind: type) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    builders = [_builder(hints[name]) for name in _names(kind)]

    def build(value: Any) -> Any:
        return kind(*[builder(one) for builder, one in zip(builders, _list(value), strict=True)])

    return build


def _optional_builder(choices: tuple[Any, ...]) -> Callable[[Any], Any]:
    [builder] = [_builder(choice) for choice in choices if choice is not types.NoneType]
    return lambda value: None if value is None else builder(value)


def _collection_builder(kind: Callable[[Any], Any], inner: tuple[Any, ...]) -> Callable[[Any], Any]:
    if kind is tuple and inner[-1] is not Ellipsis:
        builders = [_builder(hint) for hint in inner]
        return lambda value: tuple(builder(one) for builder, one in zip(builders, _list(value), strict=True))
    builder = _builder(inner[0])
    return lambda value: kind([builder(one) for one in _list(value)])


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError("another type")
    return value


def _list(value: Any) -> list[Any]:
    return typing.cast("list[Any]", _exactly(list, value))


def _moment(value: Any) -> datetime:
    return datetime.fromisoformat(_exactly(str, value))


def _span(value: Any) -> timedelta:
    days, seconds, microseconds = (_exactly(int, one) for one in _list(value))
    return timedelta(days, seconds, microseconds)


def _bytes(value: Any) -> bytes:
    return base64.b64decode(_exactly(str, value), validate=True)


_SPECIAL: dict[Any, Callable[[Any], Any]] = {datetime: _moment, timedelta: _span, bytes: _bytes}
