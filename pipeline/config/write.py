"""Settings as they stand in a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pipeline.config.sections import SourceSettings

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def quoted(text: str) -> str:
    """A basic string (TOML 1.0.0, "String"): whatever the text, reading it gives the text back. No lone surrogates."""
    escaped = (char if _plain(char) else f"\\U{ord(char):08x}" for char in text)
    return '"' + "".join(escaped) + '"'


def _plain(char: str) -> bool:
    return char.isprintable() and char not in '"\\'


def value_text(value: Any) -> str:
    """A value of the settings as TOML: texts, numbers, true and false, durations, and lists of them.

    A text with backslashes, as regular expressions have, is written as it is, between single quotes.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, timedelta):
        return quoted(duration_text(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    text = str(value)
    literal = ("\\" in text or '"' in text) and "'" not in text and text.isprintable()
    return f"'{text}'" if literal else quoted(text)


def duration_text(value: timedelta) -> str:
    """A duration in the largest unit that it is a whole number of, as "30d"."""
    seconds = int(value.total_seconds())
    size, unit = next(pair for pair in _UNITS if seconds % pair[0] == 0)
    return f"{seconds // size}{unit}"


def source_lines(source: SourceSettings, remark: str = "") -> list[str]:
    """A ``[[source]]`` as a person would write it: what differs from the defaults. ``remark`` is one line behind its address."""
    said = source.model_dump(exclude_defaults=True, exclude={"url"})
    lines = ["[[source]]", f"url = {quoted(source.url)}{f'  # {remark}' if remark else ''}"]
    lines += _assignments({key: value for key, value in said.items() if key not in ("page", "include", "exclude", "topic")})
    if page := said.get("page"):
        lines += ["[source.page]", *_assignments(page)]
    for name in ("include", "exclude", "topic"):
        for table in said.get(name, ()):
            lines += [f"[[source.{name}]]", *_assignments(table)]
    return lines


def _assignments(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {value_text(value)}" for key, value in values.items()]
