"""Accounts that are deleted and kept for a while: what they are restored to, and which of them are due."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_links"
down_revision = "0008_languages"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("users", sa.Column("state_before", sa.String(), nullable=True))
    here = sa.text("deleted_at IS NOT NULL")
    op.create_index("ix_users_deleted_at", "users", ["deleted_at"], sqlite_where=here, postgresql_where=here)


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_users_deleted_at", table_name="users")
    op.drop_column("users", "state_before")
