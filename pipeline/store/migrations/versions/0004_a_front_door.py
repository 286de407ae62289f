"""Sign-ups, published files beside a feed's own, and images of which a copy is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("feeds", sa.Column("identity", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("sources", sa.Column("title", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.create_table(
        "signups",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("mailbox", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("feeds", sa.JSON(), nullable=False),
        sa.Column("wish", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("network", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.CheckConstraint("status IN ('asked', 'told', 'silent', 'confirmed')", name=op.f("ck_signups_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signups")),
    )
    op.create_index(op.f("ix_signups_folded"), "signups", ["folded"])
    op.create_index(op.f("ix_signups_mailbox"), "signups", ["mailbox"])
    op.create_index(op.f("ix_signups_asked_at"), "signups", ["asked_at"])
    op.create_index("ix_signups_network", "signups", ["network", "asked_at"])
    asked = sa.text("status = 'asked'")
    op.create_index("ix_signups_asked", "signups", ["id"], sqlite_where=asked, postgresql_where=asked)
    kept = sa.text("address <> ''")
    op.create_index("ix_signups_kept", "signups", ["expires_at"], sqlite_where=kept, postgresql_where=kept)
    op.create_table(
        "outputs",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("input_hash", sa.String(length=64), nullable=False),
        sa.Column("written_hash", sa.String(length=64), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=True),
        sa.CheckConstraint("kind IN ('topic', 'category', 'source')", name=op.f("ck_outputs_kind")),
        sa.ForeignKeyConstraint(["feed"], ["feeds.slug"], name=op.f("fk_outputs_feed")),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_outputs")),
    )
    op.create_index(op.f("ix_outputs_feed"), "outputs", ["feed"])
    op.create_table(
        "images",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("source_id", ID, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("own_width", sa.Integer(), nullable=False),
        sa.Column("own_height", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("fetched_at", MOMENT, nullable=True),
        sa.Column("used_at", MOMENT, nullable=False),
        sa.Column("broken", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'kept', 'failed')", name=op.f("ck_images_state")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_images_source_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_images")),
    )
    op.create_index("ix_images_used", "images", ["used_at"])
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_images_waiting", "images", ["next_at", "key"], sqlite_where=waiting, postgresql_where=waiting)
    snoozed = sa.text("status = 'snoozed'")
    op.create_index("ix_subscriptions_snoozed", "subscriptions", ["snoozed_until"], sqlite_where=snoozed, postgresql_where=snoozed)
