"""Sign-up: who waits for a code, a tenant's terms and who accepted them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_signup"
down_revision = "0007_passwords"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "signups",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("interaction_id", sa.String(), nullable=False),
        sa.Column("browser_hash", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("terms_version", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("code_expires_at", sa.BigInteger(), nullable=False),
        sa.Column("guesses", sa.BigInteger(), nullable=False),
        sa.Column("sendings", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_signups_expires_at"), "signups", ["expires_at"], unique=False)
    op.create_table(
        "terms",
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("urls", sa.JSON(), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "terms_acceptances",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "version"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("terms_acceptances")
    op.drop_table("terms")
    op.drop_table("signups")
