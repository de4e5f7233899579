"""Access: roles with permissions, groups, and bindings to users, groups and clients; the audiences of a grant's tokens."""

from __future__ import annotations

import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0014_access"
down_revision = "0013_addresses"
branch_labels = None
depends_on = None

_BUILT_IN = ("platform-admin", "tenant-admin", "user-admin", "client-admin", "auditor", "user")


def upgrade() -> None:
    """Apply."""
    at = int(time.time())
    connection = op.get_bind()
    roles = op.create_table(
        "roles",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("is_built_in", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "role_permissions",
        sa.Column("role", sa.String(length=255), nullable=False),
        sa.Column("permission", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("role", "permission"),
    )
    op.create_index("ix_role_permissions_permission", "role_permissions", ["permission"], unique=False)
    op.create_table(
        "permissions",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "access_scopes",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "groups",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name_key", name="uq_groups_name_key"),
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "user_id"),
    )
    op.create_index("ix_group_members_user_id", "group_members", ["user_id"], unique=False)
    before = connection.execute(sa.text("SELECT user_id, role, created_at FROM role_bindings")).all()
    op.drop_table("role_bindings")
    bindings = op.create_table(
        "role_bindings",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=255), nullable=False),
        sa.Column("holder_type", sa.String(length=255), nullable=False),
        sa.Column("holder_id", sa.String(length=255), nullable=False),
        sa.Column("resource", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("conditions", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("holder_type", "holder_id", "role", "resource", name="uq_role_bindings"),
    )
    op.create_index("ix_role_bindings_role", "role_bindings", ["role"], unique=False)
    for name, column, condition in (
        ("ix_role_bindings_resource", "resource", "resource != ''"),
        ("ix_role_bindings_expires_at", "expires_at", "expires_at IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, "role_bindings", [column], unique=False, sqlite_where=where, postgresql_where=where)
    op.add_column("grants", sa.Column("resources", sa.JSON(), nullable=True))
    held = sorted({row.role for row in before} - set(_BUILT_IN))
    rows = [(name, True) for name in _BUILT_IN] + [(name, False) for name in held]
    op.bulk_insert(
        roles,
        [
            {"name": name, "description": "", "is_built_in": is_built_in, "created_at": at, "updated_at": at}
            for name, is_built_in in rows
        ],
    )
    if before:
        op.bulk_insert(
            bindings,
            [
                {
                    "id": uuid.uuid4().hex,
                    "role": row.role,
                    "holder_type": "user",
                    "holder_id": row.user_id,
                    "resource": "",
                    "expires_at": None,
                    "conditions": sa.null(),
                    "created_at": row.created_at,
                    "created_by": "",
                }
                for row in before
            ],
        )


def downgrade() -> None:
    """Undo: what was held for one resource, by groups or by clients is lost."""
    connection = op.get_bind()
    before = connection.execute(
        sa.text(
            "SELECT holder_id, role, created_at FROM role_bindings"
            " WHERE holder_type = 'user' AND resource = '' AND expires_at IS NULL"
        )
    ).all()
    for table in (
        "role_bindings",
        "group_members",
        "groups",
        "access_scopes",
        "permissions",
        "role_permissions",
        "roles",
    ):
        op.drop_table(table)
    op.drop_column("grants", "resources")
    bindings = op.create_table(
        "role_bindings",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "role"),
    )
    if before:
        op.bulk_insert(
            bindings,
            [{"user_id": row.holder_id, "role": row.role, "created_at": row.created_at} for row in before],
        )
