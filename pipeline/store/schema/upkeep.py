"""What ran, and what needs a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.store.schema.columns import Base, Id


class RunRow(Base):
    """One tick or one job by hand: when, and what it did."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    process: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    detail: Mapped[dict[str, Any]]
    __table_args__ = (Index("ix_runs_kind", "kind", "id"),)


class ProblemRow(Base):
    """Something that needs a person, until it is mended.

    ``reported_at``: said once already, so cron stays quiet; ``mailed_at``: an alert mail told of it.
    """

    __tablename__ = "problems"
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    what: Mapped[str] = mapped_column(Text)
    fix: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]
    reported_at: Mapped[datetime | None]
    mailed_at: Mapped[datetime | None]


class RecoveryRow(Base):
    """A problem that an alert mail told of and that is over; the next alert mail says so."""

    __tablename__ = "recoveries"
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    what: Mapped[str] = mapped_column(Text)
    mended_at: Mapped[datetime]
