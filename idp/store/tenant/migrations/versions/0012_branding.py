"""Branding: pictures that a tenant keeps here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012_branding"
down_revision = "0010_signup"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "assets",
        sa.Column("kind", sa.String(length=255), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("assets")
