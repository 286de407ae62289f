"""INSERT … ON CONFLICT DO NOTHING, which both dialects spell alike but SQLAlchemy builds apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from pipeline.store.database import Tx
from pipeline.store.schema import Base


def ignore(tx: Tx, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows that are not there yet; one that conflicts with any unique key is left as it is."""
    insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    if rows:
        tx.execute(insert(table).on_conflict_do_nothing(), list(rows))


def replace(tx: Tx, table: type[Base], row: dict[str, Any], *, key: Sequence[str]) -> None:
    """Insert the row, or bring the one with the same key up to date with its other columns."""
    insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    others = {name: value for name, value in row.items() if name not in key}
    tx.execute(insert(table).values(row).on_conflict_do_update(index_elements=list(key), set_=others))
