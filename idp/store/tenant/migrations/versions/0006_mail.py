"""Mail: a tenant's own wording."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_mail"
down_revision = "0005_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "mail_templates",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("language", sa.String(length=255), nullable=False),
        sa.Column("part", sa.String(length=255), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "language", "part"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("mail_templates")
