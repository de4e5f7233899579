"""Domains that tenants have said are theirs and not proven yet, and the idempotency keys of requests that make tenants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_domains"
down_revision = "0001_foundation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "domain_claims",
        sa.Column("tenant_id", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("challenge", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("found", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "host"),
    )
    op.create_index(op.f("ix_domain_claims_expires_at"), "domain_claims", ["expires_at"], unique=False)
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


def downgrade() -> None:
    """Undo."""
    op.drop_index(op.f("ix_idempotency_keys_expires_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_domain_claims_expires_at"), table_name="domain_claims")
    op.drop_table("domain_claims")
