"""The profile: what the tenant's schema says that a person has (OpenID Connect Core §5.1, and attributes of the tenant's own).

What only administrators change is shown and never taken from a form, and what is not in the schema stays as it is. Two changes at
once never overwrite one another: the form carries a digest of what it showed. What a value may be is :mod:`idp.identity.profile`'s.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from idp import audit, language, opaque
from idp.identity import profile
from idp.language import N_, gettext
from idp.store.tenant import users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.account.visit import Visit
    from idp.identity.profile_schema import Schema
    from idp.store.rows import Connection
    from idp.web.http import Response

_Errors = list[tuple[str | None, str]]
REVISION = "revision"
_MEANWHILE = N_(
    "Your profile was changed meanwhile, in another window or by an administrator. What you typed is still here; where it differs, the page says what is saved now. Save again to keep yours"
)


def show(visit: Visit) -> Response:
    """Answer the form; with what was typed before a sign-in that came between."""
    schema, stored = visit.server.profile, visit.user.claims or {}
    before = visit.typed
    typed = profile.from_form(schema, "user", before.items()) if before else {}
    return _page(visit, stored, typed, [], revision=before.get(REVISION) or revision_of(schema, stored))


def submit(visit: Visit) -> Response:
    """Save the profile, unless it was changed since the form was shown."""
    schema, stored = visit.server.profile, visit.user.claims or {}
    typed = profile.from_form(schema, "user", visit.request.form)
    clean, wrong = profile.check(
        schema, profile.changed(schema, typed, stored), "user", language=language.current().tag
    )
    if wrong:
        errors: _Errors = [(f"{profile.PREFIX}{name}", sentence) for name, sentence in wrong.items()]
        return _page(visit, stored, typed, errors, revision=visit.field(REVISION), status=400)

    def work(conn: Connection) -> Mapping[str, Any] | None:
        """Save; return what is stored instead where that is no longer what the form showed."""
        current = users.find_locked(conn, visit.user.id)
        before = (current.claims if current is not None else None) or {}
        after = profile.applied(before, clean)
        if after != before and revision_of(schema, before) != visit.field(REVISION):
            return before
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if changed:
            users.change(conn, visit.user.id, claims=after)
            _record(conn, visit, changed)
        return None

    meanwhile = visit.server.database.writing(work)
    if meanwhile is not None:
        errors = [(None, gettext(_MEANWHILE))]
        revision = revision_of(schema, meanwhile)
        return _page(visit, meanwhile, typed, errors, revision=revision, status=409, is_stale=True)
    return visit.done("profile")


def revision_of(schema: Schema, claims: Mapping[str, Any]) -> str:
    """Return a digest of what a form shows: it changes with every change, two in one second too, and with the form's fields."""
    fields = [attribute.name for attribute in profile.editable(schema, "user")]
    return opaque.digest(json.dumps([fields, claims], sort_keys=True))[:32]


def _page(
    visit: Visit,
    stored: Mapping[str, Any],
    typed: Mapping[str, Any],
    errors: _Errors,
    *,
    revision: str,
    status: int = 200,
    is_stale: bool = False,
) -> Response:
    schema, tag = visit.server.profile, language.current().tag
    values = {**stored, **typed}
    saved_now: dict[str, str] = {}
    if is_stale:
        saved, wanted = profile.in_words(schema, tag, stored), profile.in_words(schema, tag, values)
        saved_now = {name: words or gettext(N_("nothing")) for name, words in saved.items() if words != wanted[name]}
    return visit.page(
        "account_profile.html",
        status=status,
        fields=profile.fields_for(schema, "user", tag, values, stored),
        saved_now=saved_now,
        revision=revision,
        errors=errors,
    )


def _record(conn: Connection, visit: Visit, changed: list[str]) -> None:
    """Record which claims were changed, not what they say: audit events outlive the account."""
    by = visit.by
    audit.record(
        conn,
        "user.profile_changed",
        outcome="success",
        actor=by.actor,
        subject=visit.user.id,
        session_id=visit.session.id,
        source=by.source,
        correlation_id=by.correlation_id,
        details={"claims": changed},
    )
