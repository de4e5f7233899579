"""The overview: who is signed in, and what needs attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.account.protocol import ROOT
from idp.identity import terms
from idp.language import N_, NN_, gettext, translated
from idp.store.tenant import sessions

if TYPE_CHECKING:
    from idp.account.visit import Visit
    from idp.web.http import Response

MOST_COUNTED = 100
MOST_SHOWN = 5  # versions of the terms; the file of one's own data has all of them


def show(visit: Visit) -> Response:
    """Answer the page."""
    user, base = visit.user, visit.server.tenant.base_path
    with visit.server.database.reading() as conn:
        live = sessions.list_live_of(conn, user.id, MOST_COUNTED)
        accepted = terms.accepted(conn, user.id)
    others = len([row for row in live if row.id != visit.session.id])
    attention: list[dict[str, Any]] = []
    if user.email is None:
        text = gettext(N_("Your account has no email address. Without one nobody can tell you when something changes."))
        attention.append({"text": text, "url": f"{base}{ROOT}/email", "words": gettext(N_("Add an email address"))})
    elif not user.email_verified:
        text = gettext(N_("Your email address has not been confirmed."))
        attention.append({"text": text, "url": f"{base}{ROOT}/email", "words": gettext(N_("Confirm your address"))})
    if others:
        text = translated(
            NN_(
                "Your account is signed in on %(count)s other device.",
                "Your account is signed in on %(count)s other devices.",
                others,
                count=others,
            )
        )
        attention.append({"text": text, "url": f"{base}{ROOT}/sessions", "words": gettext(N_("Look at the devices"))})
    changed = user.password_changed_at
    return visit.page(
        "account.html",
        account={"name": (user.claims or {}).get("name"), "username": user.username},
        email=user.email,
        is_verified=bool(user.email_verified),
        attention=attention,
        signed_in=visit.moment(visit.session.auth_time),
        password_changed=visit.moment(changed) if changed else None,
        created=visit.moment(user.created_at),
        terms=[{"version": row.version, "at": visit.moment(row.accepted_at)} for row in accepted[:MOST_SHOWN]],
    )
