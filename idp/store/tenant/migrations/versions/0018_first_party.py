"""Clients that people may sign in to by program."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018_first_party"
down_revision = "0017_user_search"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("clients", sa.Column("first_party", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("sessions", sa.Column("by_program", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Undo."""
    op.drop_column("sessions", "by_program")
    op.drop_column("clients", "first_party")
