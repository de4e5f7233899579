"""Invitations: an account that waits for its owner, who chooses the password by the link in the mail. There is no temporary one.

An invited person is a user in the state ``invited`` without a password; the link carries the invitation. Sending it again
kills the older link, cancelling removes the user. Must not know pages or commands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from idp import opaque
from idp.clock import now
from idp.errors import Conflict, TooManyRequests
from idp.identity import lifecycle, link_use, links, profile
from idp.identity.accounts import By, checked, insert, locked, mailbox_of, record, remove, write_password
from idp.jobs.outbox import announced
from idp.store.tenant import attempts, one_time_links, users

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idp.identity.accounts import Finish, Require, RequireNew
    from idp.identity.link_use import Opened
    from idp.notify.mailer import Mailer
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

KIND = lifecycle.INVITATION
PATH = "/invitation"
WINDOW, MOST_SENT = (
    3600,
    5,
)  # seconds, and invitations to one mailbox in them: who administers a tenant may not know the person
_MOST_BEFORE = 100  # links that are looked through for who invited
_NOBODY = "recovery"  # who invited is kept no longer: the person has asked for the link
_EXISTS = {
    "invited": "This person is invited already; to send the invitation again: idp user resend-invitation",
    "deleted": "The account of this address is deleted and kept; bring it back: idp user restore",
}


class Invitation(NamedTuple):
    """One invitation as it stands; ``state`` is waiting, expired or accepted."""

    user_id: str
    address: str
    state: str
    invited_by: str
    sent_at: int
    expires_at: int


def invite(
    database: Database,
    mailer: Mailer,
    tenant: Tenant,
    *,
    email: str,
    by: By,
    inviter: str | None = None,
    claims: Mapping[str, Any] | None = None,
    roles: Sequence[str] = (),
    lifetime: int | None = None,
    require: RequireNew | None = None,
    finish: Finish | None = None,
) -> str:
    """Invite somebody and return the new user's id; ``inviter`` is the name that the mail and the page show.

    Raises :class:`Invalid`, :class:`TooManyRequests` where the mailbox has had enough, or :class:`Conflict` where the address has an
    account: then nothing is mailed. ``require`` judges the user to be, in the same transaction.
    """
    with database.reading() as conn:
        schema = profile.load(conn)
    new = replace(checked(email, email, claims, roles, schema), is_verified=False)

    def work(conn: Connection) -> None:
        if require is not None:
            require(conn, new)
        found = users.find_owner(conn, new.key, new.address)
        if found is not None:
            raise Conflict(_EXISTS.get(found.state, "This address has an account already; nothing was sent."))
        _count(conn, email, by)
        insert(conn, new, password_hash=None, must_change=False, state="invited")
        user = locked(conn, new.id)
        send(conn, mailer, tenant, user, by=by.actor, inviter=inviter, lifetime=lifetime)
        record(conn, "invitation.sent", new.id, by, {"roles": list(new.roles)})
        if finish is not None:
            finish(conn, user)

    with announced(database):
        database.writing(work)
    return new.id


def send(
    conn: Connection,
    mailer: Mailer,
    tenant: Tenant,
    user: Row[Any],
    *,
    by: str,
    inviter: str | None = None,
    lifetime: int | None = None,
    interaction: str | None = None,
) -> None:
    """Make an invited user's link, which kills the older ones, and mail it, in the caller's transaction."""
    lifetime = lifetime or tenant.settings.invitation_lifetime
    kept = {"inviter": inviter, "interaction": interaction}
    link = links.make(
        conn, tenant, KIND, PATH, user_id=user.id, address=user.email, lifetime=lifetime, by=by, payload=kept
    )
    claims = user.claims or {}
    told = {"name": claims.get("name"), "inviter": inviter, "hours": lifetime // 3600, "minutes": lifetime // 60}
    language = claims.get("locale")
    mailer.enqueue(conn, tenant, KIND, user.email, language=language, lifetime=lifetime, link=link.url, **told)


def send_again(
    conn: Connection,
    mailer: Mailer,
    tenant: Tenant,
    user: Row[Any],
    *,
    by: str | None = None,
    lifetime: int | None = None,
    interaction: str | None = None,
) -> None:
    """Send an invited person a new link, as from whoever invited them; ``by`` is who sends it, None whoever sent the last."""
    before = [row for row in one_time_links.list_of_user(conn, user.id, _MOST_BEFORE) if row.kind == KIND]
    inviter = next((row.payload["inviter"] for row in before if row.payload.get("inviter")), None)
    by = by or (before[0].created_by if before else _NOBODY)
    send(conn, mailer, tenant, user, by=by, inviter=inviter, lifetime=lifetime, interaction=interaction)


def resend(
    database: Database,
    mailer: Mailer,
    tenant: Tenant,
    user_id: str,
    *,
    by: By,
    lifetime: int | None = None,
    require: Require | None = None,
) -> None:
    """Send an invitation again; the older link dies. Raises :class:`NotFound`, :class:`Conflict` or :class:`TooManyRequests`."""

    def work(conn: Connection) -> None:
        user = _invited(conn, user_id, require)
        _count(conn, user.email, by)
        send_again(conn, mailer, tenant, user, by=by.actor, lifetime=lifetime)
        record(conn, "invitation.sent", user_id, by, {"again": True})

    with announced(database):
        database.writing(work)


def cancel(database: Database, user_id: str, *, by: By, require: Require | None = None) -> None:
    """Take an invitation back: the link dies and the name is free again. Raises :class:`NotFound` or :class:`Conflict`."""

    def work(conn: Connection) -> None:
        _invited(conn, user_id, require)
        remove(conn, user_id)
        record(conn, "invitation.cancelled", user_id, by)

    with announced(database):
        database.writing(work)


def list_all(conn: Connection) -> list[Invitation]:
    """Return the newest invitation of each person, the newest first; accepted ones as long as their links are kept."""
    found: dict[str, Invitation] = {}
    # One that was sent again in the same second is as new as the one that it revoked.
    for row in sorted(one_time_links.list_of_kind(conn, KIND), key=lambda row: row.revoked_at is not None):
        if row.user_id not in found:
            found[row.user_id] = shown(row)
    return list(found.values())


def search(database: Database, *, state: str | None, **window: Any) -> tuple[list[Invitation], Sequence[Row[Any]], int]:
    """Return a page of invitations, each person's newest, with their rows, and how many there are."""
    with database.reading() as conn:
        rows, total = one_time_links.search_newest(conn, KIND, state=state, **window)
    return [shown(row) for row in rows], rows, total


