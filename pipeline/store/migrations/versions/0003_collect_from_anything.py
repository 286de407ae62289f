"""How sources are found, polled and watched; merges and versions of items; the articles behind teasers."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def text(name: str, kind: sa.types.TypeEngine[Any] | None = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.Text(), nullable=False, server_default=sa.text("''"))


def moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, MOMENT, nullable=True)


def upgrade() -> None:
    columns = {
        "sources": [
            text("way_kind", sa.String(length=16)),
            text("way_url"),
            text("way_reason"),
            moment("way_at"),
            text("given_by"),
            text("moved_to"),
            moment("moved_at"),
            text("why"),
            moment("whole_at"),
            text("body_hash", sa.String(length=64)),
            sa.Column("repeats", sa.Integer(), nullable=False, server_default=sa.text("0")),
            sa.Column("hints", sa.JSON(), nullable=True),
        ],
        "items": [text("date_rule", sa.String(length=32)), text("date_confidence", sa.String(length=8)), text("date_doubt")],
    }
    for table, added in columns.items():
        for column in added:  # both databases add a column in place
            op.add_column(table, column)
    op.create_table(
        "polls",
        sa.Column("id", ID, nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("new", sa.Integer(), nullable=False),
        sa.Column("dated", sa.Integer(), nullable=False),
        sa.Column("titles", sa.Integer(), nullable=False),
        sa.Column("newest_at", MOMENT, nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_polls_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_polls")),
    )
    op.create_index("ix_polls_source", "polls", ["source_id", "id"])
    op.create_table(
        "merges",
        sa.Column("id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("candidate", sa.JSON(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("undone_at", MOMENT, nullable=True),
        sa.Column("other_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_merges_item_id")),
        sa.ForeignKeyConstraint(["other_id"], ["items.id"], name=op.f("fk_merges_other_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_merges_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merges")),
    )
    op.create_index(op.f("ix_merges_item_id"), "merges", ["item_id"])
    op.create_table(
        "item_versions",
        sa.Column("item_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("content_html", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_item_versions_item_id")),
        sa.PrimaryKeyConstraint("item_id", "number", name=op.f("pk_item_versions")),
    )
    op.create_table(
        "likenesses",
        sa.Column("band", sa.String(length=24), nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_likenesses_item_id")),
        sa.PrimaryKeyConstraint("band", "item_id", name=op.f("pk_likenesses")),
    )
    op.create_index("ix_likenesses_item", "likenesses", ["item_id"])
    op.create_table(
        "articles",
        sa.Column("item_id", ID, nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("fetched_at", MOMENT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_articles_item_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_articles_source_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_articles")),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_articles_waiting", "articles", ["source_id", "item_id"], sqlite_where=waiting, postgresql_where=waiting)
