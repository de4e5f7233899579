"""The decision: may this subject do this, here and now, and by which binding. Read anew each time; nothing is remembered.

A subject is a user or a client of the tenant. What a user holds is bound to the user, to a group that the user is in, or is
everybody's. It does not know tokens: whoever asks narrows the answer by a token's scopes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from idp.access import permissions
from idp.access.conditions import needs_properties, unmet
from idp.store.tenant import clients, role_bindings, roles, users

if TYPE_CHECKING:
    from idp.access.conditions import Context
    from idp.store.rows import Connection, Row

Reason = Literal["granted", "subject_unknown", "subject_not_active", "not_bound", "expired", "condition"]


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks to do something: ``user`` or ``client``, and its id."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, why, and the binding that decided it (None where there is none, or it is everybody's role)."""

    allowed: bool
    reason: Reason
    explanation: str
    role: str | None = None
    binding_id: str | None = None
    resource: str = ""  # for which the binding holds; empty: the whole tenant
    condition: str | None = None  # the one that does not hold

    def document(self) -> dict[str, Any]:
        """Return the decision as an answer shows it."""
        found = {"allowed": self.allowed, "reason": self.reason, "explanation": self.explanation}
        more = {
            "role": self.role,
            "binding_id": self.binding_id,
            "resource": self.resource or None,
            "condition": self.condition,
        }
        return found | {name: value for name, value in more.items() if value is not None}


NO_SUBJECT = Decision(False, "subject_unknown", "There is no such user or application in the tenant.")
_NOT_ACTIVE = Decision(False, "subject_not_active", "The user or application is disabled, or not active yet.")
_CONDITION = {
    "mfa": "a second factor",
    "networks": "another network",
    "hours": "another time",
}


def permitted(
    conn: Connection,
    subject: Subject,
    permission: str,
    *,
    context: Context,
    resource: str = "",
    within: str = "",
) -> Decision:
    """Decide whether ``subject`` has ``permission``, for a ``resource`` (``type:id``) that lies ``within`` another one.

    Of the bindings that grant it, the first that holds decides: those for the whole tenant come before those for a resource.
    """
    found = _find(conn, subject)
    refusal = _refusal(found)
    if refusal is not None:
        return refusal
    if subject.type == "user" and permission in permissions.BUILT_IN[permissions.EVERYBODY]:
        return Decision(True, "granted", "Everybody may do this.", role=permissions.EVERYBODY)
    built_in = permissions.built_in_with(permission)
    rows = role_bindings.for_decision(conn, subject.type, subject.id, permission, resource, within)
    granting = [row for row in rows if (row.role in built_in if row.role in permissions.BUILT_IN else row.grants)]
    granting.sort(key=lambda row: (row.resource != "", row.created_at, row.id))
    if any(needs_properties(row.conditions) for row in granting):
        context = _with_stored(context, subject, found)
    refused = Decision(False, "not_bound", f"No role that the subject holds here grants {permission}.")
    for row in granting:
        decision = _judge(row, context)
        if decision.allowed:
            return decision
        if refused.reason in ("not_bound", "expired"):  # an unmet condition is what a person can do something about
            refused = decision
    return refused


def standing(conn: Connection, subject: Subject) -> Decision | None:
    """Return why a subject may do nothing at all, None when it is there and active."""
    return _refusal(_find(conn, subject))


def _find(conn: Connection, subject: Subject) -> Row[Any] | None:
    if subject.type == "user":
        return users.find(conn, subject.id)
    return clients.find(conn, subject.id) if subject.type == "client" else None


def _refusal(found: Row[Any] | None) -> Decision | None:
    return NO_SUBJECT if found is None else _NOT_ACTIVE if found.state != "active" else None


def _with_stored(context: Context, subject: Subject, found: Any) -> Context:
    """Return the context with what is known of a user, where whoever asks does not state it: claims, e-mail address, username."""
    if subject.type != "user":
        return context
    known = {**(found.claims or {}), "username": found.username, "email": found.email, "sub": found.id}
    known = {name: value for name, value in known.items() if value is not None}
    stated = context.properties.get("subject", {})
    return replace(context, properties={**context.properties, "subject": {**known, **stated}})


def held(conn: Connection, subject: Subject, *, context: Context, within: str = "") -> frozenset[str]:
    """Return every permission that a subject has in the whole tenant now; ``within`` adds what it has for one resource."""
    if standing(conn, subject) is not None:
        return frozenset()
    rows = [
        row
        for row in role_bindings.held_by(conn, subject.type, subject.id)
        if row.resource in ("", within) and _judge(row, context).allowed
    ]
    names = {row.role for row in rows}
    stored = roles.permissions_of(conn, names - permissions.BUILT_IN.keys())
    found = [permissions.of_role(name, stored.get(name, ())) for name in names]
    own = permissions.BUILT_IN[permissions.EVERYBODY] if subject.type == "user" else frozenset()
    return own.union(*found)


def roles_of(conn: Connection, subject: Subject, *, context: Context) -> list[str]:
    """Return the roles that a subject holds in the whole tenant now, by groups too, sorted."""
    rows = role_bindings.held_by(conn, subject.type, subject.id)
    return sorted({row.role for row in rows if row.resource == "" and _judge(row, context).allowed})


def _judge(row: Row[Any], context: Context) -> Decision:
    """Decide by one binding whose role grants what is asked."""
    where = f" for {row.resource}" if row.resource else ""
    by = "a group" if row.holder_type == "group" else "a binding"
    facts = {"role": row.role, "binding_id": row.id, "resource": row.resource}
    if row.expires_at is not None and row.expires_at <= context.at:
        return Decision(False, "expired", f"The role {row.role}{where} has ended.", **facts)
    condition = unmet(row.conditions, context)
    if condition is not None:
        wish = _CONDITION.get(condition, f"another {condition}")
        wants = f"The role {row.role}{where} would allow it with {wish}."
        return Decision(False, "condition", wants, **facts, condition=condition)
    return Decision(True, "granted", f"The role {row.role} is held by {by}{where}.", **facts)
