"""Answers that are kept for repeated requests, and the tags of clients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015_idempotency"
down_revision = "0014_access"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("sealed_answer", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key"),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"], unique=False)
    op.add_column("clients", sa.Column("tags", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    """Undo."""
    op.drop_column("clients", "tags")
    op.drop_index(op.f("ix_idempotency_keys_expires_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
