"""What came back: bounces, complaints and unsubscribes by mail."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KINDS = "'bounce', 'delay', 'delivered', 'complaint', 'report', 'unsubscribe', 'auto-reply', 'unknown'"
DONE = "'nothing', 'unmatched', 'noted', 'bounced', 'suppressed', 'complained', 'unsubscribed'"


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("weight", sa.String(length=8), nullable=False),
        sa.Column("done", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False, server_default=sa.text("''")),
        sa.Column("reason", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("subscription_id", ID, nullable=True),
        sa.Column("edition_id", ID, nullable=True),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_feedback_kind")),
        sa.CheckConstraint("weight IN ('none', 'hard', 'soft', 'policy', 'ours')", name=op.f("ck_feedback_weight")),
        sa.CheckConstraint(f"done IN ({DONE})", name=op.f("ck_feedback_done")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name=op.f("fk_feedback_subscription_id")),
        sa.ForeignKeyConstraint(["edition_id"], ["editions.id"], name=op.f("fk_feedback_edition_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.UniqueConstraint("key", name=op.f("uq_feedback_key")),
    )
    op.create_index(op.f("ix_feedback_at"), "feedback", ["at"])
    op.create_index("ix_feedback_subscription", "feedback", ["subscription_id", "at"])
    op.create_table(
        "feedback_folders",
        sa.Column("place", sa.String(length=64), nullable=False),
        sa.Column("validity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_feedback_folders")),
    )
