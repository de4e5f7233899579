"""Nobody grants more than they hold: the rule behind every change of roles, bindings and groups.

The product's own permissions are power over the tenant: who gives them, or takes them from somebody, holds them. Permissions of a
tenant's applications are also given by whoever may define them (``roles:write``). An operator at the command line has no one to be
compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from idp.access import permissions, policy
from idp.errors import Forbidden
from idp.store.tenant import role_bindings, roles

if TYPE_CHECKING:
    from collections.abc import Collection

    from idp.access.conditions import Context
    from idp.access.policy import Subject
    from idp.identity.accounts import By
    from idp.store.rows import Connection


class MoreThanHeld(Forbidden):
    """The change would give or take permissions that the caller does not hold."""

    code = "more_than_held"


@dataclass(frozen=True, slots=True)
class Granter:
    """Who changes access: for the audit trail, and what they hold, which bounds what they may give.

    ``held`` is None for an operator with shell access.
    """

    by: By
    held: frozenset[str] | None = None

    def require(self, wanted: Collection[str]) -> None:
        """Raise :class:`MoreThanHeld` unless the granter may give all of the permissions."""
        if self.held is None:
            return
        defines_own = "roles:write" in self.held
        missing = sorted(
            name
            for name in set(wanted) - self.held - permissions.BUILT_IN[permissions.EVERYBODY]
            if permissions.is_product(name) or not defines_own
        )
        if missing:
            raise MoreThanHeld(
                "This needs permissions that you do not hold yourself.",
                errors={"permissions": f"you do not hold {', '.join(missing[:10])}"},
            )

    def require_role(self, conn: Connection, role: str) -> None:
        """Raise unless the granter may give everything that a role grants."""
        self.require(of_roles(conn, {role}))

    def require_over(self, conn: Connection, holder_type: str, holder_id: str) -> None:
        """Raise unless the granter holds whatever a user, group or client holds: nobody disables or takes over who may do more."""
        if self.held is not None:
            rows = role_bindings.held_by(conn, holder_type, holder_id)
            self.require(of_roles(conn, {row.role for row in rows}))

    def require_over_everybody(self, conn: Connection) -> None:
        """Raise unless the granter holds whatever anybody here holds: for what touches nobody knows whom."""
        if self.held is not None:
            self.require(of_roles(conn, role_bindings.bound_roles(conn)))


def of_subject(conn: Connection, subject: Subject, by: By, *, context: Context, within: str = "") -> Granter:
    """Return the granter that a subject is now."""
    return Granter(by, policy.held(conn, subject, context=context, within=within))


def of_roles(conn: Connection, names: Collection[str]) -> frozenset[str]:
    """Return everything that some roles grant together."""
    stored = roles.permissions_of(conn, set(names) - permissions.BUILT_IN.keys())
    return frozenset[str]().union(*(permissions.of_role(name, stored.get(name, ())) for name in names))
