"""Roles, permissions and scopes of a tenant's own: making, changing and deleting them, each with its event in one transaction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from idp import audit
from idp.access import permissions
from idp.errors import Conflict, Invalid, NotFound
from idp.identity.administrators import keeping
from idp.store.tenant import permissions as own_permissions
from idp.store.tenant import role_bindings, roles

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from idp.access.granting import Granter
    from idp.identity.accounts import By
    from idp.store.db import Database
    from idp.store.rows import Connection, Row

T = TypeVar("T")

LONGEST_DESCRIPTION = 500
MOST_PERMISSIONS = 500  # of one role or scope
_ROLE = re.compile(r"[a-z][a-z0-9._:-]{0,62}", re.ASCII)
_SCOPE = re.compile(r"[a-z][a-z0-9._:/-]{0,99}", re.ASCII)
# What other specifications or we ourselves give a meaning.
_TAKEN_SCOPES = frozenset(
    {"openid", "profile", "email", "address", "phone", "offline_access", "roles", "groups", "permissions", "authsec"}
)


@dataclass(frozen=True, slots=True)
class Role:
    """A role as it is shown."""

    name: str
    description: str
    permissions: tuple[str, ...]
    is_built_in: bool
    created_at: int
    updated_at: int


class Roles:
    """The roles, permissions and scopes of one tenant."""

    def __init__(self, database: Database) -> None:
        """Take the tenant's database."""
        self._database = database

    # -- roles ----------------------------------------------------------------------------------------------------

    def search(self, **window: Any) -> tuple[list[Role], Sequence[Row[Any]], int]:
        """Return a page of roles, their rows, and how many there are; parameters of :func:`idp.store.tenant.roles.search`."""
        with self._database.reading() as conn:
            found, total = roles.search(conn, **window)
            return _shown(conn, found), found, total

    def get(self, name: str) -> Role:
        """Return a role; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            return _get(conn, name)

    def create(
        self,
        name: str,
        description: str,
        granted: Sequence[str],
        *,
        granter: Granter,
        finish: Callable[[Connection, Role], None] | None = None,
    ) -> Role:
        """Make a role; raises :class:`Invalid`, :class:`Conflict` or :class:`idp.access.granting.MoreThanHeld`.

        ``finish`` runs in the same transaction.
        """
        if not _ROLE.fullmatch(name):
            raise _invalid("name", "lower-case letters, digits and . _ : - after a letter, 63 at most")
        _check_description(description)

        def work(conn: Connection) -> Role:
            wanted = _known(conn, granted)
            granter.require(wanted)
            if roles.find(conn, name) is not None:
                raise Conflict(f"There is a role {name} already.")
            roles.create(conn, name, description, wanted)
            _record(conn, "role.created", granter.by, {"role": name, "permissions": wanted})
            return _finished(conn, _get(conn, name), finish)

        return self._database.writing(work)

    def change(
        self,
        name: str,
        *,
        granter: Granter,
        description: str | None = None,
        granted: Sequence[str] | None = None,
        require: Callable[[Connection, Role], None] | None = None,
    ) -> Role:
        """Change a role, and so what everybody holds who has it; what is None stays. Built-in ones stay as they are.

        ``require`` judges it as it is before, in the same transaction.
        """
        if description is not None:
            _check_description(description)

        def work(conn: Connection) -> Role:
            _require_own(conn, name)
            _judge(conn, lambda: _get(conn, name), require)
            before = set(roles.permissions_of(conn, {name})[name])
            details: dict[str, Any] = {"role": name}
            if granted is not None:
                wanted = _known(conn, granted)
                # Taking is power over those who hold the role, as giving is.
                granter.require(before.symmetric_difference(wanted))
                roles.set_permissions(conn, name, wanted)
                details |= {"added": sorted(set(wanted) - before), "removed": sorted(before - set(wanted))}
            current = roles.find(conn, name)
            roles.change(conn, name, current.description if description is None and current else description or "")
            _record(conn, "role.updated", granter.by, details)
            return _get(conn, name)

        return self._database.writing(work)

    def delete(
        self,
        name: str,
        *,
        granter: Granter,
        with_bindings: bool = False,
        require: Callable[[Connection, Role], None] | None = None,
    ) -> None:
        """Delete a role; one that somebody holds only ``with_bindings``, which end too. ``require`` as of :meth:`change`."""

        def work(conn: Connection) -> None:
            _require_own(conn, name)
            _judge(conn, lambda: _get(conn, name), require)
            granter.require_role(conn, name)
            held = role_bindings.count(conn, name)
            if held and not with_bindings:
                raise Conflict(f"The role {name} is held by {held} bindings. Delete them first, or ask for that too.")
            with keeping(conn, is_operator=granter.by.is_operator):
                role_bindings.delete_of_role(conn, name)
                roles.delete_role(conn, name)
            _record(conn, "role.deleted", granter.by, {"role": name, "bindings": held})

        self._database.writing(work)

    # -- permissions of the tenant's own applications -------------------------------------------------------------

    def search_permissions(self, **window: Any) -> tuple[Sequence[Row[Any]], int]:
        """Return a page of the tenant's own permissions, and how many there are."""
        with self._database.reading() as conn:
            return own_permissions.search(conn, **window)

    def get_permission(self, name: str) -> Row[Any]:
        """Return a permission of the tenant's own; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            return _get_permission(conn, name)

    def create_permission(
        self, name: str, description: str, *, by: By, finish: Callable[[Connection, Row[Any]], None] | None = None
    ) -> Row[Any]:
        """Define a permission ``resource:action``; raises :class:`Invalid` or :class:`Conflict`."""
        if not permissions.NAME.fullmatch(name):
            raise _invalid("name", "resource:action, both of lower-case letters, digits and . _ - after a letter")
        _check_description(description)

        def work(conn: Connection) -> Row[Any]:
            if permissions.is_product(name) or own_permissions.find(conn, name) is not None:
                raise Conflict(f"There is a permission {name} already.")
            own_permissions.create(conn, name, description)
            _record(conn, "permission.created", by, {"permission": name})
            return _finished(conn, _get_permission(conn, name), finish)

        return self._database.writing(work)

    def change_permission(
        self,
        name: str,
        description: str | None,
        *,
        by: By,
        require: Callable[[Connection, Row[Any]], None] | None = None,
    ) -> Row[Any]:
        """Change what is said of a permission, where that is not None; raises :class:`NotFound`."""
        _check_description(description or "")

        def work(conn: Connection) -> Row[Any]:
            _judge(conn, lambda: _get_permission(conn, name), require)
            if description is not None:
                own_permissions.change(conn, name, description)
            _record(conn, "permission.updated", by, {"permission": name})
            return _get_permission(conn, name)

        return self._database.writing(work)

    def delete_permission(
        self, name: str, *, by: By, require: Callable[[Connection, Row[Any]], None] | None = None
    ) -> None:
        """Delete a permission; every role and scope loses it."""

        def work(conn: Connection) -> None:
            _judge(conn, lambda: _get_permission(conn, name), require)
            had = roles.withdraw_permission(conn, name)
            for scope in own_permissions.list_scopes(conn):
                if name in scope.permissions:
                    rest = [each for each in scope.permissions if each != name]
                    own_permissions.change_scope(conn, scope.name, scope.description, rest)
            own_permissions.delete_one(conn, name)
            _record(conn, "permission.deleted", by, {"permission": name, "roles": had})

        self._database.writing(work)

    # -- scopes that stand for permissions ------------------------------------------------------------------------

    def search_scopes(self, **window: Any) -> tuple[Sequence[Row[Any]], int]:
        """Return a page of the scopes that stand for permissions, and how many there are."""
        with self._database.reading() as conn:
            return own_permissions.search_scopes(conn, **window)

    def get_scope(self, name: str) -> Row[Any]:
        """Return a scope; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            return _get_scope(conn, name)

    def create_scope(
        self,
        name: str,
        description: str,
        stands_for: Sequence[str],
        *,
        granter: Granter,
        finish: Callable[[Connection, Row[Any]], None] | None = None,
    ) -> Row[Any]:
        """Define a scope; raises :class:`Invalid`, :class:`Conflict` or :class:`idp.access.granting.MoreThanHeld`."""
        if not _SCOPE.fullmatch(name):
            raise _invalid("name", "lower-case letters, digits and . _ : / - after a letter, 100 at most")
        _check_description(description)

        def work(conn: Connection) -> Row[Any]:
            wanted = _known(conn, stands_for)
            granter.require(wanted)
            is_taken = name in _TAKEN_SCOPES or permissions.is_product(name)
            if is_taken or own_permissions.find_scope(conn, name) is not None:
                raise Conflict(f"There is a scope {name} already.")
            own_permissions.create_scope(conn, name, description, wanted)
            _record(conn, "scope.created", granter.by, {"scope": name, "permissions": wanted})
            return _finished(conn, _get_scope(conn, name), finish)

        return self._database.writing(work)

    def change_scope(
        self,
        name: str,
        *,
        granter: Granter,
        description: str | None = None,
        stands_for: Sequence[str] | None = None,
        require: Callable[[Connection, Row[Any]], None] | None = None,
    ) -> Row[Any]:
        """Change a scope, and so what tokens lend that carry it; what is None stays.

        Raises :class:`NotFound`, :class:`Invalid` or :class:`idp.access.granting.MoreThanHeld`.
        """
        if description is not None:
            _check_description(description)

        def work(conn: Connection) -> Row[Any]:
            scope = _judge(conn, lambda: _get_scope(conn, name), require)
            wanted = list(scope.permissions) if stands_for is None else _known(conn, stands_for)
            granter.require(set(wanted) - set(scope.permissions))
            own_permissions.change_scope(conn, name, scope.description if description is None else description, wanted)
            _record(conn, "scope.updated", granter.by, {"scope": name, "permissions": wanted})
            return _get_scope(conn, name)

        return self._database.writing(work)

    def delete_scope(self, name: str, *, by: By, require: Callable[[Connection, Row[Any]], None] | None = None) -> None:
        """Delete a scope; tokens that carry it stand for nothing by it any more. Raises :class:`NotFound`."""

        def work(conn: Connection) -> None:
            _judge(conn, lambda: _get_scope(conn, name), require)
            own_permissions.delete_scope(conn, name)
            _record(conn, "scope.deleted", by, {"scope": name})

        self._database.writing(work)


