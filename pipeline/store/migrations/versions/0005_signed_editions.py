"""An edition remembers the keys that sign its mails; those of earlier versions are not signed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("editions", sa.Column("dkim", sa.Text(), nullable=False, server_default=sa.text("''")))
