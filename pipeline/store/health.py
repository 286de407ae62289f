"""Whether the database itself is sound."""

from __future__ import annotations

from pipeline.store.database import Store


def faults(store: Store) -> list[str]:
    """What is broken inside, in words; empty when it is sound. Reads the whole SQLite file. Raises StoreError."""
    if not store.is_sqlite:
        return []
    with store.read() as tx:
        found = [str(row[0]) for row in tx.exec_driver_sql("PRAGMA quick_check(5)") if row[0] != "ok"]
        dangling = tx.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    return found + ([f"{len(dangling)} rows without their parent"] if dangling else [])


def version(store: Store) -> str:
    """Which database answers, and its version. Raises StoreError."""
    with store.read() as tx:
        if store.is_sqlite:
            return f"SQLite {tx.exec_driver_sql('SELECT sqlite_version()').scalar()}"
        return f"PostgreSQL {tx.exec_driver_sql('SHOW server_version').scalar()}".split(" (")[0]
