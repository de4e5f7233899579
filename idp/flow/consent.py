"""The step in which a person allows a client what it asks for (OIDC Core §3.1.2.4; RFC 6749 §10.2).

Owns when consent is needed, its memory per client and scope, and the form. The form carries a decision and nothing else: what
is consented to is what the interaction stored, and it is consented by the account that the page showed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import audit
from idp.flow import interaction as interactions
from idp.flow import pages
from idp.flow.dispatcher import proceed, refuse
from idp.flow.preamble import form_token
from idp.flow.scope_words import CLAIM, described
from idp.store.tenant import consents, users
from idp.web.http import redirect

if TYPE_CHECKING:
    from idp.audit import Outcome
    from idp.flow.dispatcher import Context
    from idp.store.rows import Connection, Row
    from idp.web.http import Response


class Consent:
    """The step; asked unless everything was granted before and the request does not ask for it again."""

    name = "consent"
    path = "/consent"
    refusal = "consent_required"

    def is_needed(self, context: Context) -> bool:
        """Say whether a scope has not been granted yet, or ``prompt=consent`` asks once more."""
        if context.interaction.request.get("first_party"):
            return False
        scopes = _scopes(context)
        given = context.interaction.state.get("consented") or {}
        live = context.session
        if live is not None and given.get("user") == live.user_id and scopes <= set(given["scopes"]):
            return False
        if "consent" in context.interaction.prompt:
            return True
        if not scopes or live is None:
            return bool(scopes)
        with context.server.database.reading() as conn:
            granted = consents.scopes_of(conn, live.user_id, context.interaction.client_id)
        # Who allowed a scope has allowed each of its claims (OIDC Core §5.4).
        by_scope = context.server.profile.release.by_scope
        covered = {f"{CLAIM}{claim}" for scope in granted for claim in by_scope.get(scope, ())}
        return not scopes <= granted | covered

    def shows(self, context: Context) -> str:
        """Promise that the account shown is the one that consents."""
        return context.session.id if context.session is not None else ""

    def show(self, context: Context) -> Response:
        """Answer the page: who asks, for what, about whom, and where it leads."""
        live, request = context.session, context.interaction.request
        user: Row[Any] | None = None
        if live is not None:
            with context.server.database.reading() as conn:
                user = users.find(conn, live.user_id)
        if live is None or user is None:
            return proceed(context)
        return pages.interaction_page(
            context.server,
            context.request,
            context.interaction,
            "consent.html",
            action=context.url_of(self.path),
            csrf=form_token(context, self),
            account={"name": (user.claims or {}).get("name"), "username": user.username},
            scopes=described(
                list(request.get("consent_to") or request.get("scopes") or ()), user, context.server.profile
            ),
            redirect_host=request.get("return_host") or "",
        )

    def submit(self, context: Context) -> Response:
        """Do what was decided: allow, deny, or sign in with another account."""
        decision = context.field("action")
        live = context.session
        if live is None:
            return proceed(context)
        if decision == "approve":
            scopes, user_id = _scopes(context), live.user_id

            def approve(conn: Connection) -> None:
                consents.add(conn, user_id, context.interaction.client_id, scopes)
                _record(conn, context, "consent.granted", "success")

            context.leave(approve, consented={"user": user_id, "scopes": sorted(scopes)})
            return proceed(context)
        if decision == "deny":
            return refuse(
                context,
                "access_denied",
                "The person did not allow the access.",
                also=lambda conn: _record(conn, context, "consent.denied", "failure"),
            )
        if decision == "switch":
            # Where other accounts are live in this browser, one of them may be meant.
            asked: dict[str, Any] = {"switch": True}
            if context.others:
                asked = {"choose": True, "chosen": None, "switch": None}
            context.interaction = context.write(
                lambda conn: interactions.note(conn, context.interaction, signed_in=None, **asked)
            )
            return proceed(context)
        return redirect(303, context.url_of(self.path))


def _scopes(context: Context) -> frozenset[str]:
    request = context.interaction.request
    return frozenset(request.get("consent_to") or request.get("scopes") or ())


def _record(conn: Connection, context: Context, kind: str, outcome: Outcome) -> None:
    live = context.session
    user_id = live.user_id if live is not None else None
    audit.record(
        conn,
        kind,
        outcome=outcome,
        actor=user_id,
        client_id=context.interaction.client_id,
        subject=user_id,
        session_id=live.id if live is not None else None,
        source=context.request.remote_addr,
        correlation_id=context.request.correlation_id,
        details={"scopes": sorted(_scopes(context))},
    )


CONSENT = Consent()
