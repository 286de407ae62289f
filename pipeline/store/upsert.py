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
