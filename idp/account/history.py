"""One's own history: sign-ins and what changed, read from the audit trail, in words.

Failed sign-ins reach the table when the worker has drained the spool, so the newest may be missing for a moment. Tokens and
authorizations are left out: applications ask for them by themselves, all day long.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from idp.account.applications import names_of
from idp.language import N_, gettext
from idp.store.tenant import audit_events

if TYPE_CHECKING:
    from idp.account.visit import Visit
    from idp.store.rows import Row
    from idp.web.http import Response

A_PAGE = 50
BEFORE = "before"  # the parameter that says where a page begins: the last one's time and number
_POSITION = re.compile(r"([0-9]{1,12})-([0-9]{1,18})", re.ASCII)

# kind → what happened; a test holds that each that can be recorded about a person is here
KINDS = {
    "login.succeeded": N_("Signed in"),
    "login.failed": N_("A sign-in failed"),
    "session.ended": N_("Signed out"),
    "session.chosen": N_("This account was chosen among several in one browser"),
    "signup.requested": N_("Somebody wanted to make another account with this email address"),
    "invitation.sent": N_("An invitation was sent"),
    "invitation.accepted": N_("The invitation was accepted"),
    "invitation.cancelled": N_("The invitation was cancelled"),
    "recovery.mailed": N_("A mail for a forgotten password was sent"),
    "unlock.mailed": N_("A mail that leads out of the lock was sent"),
    "terms.accepted": N_("The terms of use were accepted"),
    "user.signed_up": N_("The account was made by a sign-up"),
    "user.unlocked": N_("The lock after too many failed sign-ins was ended"),
    "user.deleted": N_("The account was deleted"),
    "user.restored": N_("The account was restored"),
    "user.purged": N_("The account was removed for good"),
    "user.created": N_("The account was created"),
    "user.disabled": N_("The account was disabled"),
    "user.enabled": N_("The account was enabled again"),
    "user.password_changed": N_("The password was changed"),
    "user.password_reset": N_("Another password was asked for by the people who run this service"),
    "user.password_refused": N_("The current password was not confirmed"),
    "user.profile_changed": N_("The profile was changed"),
    "user.email_change_asked": N_("Another email address was asked for"),
    "user.email_changed": N_("The email address was changed"),
    "user.sessions_ended": N_("All other devices were signed out"),
    "user.data_exported": N_("The account’s data was downloaded"),
    "role_binding.created": N_("A role was given to the account"),
    "role_binding.updated": N_("A role of the account was changed"),
    "role_binding.deleted": N_("A role was taken from the account"),
    "group.user_added": N_("The account was put into a group"),
    "group.user_removed": N_("The account was taken out of a group"),
    "consent.granted": N_("An application was allowed access"),
    "consent.denied": N_("An application was not allowed access"),
    "consent.withdrawn": N_("An application’s access was taken back"),
    "code.reused": N_("An application’s access ended, because a code was used twice"),
    "refresh_token.reused": N_("An application’s access ended, because a token was used twice"),
    "token.withdrawn": N_("An application’s access was ended"),
    "token.revoked": N_("An application gave its access back"),
}
# The reason of a failure, or of an end → in words
REASONS = {
    "wrong_password": N_("The password was wrong"),
    "unknown_account": N_("There is no such account"),
    "disabled_account": N_("The account is disabled"),
    "account_locked": N_("There were too many attempts"),
    "source_locked": N_("There were too many attempts from this address"),
    "logout": N_("You signed out"),
    "ended_by_user": N_("Signed out from the list of devices"),
    "signed_out_by_program": N_("Signed out in the application"),
    "another_user_signed_in": N_("Somebody else signed in with this browser"),
}


def show(visit: Visit) -> Response:
    """Answer a page of fifty, the newest first."""
    given = [value for name, value in visit.request.args if name == BEFORE]
    position = _POSITION.fullmatch(given[0]) if len(given) == 1 else None
    before = (int(position[1]), int(position[2])) if position is not None else None
    with visit.server.database.reading() as conn:
        found = audit_events.list_of_subject(conn, visit.user.id, A_PAGE + 1, before)
        names = names_of(conn, {row.client_id for row in found if row.client_id})
    rows = found[:A_PAGE]
    older = f"{visit.url}?{BEFORE}={rows[-1].at}-{rows[-1].seq}" if len(found) > A_PAGE else None
    return visit.page(
        "account_history.html",
        events=[_shown(visit, row, names) for row in rows],
        older_url=older,
        newest_url=visit.url if before is not None else None,
    )


def _shown(visit: Visit, row: Row[Any], names: dict[str, str]) -> dict[str, Any]:
    words = KINDS.get(row.kind)
    reason = REASONS.get(str((row.details or {}).get("reason")))
    return {
        "text": gettext(words) if words is not None else gettext(N_("Something else was recorded")),
        "kind": None if words is not None else row.kind,
        "reason": gettext(reason) if reason is not None else None,
        "is_failure": row.outcome == "failure",
        "at": visit.moment(row.at),
        "source": row.source,
        "application": names.get(row.client_id) if row.client_id else None,
        "by": _actor(visit, row),
    }


def _actor(visit: Visit, row: Row[Any]) -> str | None:
    """Return who did it where it was not the person: an application is named anyway, nobody is known of a failed sign-in."""
    actor = row.actor or ""
    if actor in ("", visit.user.id) or actor.startswith("client:"):
        return None
    return gettext(N_("By the system")) if actor == "worker" else gettext(N_("By an administrator"))
