"""What somebody typed into a form: ``application/x-www-form-urlencoded``, whatever its bytes are (pure)."""

from __future__ import annotations

from urllib.parse import parse_qsl

from pipeline.shown import one_line

_MOST_FIELDS = 200


class Form:
    """The fields of a form, in any number each. What is no form has no fields."""

    def __init__(self, body: bytes, *, most: int = _MOST_FIELDS) -> None:
        try:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=most)
        except ValueError:  # too many fields, or bytes that no browser sends
            pairs = []
        self._fields: dict[str, list[str]] = {}
        for name, value in pairs:
            self._fields.setdefault(name, []).append(one_line(value))

    def one(self, name: str) -> str:
        """The first value of a field as one line, "" where there is none."""
        return next(iter(self._fields.get(name, ())), "")

    def many(self, name: str) -> list[str]:
        """All values of a field that are not empty, each once."""
        return list(dict.fromkeys(value for value in self._fields.get(name, ()) if value))

    def has(self, name: str) -> bool:
        """Whether the field was sent at all."""
        return name in self._fields
