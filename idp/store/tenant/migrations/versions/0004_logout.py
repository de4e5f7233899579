"""Logout everywhere: which applications a session signed in to, and the outbox by which they are told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_logout"
down_revision = "0003_claims"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "session_clients",
        sa.Column("session_id", sa.String(length=255), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "client_id"),
    )
    op.create_index(op.f("ix_session_clients_client_id"), "session_clients", ["client_id"], unique=False)
    # What is still known of sessions that began before this release.
    op.execute(
        "INSERT INTO session_clients (session_id, client_id, first_at) SELECT session_id, client_id, min(created_at) "
        "FROM grants WHERE session_id IN (SELECT id FROM sessions WHERE ended_at IS NULL) GROUP BY session_id, client_id"
    )
    op.create_table(
        "outbox",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("most_attempts", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    for name, column, where in (
        ("ix_outbox_waiting", "next_attempt_at", "state = 'waiting'"),
        ("ix_outbox_finished_at", "finished_at", "finished_at IS NOT NULL"),
    ):
        op.create_index(
            name, "outbox", [column], unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
    op.create_table(
        "outbox_attempts",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("milliseconds", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "number"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("outbox_attempts")
    op.drop_table("outbox")
    op.drop_table("session_clients")
