"""The account pages: a person's own history is found without reading everybody's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011_account"
down_revision = "0009_links"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    personal = sa.text(
        "subject IS NOT NULL AND kind NOT IN ('authorization.granted', 'token.issued', 'token.refreshed')"
    )
    op.create_index(
        "ix_audit_events_subject",
        "audit_events",
        ["subject", "at", "seq"],
        unique=False,
        sqlite_where=personal,
        postgresql_where=personal,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_audit_events_subject", table_name="audit_events")
