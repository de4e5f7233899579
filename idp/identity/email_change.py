"""Changing an account's e-mail address: a link to the new one proves that it can be read, the old one is told (ASVS 6.3.7).

A link is bound to the user, the address and the session that asked: opened elsewhere it changes nothing (security case S092).
Whoever asks for an address that another account has is answered like everybody else; that account's owner is told by mail.
Must not know pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.clock import now
from idp.errors import Conflict, Invalid, NotFound, TooManyRequests
from idp.identity import lifecycle, links, notices, session_end
from idp.identity.accounts import By, check_email, fold, is_username, mailbox_of
from idp.jobs.outbox import announced
from idp.language import N_, current
from idp.store.tenant import attempts, one_time_links, sessions, users

if TYPE_CHECKING:
    from idp.identity.notices import Origin
    from idp.notify.mailer import Mailer
    from idp.store.db import Database
    from idp.store.rows import Connection, Row
    from idp.tenancy.tenant import Tenant

KIND = lifecycle.EMAIL_CHANGE
PATH = "/account/email/confirm"
LIFETIME = 3600  # seconds
WINDOW = 3600  # seconds in which mails are counted
MOST_ASKED = 5  # by one account in the window; then it is told to wait
MOST_SENT = 5  # to one mailbox in the window, whoever asks; then nothing more is sent, and nobody is told


class AddressTaken(Conflict):
    """Somebody else's account has taken the address since the link was sent."""

    title = N_("The address belongs to another account by now.")


def ask(
    database: Database,
    mailer: Mailer,
    tenant: Tenant,
    user: Row[Any],
    address: str,
    *,
    session_id: str,
    origin: Origin,
    by: By,
) -> str:
    """Send a link to a new address and return it in its normal form; older links for the account's address die.

    Raises :class:`Invalid` for what is no address or the account's already, :class:`TooManyRequests` for the sixth in an hour.
    """
    wanted = check_email(address)
    if wanted == user.email and user.email_verified:
        raise Invalid(N_("This is your address already"), errors={"email": "the same address"})

    def work(conn: Connection) -> None:
        asked, ends = attempts.count_one(conn, opaque.digest(f"email change of\n{user.id}"), WINDOW)
        if asked > MOST_ASKED:
            raise TooManyRequests(retry_after=max(1, ends - now()))
        sent, _ = attempts.count_one(conn, opaque.digest(f"email change to\n{mailbox_of(wanted)}"), WINDOW)
        # Both ways write as much, and leave the account without a link from before.
        one_time_links.revoke_of_user(conn, user.id, KIND)
        if sent <= MOST_SENT:
            _send(conn, mailer, tenant, user, wanted, session_id=session_id, origin=origin)
        _record(conn, "user.email_change_asked", user.id, session_id, by)

    with announced(database):
        database.writing(work)
    return wanted


def _send(
    conn: Connection, mailer: Mailer, tenant: Tenant, user: Row[Any], wanted: str, *, session_id: str, origin: Origin
) -> None:
    # The other account that is signed in to by this address, or has it; as a sign-up judges it.
    owner = users.find_with_address(conn, fold(wanted), wanted, but=user.id)
    if owner is not None:
        if owner.state == "active":
            language = (owner.claims or {}).get("locale")  # not that of whoever asks, who is somebody else
            mailer.enqueue(
                conn,
                tenant,
                "email_taken",
                owner.email or wanted,
                language=language,
                lifetime=LIFETIME,
                address=wanted,
            )
        return
    payload = {"address": wanted, "old": user.email, "session": session_id}
    link = links.make(
        conn, tenant, KIND, PATH, user_id=user.id, address=wanted, lifetime=LIFETIME, by=user.id, payload=payload
    )
    mailer.enqueue(
        conn,
        tenant,
        "email_change",
        wanted,
        language=current().tag,
        lifetime=LIFETIME,
        # Nothing that whoever asks could have written: the mail goes to somebody who may not know them.
        link=link.url,
        source=origin.source,
        user_agent=origin.agent,
        minutes=LIFETIME // 60,
    )


def find(database: Database, token: str, session: Row[Any] | None) -> Row[Any] | None:
    """Return the row of a link that the session at hand may use, None for a link that nobody can use any more.

    Raises :class:`NotFound` when the link is good, but for another session than this one.
    """
    row = links.find(database, KIND, token)
    if row is None:
        return None
    if session is None or session.user_id != row.user_id or session.id != row.payload.get("session"):
        raise NotFound
    return row


def apply(
    database: Database, mailer: Mailer, tenant: Tenant, link: Row[Any], *, ends_others: bool, origin: Origin, by: By
) -> bool:
    """Give the account its new address, the username too where that was the old address; False when the link is used up.

    ``ends_others`` ends every other session and its tokens. Every other link of the account dies: it went to the old address.
    Raises :class:`AddressTaken`.
    """
    payload = link.payload
    session_id, wanted = payload["session"], payload["address"]

    def work(conn: Connection) -> bool:
        user = users.find_locked(conn, link.user_id)
        if user is None or user.state != "active" or user.email != payload["old"]:
            return False
        if sessions.find_open(conn, session_id) is None:  # it was ended while the form was under way
            return False
        key = fold(wanted)
        if users.find_owner(conn, key, wanted, but=user.id) is not None:
            raise AddressTaken
        if not one_time_links.consume(conn, link.id):
            return False
        values: dict[str, Any] = {"email": wanted, "email_verified": True}
        if user.email is not None and user.username_key == fold(user.email) and is_username(key):
            values |= {"username": wanted, "username_key": key}
        users.change(conn, user.id, **values)
        one_time_links.revoke_of_user(conn, user.id)
        ended = session_end.end_all_of(conn, user.id, "email_changed", but=session_id) if ends_others else 0
        details = {"username_changed": "username" in values, "sessions_ended": ended}
        _record(conn, "user.email_changed", user.id, session_id, by, details)
        notices.tell(conn, mailer, tenant, "email_changed", user.email, origin)
        return True

    try:
        with announced(database):
            return database.writing(work)
    except Conflict as error:  # an operator has just given the name to somebody
        raise AddressTaken from error


def _record(
    conn: Connection, kind: str, user_id: str, session_id: str, by: By, details: dict[str, Any] | None = None
) -> None:
    audit.record(
        conn,
        kind,
        outcome="success",
        actor=by.actor,
        subject=user_id,
        session_id=session_id,
        source=by.source,
        correlation_id=by.correlation_id,
        details=details,
    )