def _finished(conn: Connection, made: T, finish: Callable[[Connection, T], None] | None) -> T:
    if finish is not None:
        finish(conn, made)
    return made


def _judge(conn: Connection, find: Callable[[], T], require: Callable[[Connection, T], None] | None) -> T:
    """Return what is there, once it is judged as it is."""
    found = find()
    if require is not None:
        require(conn, found)
    return found


def _get(conn: Connection, name: str) -> Role:
    found = roles.find(conn, name)
    if found is None:
        raise NotFound(f"There is no role {name[:100]}.")
    return _shown(conn, [found])[0]


def _get_permission(conn: Connection, name: str) -> Row[Any]:
    found = own_permissions.find(conn, name)
    if found is None:
        raise NotFound(f"There is no permission {name[:130]} of the tenant's own.")
    return found


def _get_scope(conn: Connection, name: str) -> Row[Any]:
    found = own_permissions.find_scope(conn, name)
    if found is None:
        raise NotFound(f"There is no scope {name[:100]}.")
    return found


def _shown(conn: Connection, rows: Sequence[Row[Any]]) -> list[Role]:
    stored: Mapping[str, Collection[str]] = roles.permissions_of(conn, [row.name for row in rows])
    return [
        Role(
            row.name,
            permissions.ABOUT.get(row.name, row.description),
            tuple(sorted(permissions.of_role(row.name, stored[row.name]))),
            row.is_built_in,
            row.created_at,
            row.updated_at,
        )
        for row in rows
    ]


