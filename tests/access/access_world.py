"""A tenant's access as the tests use it: roles, groups and bindings by short names, decisions with their context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access import granting, policy
from idp.access.bindings import Bindings, Wanted
from idp.access.conditions import Context
from idp.access.groups import Groups
from idp.access.policy import Subject
from idp.access.roles import Roles
from idp.clock import now
from idp.identity.accounts import By

if TYPE_CHECKING:
    from collections.abc import Collection

    from house import House

    from idp.access.granting import Granter
    from idp.access.policy import Decision

OPERATOR = granting.Granter(By("operator"))


class World:
    """Tenant ``acme``; ada administers it, and there are others."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tenant = house.tenant("acme")
        self.database = house.database(self.tenant)
        self.roles, self.bindings, self.groups = Roles(self.database), Bindings(self.database), Groups(self.database)
        self.people = {
            name: house.user(self.tenant, f"{name}@example.org", roles=held)
            for name, held in {"root": ["tenant-admin"], "helpdesk": ["user-admin"], "bob": [], "eve": []}.items()
        }

    def user(self, name: str) -> Subject:
        return Subject("user", self.people[name])

    def give(self, name: str, role: str, *, by: Granter = OPERATOR, **more: Any) -> str:
        """Bind a role to a person; returns the binding's id."""
        made: str = self.bindings.create(Wanted("user", self.people[name], role, **more), granter=by).id
        return made

    def role(self, name: str, *granted: str) -> None:
        """Make a role, and those of its permissions that there are not."""
        for permission in granted:
            if not any(row.name == permission for row in self.roles.search_permissions(limit=100)[0]):
                self.roles.create_permission(permission, "", by=By("operator"))
        self.roles.create(name, "", granted, granter=OPERATOR)

    def decide(
        self,
        who: str | Subject,
        permission: str,
        resource: str = "",
        *,
        within: str = "",
        at: int | None = None,
        source: str | None = None,
        amr: Collection[str] = (),
    ) -> Decision:
        subject = self.user(who) if isinstance(who, str) else who
        context = Context(now() if at is None else at, source, amr)
        with self.database.reading() as conn:
            return policy.permitted(conn, subject, permission, context=context, resource=resource, within=within)

    def granter(self, name: str) -> Granter:
        """The person as somebody who changes access."""
        with self.database.reading() as conn:
            return granting.of_subject(conn, self.user(name), By(self.people[name]), context=Context(now()))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The details of audit events of a kind."""
        from idp.store.tenant import audit_events

        with self.database.reading() as conn:
            rows = conn.execute(audit_events.audit_events.select()).all()
        return [{"actor": row.actor, "subject": row.subject, **(row.details or {})} for row in rows if row.kind == kind]
