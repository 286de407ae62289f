"""Notices with their bytes, alerts, trust in a relay and in the site's address, intros, and what a restore remembers."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def text(name: str, kind: sa.types.TypeEngine[Any] | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.Text(), nullable=False, server_default=sa.text("''"))


def moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, MOMENT, nullable=True)


def upgrade() -> None:
    op.create_table(
        "recoveries",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("mended_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_recoveries")),
    )
    op.create_table(
        "restored_numbers",
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["feed"], ["feeds.slug"], name=op.f("fk_restored_numbers_feed")),
        sa.PrimaryKeyConstraint("feed", "seq", name=op.f("pk_restored_numbers")),
        sa.UniqueConstraint("feed", "identity", name=op.f("uq_restored_numbers_feed_identity")),
    )
    columns = {
        "site": [text("answered_url"), moment("answered_at")],
        "feeds": [text("intro_hash", sa.String(length=64))],
        "sources": [sa.Column("hold_next", sa.Boolean(), nullable=False, server_default=sa.false())],
        "problems": [moment("mailed_at")],
        "relays": [moment("tested_at")],
        "notices": [
            moment("lease_until"),
            text("sender"),
            text("message", sa.LargeBinary()),
            text("relay", sa.String(length=64)),
            text("reply"),
            moment("created_at"),
            moment("deadline_at"),
            moment("changed_at"),
        ],
    }
    for table, added in columns.items():
        for column in added:  # both databases add a column in place
            op.add_column(table, column)
    if op.get_bind().dialect.name == "sqlite":  # where the default of the rows that were there is text, not bytes
        op.execute("UPDATE notices SET message = CAST(message AS BLOB)")