def _require_own(conn: Connection, name: str) -> None:
    """Refuse a role that is not there, or the product's; until the transaction ends nobody else changes it."""
    found = roles.find_locked(conn, name)
    if found is None:
        raise NotFound(f"There is no role {name[:100]}.")
    if found.is_built_in:
        raise Conflict(f"The role {name} is built in and stays as it is. Make a role of your own beside it.")


def _known(conn: Connection, names: Sequence[str]) -> list[str]:
    """Return permissions in order, each once; raises :class:`Invalid` for one that there is not."""
    wanted = sorted(set(names))
    if len(wanted) > MOST_PERMISSIONS:
        raise _invalid("permissions", f"{MOST_PERMISSIONS} at most")
    others = {name for name in wanted if not permissions.is_product(name)}
    missing = sorted(others - own_permissions.known(conn, others)) if others else []
    if missing:
        raise _invalid("permissions", f"permissions that there are; {missing[0][:130]} is none")
    return wanted


def _check_description(text: str) -> None:
    if len(text) > LONGEST_DESCRIPTION or not text.isprintable():
        raise _invalid("description", f"at most {LONGEST_DESCRIPTION} printable characters")


def _invalid(member: str, wanted: str) -> Invalid:
    return Invalid(f"{member} must be {wanted}.", errors={member: f"must be {wanted}"})


def _record(conn: Connection, kind: str, by: By, details: Mapping[str, Any]) -> None:
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=by.actor,
        source=by.source,
        correlation_id=by.correlation_id,
        details=details,
    )
