"""Languages: a tenant's own texts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_languages"
down_revision = "0006_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "texts",
        sa.Column("language", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=255), nullable=False),
        sa.Column("form", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("language", "digest", "form"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("texts")