def shown(row: Row[Any]) -> Invitation:
    """Return the invitation that a link is."""
    state = "accepted" if row.used_at else "expired" if now() >= row.expires_at else "waiting"
    return Invitation(row.user_id, row.address, state, row.created_by, row.created_at, row.expires_at)


def accept(database: Database, tenant: Tenant, opened: Opened, password_hash: str, *, by: By) -> None:
    """Make an invited person's account active, with a password that was checked and hashed; the address counts as verified.

    Raises :class:`~idp.identity.link_use.Gone`.
    """

    def work(conn: Connection) -> None:
        user = link_use.use(conn, opened.link)
        lifecycle.enter(conn, user, "active", "invitation_accepted", email_verified=True)
        write_password(conn, tenant, user.id, password_hash)
        record(conn, "invitation.accepted", user.id, by)

    with announced(database):
        database.writing(work)


def _invited(conn: Connection, user_id: str, require: Require | None) -> Row[Any]:
    user = locked(conn, user_id, require)
    if user.state != "invited":
        raise Conflict(f"This account is not invited but {user.state}; there is no invitation to change.")
    return user


def _count(conn: Connection, address: str, by: By) -> None:
    """Count an invitation to a mailbox, also one that was taken back meanwhile; operators may send as many as they like."""
    if by.is_operator:
        return
    sent, ends_at = attempts.count_one(conn, opaque.digest(f"invitation to\n{mailbox_of(address)}"), WINDOW)
    if sent > MOST_SENT:
        raise TooManyRequests(retry_after=max(1, ends_at - now()))
