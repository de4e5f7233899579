"""Dynamic client registration: initial access tokens, and what a client manages its registration with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_registration"
down_revision = "0001_foundation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "initial_access_tokens",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("uses_left", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash", name="uq_initial_access_tokens_token_hash"),
    )
    op.create_index(op.f("ix_initial_access_tokens_expires_at"), "initial_access_tokens", ["expires_at"], unique=False)
    op.add_column("clients", sa.Column("registration_token_hash", sa.String(), nullable=True))
    op.add_column("clients", sa.Column("registered_by", sa.String(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("clients", "registered_by")
    op.drop_column("clients", "registration_token_hash")
    op.drop_index(op.f("ix_initial_access_tokens_expires_at"), table_name="initial_access_tokens")
    op.drop_table("initial_access_tokens")
