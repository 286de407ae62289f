"""Rows in every table that a database has, whatever its revision: what nothing may be lost of."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, DateTime, Integer, LargeBinary, MetaData, Table, insert, inspect, text
from sqlalchemy.types import JSON, Boolean

ROWS = 3
_WORDS = re.compile(r"IN \(\s*'(\w+)'|ARRAY\[\s*'(\w+)'")
_JSON = ('{"b": [1, 2.5, "\\u00e9\\u0000"], "a": null}', "null", '["x",  "é"]')


def fill(tx: Connection) -> dict[str, int]:
    """Put ``ROWS`` rows of strange but lawful values into every table; returns how many rows each has then."""
    found = MetaData()
    found.reflect(tx)
    for one in found.sorted_tables:
        if one.name != "alembic_version":
            _fill_table(tx, one)
    return {one.name: ROWS for one in found.sorted_tables if one.name != "alembic_version"}


def _fill_table(tx: Connection, one: Table) -> None:
    words = {check["name"]: check["sqltext"] for check in inspect(tx).get_check_constraints(one.name)}
    for number in range(ROWS):
        values, raw = {}, {}
        for column in one.columns:
            if column.nullable and number == 1:
                continue
            if isinstance(column.type, JSON):
                raw[column.name] = _JSON[number]
            else:
                values[column.name] = _value(one, column, number, words.get(f"ck_{one.name}_{column.name}", ""))
        _insert(tx, one, values, raw)


def _insert(tx: Connection, one: Table, values: dict[str, Any], raw: dict[str, str]) -> None:
    """JSON as a text of its own, so that other spellings of one value are among them."""
    literal = {name: text("'" + value.replace("'", "''").replace(":", r"\:") + "'") for name, value in raw.items()}
    tx.execute(insert(one).values({**values, **literal}))


def _value(one: Table, column: Any, number: int, check: str) -> Any:
    for key in column.foreign_keys:
        return _value(key.column.table, key.column, number, "")
    if check and (found := _WORDS.search(check)):
        return found[1] or found[2]
    if isinstance(column.type, Boolean):
        return number % 2 == 0
    if isinstance(column.type, DateTime):
        moment = datetime(2026, 10, 25, 0, 59, 59, 999_999 * (number % 2), tzinfo=UTC) + timedelta(hours=number)
        return moment if getattr(column.type, "timezone", False) else moment.replace(tzinfo=None)
    if isinstance(column.type, LargeBinary):
        return bytes(range(256)) * (number + 1) + b"\xff\r\n"
    if isinstance(column.type, Integer):
        wide = column.name == "id" and one.name in ("subscribers", "subscriptions", "editions", "variants")
        return 2**62 - number if wide else _wide_parent(one, column, number)
    width = getattr(column.type, "length", None) or 1000
    return f"{number}{column.name} “ë” 'x'\\ %s 🎈"[:width]


def _wide_parent(one: Table, column: Any, number: int) -> int:
    return 1 + number * 7
