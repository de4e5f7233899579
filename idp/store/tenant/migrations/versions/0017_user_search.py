"""Users: what lists look for and are sorted by, with indexes; who has grants to a client or holds a role is read from indexes alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from idp.store.tenant.users import followed

revision = "0017_user_search"
down_revision = "0016_webhooks"
branch_labels = None
depends_on = None

_AT_ONCE = 1000
_KEYS = ("name_key", "email_key", "attempts_key")


def upgrade() -> None:
    """Apply."""
    for name in _KEYS:
        op.add_column("users", sa.Column(name, sa.String(), nullable=False, server_default=""))
    _fill()
    filtered = ["username_key", "state", "created_at"]
    op.create_index("ix_users_by_email", "users", ["email_key", "id", "name_key", *filtered], unique=False)
    op.create_index("ix_users_by_name", "users", ["name_key", "id", "email_key", *filtered], unique=False)
    op.create_index("ix_users_by_creation", "users", ["created_at", "id", "state"], unique=False)
    op.create_index("ix_users_attempts_key", "users", ["attempts_key"], unique=False)
    op.create_index("ix_grants_client", "grants", ["client_id", "user_id", "revoked_at", "expires_at"], unique=False)
    op.drop_index(op.f("ix_grants_client_id"), table_name="grants")
    holders = ["role", "resource", "holder_type", "holder_id", "expires_at"]
    op.create_index("ix_role_bindings_holders", "role_bindings", holders, unique=False)
    op.drop_index("ix_role_bindings_role", table_name="role_bindings")


def _fill() -> None:
    """Write the new columns of the users that are there."""
    conn, last = op.get_bind(), ""
    columns = [sa.column(name) for name in ("id", "username_key", "email", *_KEYS)]
    users = sa.table("users", *columns, sa.column("claims", sa.JSON()))
    wanted = sa.select(users.c.id, users.c.username_key, users.c.email, users.c.claims).order_by(users.c.id)
    change = users.update().where(users.c.id == sa.bindparam("user_id"))
    change = change.values({name: sa.bindparam(f"new_{name}") for name in _KEYS})
    while rows := conn.execute(wanted.where(users.c.id > last).limit(_AT_ONCE)).mappings().all():
        conn.execute(change, [{"user_id": row["id"], **_new(row)} for row in rows])
        last = rows[-1]["id"]


def _new(row: sa.RowMapping) -> dict[str, str]:
    return {f"new_{name}": value for name, value in followed(row).items()}


def downgrade() -> None:
    """Undo."""
    op.create_index("ix_role_bindings_role", "role_bindings", ["role"], unique=False)
    op.drop_index("ix_role_bindings_holders", table_name="role_bindings")
    op.create_index(op.f("ix_grants_client_id"), "grants", ["client_id"], unique=False)
    op.drop_index("ix_grants_client", table_name="grants")
    for name in ("ix_users_attempts_key", "ix_users_by_creation", "ix_users_by_name", "ix_users_by_email"):
        op.drop_index(name, table_name="users")
    for name in reversed(_KEYS):
        op.drop_column("users", name)
