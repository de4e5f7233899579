"""Addresses: whose an e-mail address is, is found by an index."""

from __future__ import annotations

from alembic import op

revision = "0013_addresses"
down_revision = "0012_branding"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(op.f("ix_users_email"), "users", ["email"], unique=False)


def downgrade() -> None:
    """Undo."""
    op.drop_index(op.f("ix_users_email"), table_name="users")
