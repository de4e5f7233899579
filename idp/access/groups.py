"""Groups of users, which carry roles: who is put in gets what the group holds, so the rule about granting holds here too."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.errors import Conflict, Invalid, NotFound
from idp.identity.administrators import keeping
from idp.store.tenant import groups, role_bindings, users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from idp.access.granting import Granter
    from idp.store.db import Database
    from idp.store.rows import Connection, Row

LONGEST_NAME, LONGEST_DESCRIPTION = 100, 500
MOST_AT_ONCE = 1000  # users put into a group by one call


class Groups:
    """The groups of one tenant."""

    def __init__(self, database: Database) -> None:
        """Take the tenant's database."""
        self._database = database

    def search(self, **window: Any) -> tuple[Sequence[Row[Any]], int]:
        """Return a page of groups, and how many there are; parameters of :func:`idp.store.tenant.groups.search`."""
        with self._database.reading() as conn:
            return groups.search(conn, **window)

    def search_of_user(self, user_id: str, **window: Any) -> tuple[Sequence[Row[Any]], int]:
        """Return a page of the groups that a user is in, and how many there are; raises :class:`NotFound` for nobody."""
        with self._database.reading() as conn:
            if users.find(conn, user_id) is None:
                raise NotFound("There is no such user.")
            return groups.search_of_user(conn, user_id, **window)

    def get(self, group_id: str) -> Row[Any]:
        """Return a group; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            return _get(conn, group_id)

    def create(
        self,
        name: str,
        description: str = "",
        *,
        granter: Granter,
        finish: Callable[[Connection, Row[Any]], None] | None = None,
    ) -> Row[Any]:
        """Make an empty group; raises :class:`Invalid`, or :class:`Conflict` for a name that another spells differently.

        ``finish`` runs in the same transaction.
        """
        shown, key = _check_name(name)
        _check_description(description)

        def work(conn: Connection) -> Row[Any]:
            if groups.find_by_name(conn, key) is not None:
                raise Conflict("There is a group of this name already.")
            group_id = opaque.new_id()
            groups.create(conn, id=group_id, name=shown, name_key=key, description=description)
            _record(conn, "group.created", granter, {"group": group_id, "name": shown})
            made = _get(conn, group_id)
            if finish is not None:
                finish(conn, made)
            return made

        return self._database.writing(work)

    def change(
        self,
        group_id: str,
        *,
        granter: Granter,
        name: str | None = None,
        description: str | None = None,
        require: Callable[[Connection, Row[Any]], None] | None = None,
    ) -> Row[Any]:
        """Change a group's name or what is said of it; what is None stays. ``require`` judges it as it is before.

        Applications know groups by their names: who may not put people into one does not give its name to another either.
        """
        values: dict[str, Any] = {}
        if name is not None:
            values["name"], values["name_key"] = _check_name(name)
        if description is not None:
            _check_description(description)
            values["description"] = description

        def work(conn: Connection) -> Row[Any]:
            _locked(conn, group_id, require)
            granter.require_over(conn, "group", group_id)
            same = groups.find_by_name(conn, values["name_key"]) if "name_key" in values else None
            if same is not None and same.id != group_id:
                raise Conflict("There is a group of this name already.")
            groups.change(conn, group_id, **values)
            _record(
                conn, "group.updated", granter, {"group": group_id, "members": sorted(values.keys() - {"name_key"})}
            )
            return _get(conn, group_id)

        return self._database.writing(work)

    def delete(
        self, group_id: str, *, granter: Granter, require: Callable[[Connection, Row[Any]], None] | None = None
    ) -> None:
        """Delete a group with its bindings: who was in it holds what it held no more. ``require`` as of :meth:`change`."""

        def work(conn: Connection) -> None:
            row = _locked(conn, group_id, require)
            granter.require_over(conn, "group", group_id)
            had = groups.count_members(conn, group_id)
            with keeping(conn, is_operator=granter.by.is_operator):
                role_bindings.delete_of_holder(conn, "group", group_id)
                groups.delete_one(conn, group_id)
            _record(conn, "group.deleted", granter, {"group": group_id, "name": row.name, "users": had})

        self._database.writing(work)

    def members(self, group_id: str, **window: Any) -> tuple[Sequence[Row[Any]], int]:
        """Return a page of the users in a group by name, and how many there are; raises :class:`NotFound`."""
        with self._database.reading() as conn:
            _get(conn, group_id)
            return groups.members(conn, group_id, **window)

    def add(self, group_id: str, user_ids: Sequence[str], *, granter: Granter) -> int:
        """Put users into a group; returns how many were not in it. Raises ``MoreThanHeld`` when the group holds more."""
        wanted = sorted(set(user_ids))
        if len(wanted) > MOST_AT_ONCE:
            raise Invalid(f"At most {MOST_AT_ONCE} users at once.", errors={"users": f"at most {MOST_AT_ONCE}"})

        def work(conn: Connection) -> int:
            _locked(conn, group_id)
            granter.require_over(conn, "group", group_id)
            known = users.known(conn, [each for each in wanted if each.isprintable()])
            missing = [user_id for user_id in wanted if user_id not in known]
            if missing:
                raise Invalid(
                    f"There is no user {missing[0][:64]}.", errors={"users": f"{missing[0][:64]} is no user's id"}
                )
            added = groups.add(conn, group_id, wanted)
            for user_id in wanted:
                _record(conn, "group.user_added", granter, {"group": group_id}, user_id)
            return added

        return self._database.writing(work)

    def remove(self, group_id: str, user_id: str, *, granter: Granter) -> None:
        """Take a user out of a group; raises :class:`NotFound` when the user is not in it."""

        def work(conn: Connection) -> None:
            _locked(conn, group_id)
            granter.require_over(conn, "group", group_id)
            with keeping(conn, is_operator=granter.by.is_operator):
                if not groups.remove(conn, group_id, user_id):
                    raise NotFound("This user is not in the group.")
            _record(conn, "group.user_removed", granter, {"group": group_id}, user_id)

        self._database.writing(work)


def fold(name: str) -> str:
    """Return the key of a group's name: spellings that people take for the same name are one group."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def _get(conn: Connection, group_id: str) -> Row[Any]:
    found = groups.find(conn, group_id)
    if found is None:
        raise NotFound("There is no such group.")
    return found


def _locked(conn: Connection, group_id: str, require: Callable[[Connection, Row[Any]], None] | None = None) -> Row[Any]:
    found = groups.find_locked(conn, group_id)
    if found is None:
        raise NotFound("There is no such group.")
    if require is not None:
        require(conn, found)
    return found


def _check_name(name: str) -> tuple[str, str]:
    shown, key = " ".join(name.split()), fold(name)
    if not 1 <= len(shown) <= LONGEST_NAME or not shown.isprintable() or not key:
        wanted = f"1 to {LONGEST_NAME} printable characters"
        raise Invalid(f"name must be {wanted}.", errors={"name": f"must be {wanted}"})
    return shown, key


def _check_description(text: str) -> None:
    if len(text) > LONGEST_DESCRIPTION or not text.isprintable():
        wanted = f"at most {LONGEST_DESCRIPTION} printable characters"
        raise Invalid(f"description must be {wanted}.", errors={"description": f"must be {wanted}"})


def _record(
    conn: Connection, kind: str, granter: Granter, details: Mapping[str, Any], subject: str | None = None
) -> None:
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=granter.by.actor,
        subject=subject,
        source=granter.by.source,
        correlation_id=granter.by.correlation_id,
        details=details,
    )
