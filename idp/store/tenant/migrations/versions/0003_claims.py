"""What a client asked for by the claims parameter is a part of the grant: userinfo and refreshed ID tokens follow it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_claims"
down_revision = "0002_registration"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("grants", sa.Column("claims_request", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("grants", "claims_request")
