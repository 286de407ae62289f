"""What is published and remembered so that it stays the same: a feed's own files, and those of its parts (promise 5).

A feed's own are remembered in its row, which is there anyway; each part has a row in ``outputs``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update

from pipeline.models import PartKind
from pipeline.store import upsert
from pipeline.store.database import Tx
from pipeline.store.schema import FeedRow, OutputRow

_STATE = ("input_hash", "written_hash", "changed_at")


@dataclass(frozen=True, slots=True)
class OutputState:
    """What the store knows of published files. ``path``: below ``var/public``, without extension.

    ``kind`` None: the feed itself. ``word`` and ``title`` as in ``OutputRow``.
    """

    path: str
    kind: PartKind | None = None
    word: str = ""
    title: str = ""
    input_hash: str = ""
    written_hash: str = ""
    changed_at: datetime | None = None


def own_path(slug: str) -> str:
    """Where the files of a feed itself lie."""
    return f"feeds/{slug}"


def of_feed(tx: Tx, slug: str) -> dict[str, OutputState]:
    """All that the feed has published, by path; its own first."""
    own = tx.execute(select(*(getattr(FeedRow, name) for name in _STATE)).where(FeedRow.slug == slug)).one()
    path = own_path(slug)
    return {path: OutputState(path, **own._mapping)} | {one.path: one for one in parts(tx, slug)}


def identity(tx: Tx, slug: str) -> str:
    """What feed readers know the feed by, "" before it is published first."""
    return str(tx.execute(select(FeedRow.identity).where(FeedRow.slug == slug)).scalar_one())


def set_identity(tx: Tx, slug: str, given: str) -> None:
    """Give it for ever: a feed that has one keeps that."""
    tx.execute(update(FeedRow).where(FeedRow.slug == slug, FeedRow.identity == "").values(identity=given))


def parts(tx: Tx, slug: str) -> list[OutputState]:
    """Those of the feed's parts, by kind and title."""
    columns = [getattr(OutputRow, name) for name in OutputState.__dataclass_fields__]
    query = select(*columns).where(OutputRow.feed == slug).order_by(OutputRow.kind, OutputRow.title, OutputRow.path)
    return [OutputState(**{**row._mapping, "kind": PartKind(row.kind)}) for row in tx.execute(query)]


def set_input(tx: Tx, slug: str, changed: Collection[OutputState]) -> None:
    """Commit what is going to be published before a file is written (promise 5)."""
    upsert.ignore(
        tx,
        OutputRow,
        [{"path": one.path, "feed": slug, "kind": one.kind, "word": one.word, "title": one.title} for one in changed if one.kind],
    )
    for one in changed:
        values: dict[str, Any] = {"input_hash": one.input_hash, "changed_at": one.changed_at}
        if one.kind:
            values |= {"feed": slug, "kind": one.kind, "word": one.word, "title": one.title}
        _update(tx, slug, one, values)


def set_written(tx: Tx, slug: str, written: Collection[OutputState]) -> None:
    """Remember which files are on disk now."""
    for one in written:
        _update(tx, slug, one, {"written_hash": one.written_hash})


def _update(tx: Tx, slug: str, one: OutputState, values: dict[str, Any]) -> None:
    table, which = _row(slug, one)
    tx.execute(update(table).where(which).values(values))


def _row(slug: str, one: OutputState) -> tuple[type[FeedRow] | type[OutputRow], ColumnElement[bool]]:
    return (FeedRow, FeedRow.slug == slug) if one.kind is None else (OutputRow, OutputRow.path == one.path)


def forget(tx: Tx, paths: Collection[str]) -> None:
    """Their files are gone."""
    tx.execute(delete(OutputRow).where(OutputRow.path.in_(sorted(paths))))
