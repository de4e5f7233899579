"""Giving roles and taking them back: to users, groups and clients, in the whole tenant or for one resource."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.access import conditions
from idp.clock import now
from idp.errors import Conflict, Invalid, NotFound
from idp.identity.administrators import keeping
from idp.store.tenant import clients, groups, role_bindings, roles, users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idp.access.granting import Granter
    from idp.store.db import Database
    from idp.store.rows import Connection, Row

HOLDER_TYPES = ("user", "group", "client")
LONGEST_RESOURCE = 255
_RESOURCE = re.compile(r"[a-z][a-z0-9_.-]{0,62}:[\x21-\x7e]{1,190}", re.ASCII)
_LATEST = 253_402_300_799  # the last second of the year 9999


class Unchanged:
    """Stands for a member that is not to be changed."""


UNCHANGED = Unchanged()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A binding to be: who, which role, for which resource (empty: the whole tenant), until when, on what conditions."""

    holder_type: str
    holder_id: str
    role: str
    resource: str = ""
    expires_at: int | None = None
    conditions: Mapping[str, Any] | None = None


class Bindings:
    """The role bindings of one tenant."""

    def __init__(self, database: Database) -> None:
        """Take the tenant's database."""
        self._database = database

    def search(self, **window: Any) -> tuple[Sequence[Row[Any]], int]:
        """Return a page of bindings, and how many there are; parameters of :func:`idp.store.tenant.role_bindings.search`."""
        with self._database.reading() as conn:
            return role_bindings.search(conn, **window)

    def get(self, binding_id: str) -> Row[Any]:
        """Return a binding; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            return _get(conn, binding_id)

    def create(
        self, wanted: Wanted, *, granter: Granter, finish: Callable[[Connection, Row[Any]], None] | None = None
    ) -> Row[Any]:
        """Give a role; raises :class:`Invalid`, :class:`Conflict` for what is given already, or ``MoreThanHeld``.

        ``finish`` runs in the same transaction.
        """
        stored = conditions.check(wanted.conditions)
        check_resource(wanted.resource)
        _check_end(wanted.expires_at)

        def work(conn: Connection) -> Row[Any]:
            _check_holder(conn, wanted.holder_type, wanted.holder_id)
            if not wanted.role.isprintable() or roles.find_locked(conn, wanted.role) is None:
                raise _invalid("role", f"a role that there is; {wanted.role[:100]} is none")
            granter.require_role(conn, wanted.role)
            same = (wanted.holder_type, wanted.holder_id, wanted.role, wanted.resource)
            if role_bindings.find_same(conn, *same) is not None:
                raise Conflict("The role is given already, for the same resource. Change that binding.")
            binding_id = opaque.new_id()
            role_bindings.insert_one(
                conn,
                id=binding_id,
                role=wanted.role,
                holder_type=wanted.holder_type,
                holder_id=wanted.holder_id,
                resource=wanted.resource,
                expires_at=wanted.expires_at,
                conditions=stored,
                created_at=now(),
                created_by=granter.by.actor,
            )
            made = _get(conn, binding_id)
            _record(conn, "role_binding.created", granter, made)
            if finish is not None:
                finish(conn, made)
            return made

        return self._database.writing(work)

    def change(
        self,
        binding_id: str,
        *,
        granter: Granter,
        expires_at: int | Unchanged | None = UNCHANGED,
        given: Mapping[str, Any] | Unchanged | None = UNCHANGED,
        require: Callable[[Connection, Row[Any]], None] | None = None,
    ) -> Row[Any]:
        """Change until when a role is given, or on what conditions (``given``); the rest of a binding is what it is.

        ``require`` judges it as it is before, in the same transaction.
        """
        values: dict[str, Any] = {}
        if not isinstance(expires_at, Unchanged):
            _check_end(expires_at)
            values["expires_at"] = expires_at
        if not isinstance(given, Unchanged):
            values["conditions"] = conditions.check(given)

        def work(conn: Connection) -> Row[Any]:
            row = _locked(conn, binding_id, require)
            granter.require_role(conn, row.role)
            if values:
                with keeping(conn, is_operator=granter.by.is_operator):
                    role_bindings.change(conn, binding_id, **values)
            changed = _get(conn, binding_id)
            _record(conn, "role_binding.updated", granter, changed)
            return changed

        return self._database.writing(work)

    def delete(
        self, binding_id: str, *, granter: Granter, require: Callable[[Connection, Row[Any]], None] | None = None
    ) -> None:
        """Take a role back; raises :class:`NotFound`, ``LastAdministrator`` or ``MoreThanHeld``. ``require`` as of :meth:`change`."""

        def work(conn: Connection) -> None:
            row = _locked(conn, binding_id, require)
            granter.require_role(conn, row.role)
            with keeping(conn, is_operator=granter.by.is_operator):
                role_bindings.delete_one(conn, binding_id)
            _record(conn, "role_binding.deleted", granter, row)

        self._database.writing(work)


def check_resource(resource: str) -> None:
    """Raise :class:`Invalid` for what names no resource: ``type:id`` of visible ASCII, or nothing for the whole tenant."""
    if resource and not (len(resource) <= LONGEST_RESOURCE and _RESOURCE.fullmatch(resource)):
        raise _invalid("resource", "type:id, such as document:4711, of visible characters; leave it out for all")


def _get(conn: Connection, binding_id: str) -> Row[Any]:
    found = role_bindings.find(conn, binding_id)
    if found is None:
        raise NotFound("There is no such role binding.")
    return found


def _locked(conn: Connection, binding_id: str, require: Callable[[Connection, Row[Any]], None] | None) -> Row[Any]:
    found = role_bindings.find_locked(conn, binding_id)
    if found is None:
        raise NotFound("There is no such role binding.")
    if require is not None:
        require(conn, found)
    return found


def _check_holder(conn: Connection, holder_type: str, holder_id: str) -> None:
    if holder_type not in HOLDER_TYPES:
        raise _invalid("holder_type", f"one of {', '.join(HOLDER_TYPES)}")
    if not holder_id.isprintable():  # the databases cannot even look for some of what is not
        is_there = False
    elif holder_type == "user":
        user = users.find_locked(conn, holder_id)
        is_there = user is not None and user.state != "deleted"
    elif holder_type == "group":
        is_there = groups.find_locked(conn, holder_id) is not None
    else:
        is_there = clients.find_locked(conn, holder_id) is not None
    if not is_there:
        raise _invalid("holder_id", f"the id of a {holder_type} that there is")


def _check_end(expires_at: int | None) -> None:
    if expires_at is not None and not now() < expires_at <= _LATEST:
        raise _invalid("expires_at", "a time in the future")


def _invalid(member: str, wanted: str) -> Invalid:
    return Invalid(f"{member} must be {wanted}.", errors={member: f"must be {wanted}"})


def _record(conn: Connection, kind: str, granter: Granter, row: Row[Any]) -> None:
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=granter.by.actor,
        subject=row.holder_id if row.holder_type == "user" else None,
        client_id=row.holder_id if row.holder_type == "client" else None,
        source=granter.by.source,
        correlation_id=granter.by.correlation_id,
        details={
            "binding": row.id,
            "role": row.role,
            "holder_type": row.holder_type,
            "holder": row.holder_id,
            "resource": row.resource,
            "expires_at": row.expires_at,
            "conditions": row.conditions,
        },
    )
