"""What an administrator changes of an account: its claims and its e-mail address.

A new address counts as not verified until its owner has read a mail, and every link that went to the old one dies. The person is
told there. Must not know who may do it: that is what ``require`` judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.errors import Conflict, Invalid
from idp.identity import notices, profile
from idp.identity.accounts import check_email, fold, is_username, locked, record
from idp.jobs.outbox import announced
from idp.store.tenant import one_time_links, users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from idp.identity.accounts import By, Require
    from idp.identity.profile_schema import Schema
    from idp.notify.mailer import Mailer
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

MOST_CLAIMS = 200  # of one person, those in several languages counted each
# What only a proof makes true.
PROVEN = ("email_verified", "phone_number_verified")


def change(
    database: Database,
    mailer: Mailer,
    tenant: Tenant,
    user_id: str,
    *,
    by: By,
    email: str | None = None,
    claims: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    require: Require | None = None,
) -> None:
    """Change a user's address, or the claims to what ``claims`` makes of those that are stored.

    Raises :class:`NotFound`, :class:`Invalid`, or :class:`Conflict` for an address that another account has.
    """
    address = check_email(email) if email is not None else None

    def work(conn: Connection) -> None:
        user = locked(conn, user_id, require)
        if user.state == "deleted":
            raise Conflict("This account is deleted; restore it first.")
        values: dict[str, Any] = {}
        if claims is not None:
            stored = user.claims or {}
            values |= _changed(profile.load(conn), stored, claims(stored))
        if address is not None and address != user.email:
            values |= _new_address(conn, user, address)
        if not values:
            return
        users.change(conn, user.id, **values)
        if "email" in values:
            one_time_links.revoke_of_user(conn, user.id)
            record(conn, "user.email_changed", user.id, by, {"username_changed": "username" in values})
            notices.tell_owner(conn, mailer, tenant, "email_changed", user)
        if "claims" in values:
            names = sorted(_different(user.claims or {}, values["claims"]))
            record(conn, "user.profile_changed", user.id, by, {"claims": names})

    with announced(database):
        database.writing(work)


def refuse_proven(claims: Mapping[str, Any]) -> None:
    """Raise :class:`Invalid` for claims that nobody can just say."""
    for name in PROVEN:
        if name in claims:
            raise Invalid(
                f"The claim {name} follows from a proof.",
                errors={f"claims.{name}": "follows from a proof; leave it out"},
            )


def _changed(schema: Schema, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims as they are to be, none where they stay. What is not changed is not judged: it may be older than the rule."""
    changed = {name: wanted.get(name) for name in _different(stored, wanted)}
    refuse_proven(changed)
    checked = profile.check_claims(schema, {name: value for name, value in changed.items() if value is not None})
    found = profile.applied(stored, dict.fromkeys(changed) | checked)
    if len(found) > MOST_CLAIMS:
        raise Invalid(f"A person has at most {MOST_CLAIMS} claims.", errors={"claims": f"at most {MOST_CLAIMS}"})
    return {"claims": found} if found != stored else {}


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def _new_address(conn: Connection, user: Row[Any], address: str) -> dict[str, Any]:
    if user.state == "invited":
        raise Conflict("The invitation is for the address that it went to. Cancel it, and invite the other one.")
    key = fold(address)
    if users.find_owner(conn, key, address, but=user.id) is not None:
        raise Conflict("Another account has this address.")
    values: dict[str, Any] = {"email": address, "email_verified": False}
    if user.email is not None and user.username_key == fold(user.email) and is_username(key):
        values |= {"username": address, "username_key": key}
    return values
