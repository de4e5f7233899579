"""The profile: the standard claims that people may change about themselves (OpenID Connect Core §5.1).

Owns which claims those are and how a form becomes claims: what is not in the list cannot be set, whatever is sent, and claims
that are not in it stay as they are. Two changes at once never overwrite one another: the form carries a digest of what it showed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import audit, opaque
from idp.errors import Invalid
from idp.identity import standard_claims
from idp.language import N_, gettext, translated
from idp.store.tenant import users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.account.visit import Visit
    from idp.store.rows import Connection
    from idp.web.http import Response

_TEXT = N_("Use at most 1000 characters, and none that cannot be seen")


@dataclass(frozen=True, slots=True)
class Field:
    """One claim, or one member of the address, as the form asks for it."""

    name: str
    label: str
    autocomplete: str
    wrong: str = _TEXT
    hint: str | None = None
    type: str = "text"
    is_address: bool = False


EDITABLE: tuple[Field, ...] = (
    Field("name", N_("Full name"), "name"),
    Field("given_name", N_("Given name"), "given-name"),
    Field("family_name", N_("Family name"), "family-name"),
    Field("nickname", N_("Nickname"), "nickname"),
    Field(
        "birthdate",
        N_("Date of birth"),
        "bday",
        N_("Enter a date such as 1985-12-24, or the year alone"),
        N_("Year, month and day, such as 1985-12-24, or the year alone."),
    ),
    Field(
        "phone_number",
        N_("Telephone number"),
        "tel",
        N_("Enter a telephone number such as +49 30 1234567"),
        N_("With the country’s code, such as +49 30 1234567."),
        "tel",
    ),
    Field(
        "locale",
        N_("Language"),
        "language",
        N_("Enter a language such as en or de-AT"),
        N_("Its short form, such as en or de-AT."),
    ),
    Field(
        "zoneinfo",
        N_("Time zone"),
        "off",
        N_("Enter a time zone such as Europe/Berlin"),
        N_("Such as Europe/Berlin; times on these pages follow it."),
    ),
    Field("street_address", N_("Street and number"), "street-address", is_address=True),
    Field("postal_code", N_("Postal code"), "postal-code", is_address=True),
    Field("locality", N_("Town"), "address-level2", is_address=True),
    Field("region", N_("State or region"), "address-level1", is_address=True),
    Field("country", N_("Country"), "country-name", is_address=True),
)


def show(visit: Visit) -> Response:
    """Answer the form; with what was typed before a sign-in that came between."""
    stored = visit.user.claims or {}
    typed = visit.typed
    values = {field.name: typed.get(field.name, _value(stored, field)) for field in EDITABLE}
    return _page(visit, stored, values, [], revision=typed.get("revision") or revision_of(stored))


def submit(visit: Visit) -> Response:
    """Save the profile, unless it was changed since the form was shown."""
    sent = {name for name, _ in visit.request.form}
    stored = visit.user.claims or {}
    # A field that was not sent is not emptied: a page of an older release may know fewer.
    values = {
        field.name: visit.field(field.name).replace("\r\n", "\n").strip()
        if field.name in sent
        else _value(stored, field)
        for field in EDITABLE
    }
    errors = _problems(values, stored)
    if errors:
        return _page(visit, stored, values, errors, revision=visit.field("revision"), status=400)

    def work(conn: Connection) -> Mapping[str, Any] | None:
        """Save; return what is stored instead where that is no longer what the form showed."""
        current = users.find_locked(conn, visit.user.id)
        before = (current.claims if current is not None else None) or {}
        after = merged(before, values)
        if after != before and revision_of(before) != visit.field("revision"):
            return before
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if changed:
            users.change(conn, visit.user.id, claims=after)
            _record(conn, visit, changed)
        return None

    meanwhile = visit.server.database.writing(work)
    if meanwhile is not None:
        message = gettext(
            N_(
                "Your profile was changed meanwhile, in another window or by an administrator. What you typed is still here; where it differs, the page says what is saved now. Save again to keep yours"
            )
        )
        return _page(
            visit, meanwhile, values, [(None, message)], revision=revision_of(meanwhile), status=409, is_stale=True
        )
    return visit.done("profile")


def revision_of(claims: Mapping[str, Any]) -> str:
    """Return a digest of what is stored: it changes with every change, two in one second too."""
    return opaque.digest(json.dumps(claims, sort_keys=True))[:32]


def merged(stored: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return the claims with what the form says in place of the editable ones; an empty field takes its claim away."""
    found = dict(stored)
    address = dict(stored.get("address") or {})
    for field in EDITABLE:
        value, target = values[field.name], address if field.is_address else found
        if value == _value(stored, field):
            continue
        if value:
            target[field.name] = value
        else:
            target.pop(field.name, None)
        if field.is_address:
            address.pop("formatted", None)  # it would say what the parts no longer do
        if field.name == "phone_number":
            found.pop("phone_number_verified", None)  # another number is another question
            if value:
                found["phone_number_verified"] = False
    found.pop("address", None)
    return {**found, **({"address": address} if address else {})}


def _value(stored: Mapping[str, Any], field: Field) -> str:
    place = (stored.get("address") or {}) if field.is_address else stored
    value = place.get(field.name)
    return value if isinstance(value, str) else ""


def _problems(values: Mapping[str, str], stored: Mapping[str, Any]) -> list[tuple[str | None, str]]:
    found: list[tuple[str | None, str]] = []
    for field in EDITABLE:
        value = values[field.name]
        if not value or value == _value(stored, field):
            continue
        try:
            standard_claims.check({"address": {field.name: value}} if field.is_address else {field.name: value})
        except Invalid:
            found.append((field.name, gettext(field.wrong)))
    return found


def _page(
    visit: Visit,
    stored: Mapping[str, Any],
    values: Mapping[str, str],
    errors: list[tuple[str | None, str]],
    *,
    revision: str,
    status: int = 200,
    is_stale: bool = False,
) -> Response:
    def shown(field: Field) -> dict[str, Any]:
        saved = _value(stored, field)
        hint = gettext(field.hint) if field.hint else None
        if is_stale and saved != values[field.name]:
            hint = translated(N_("Saved now: %(value)s", value=saved or gettext(N_("nothing"))))
        return {
            "name": field.name,
            "label": gettext(field.label),
            "autocomplete": field.autocomplete,
            "type": field.type,
            "hint": hint,
            "value": values[field.name],
            "has_lines": field.name == "street_address",
        }

    return visit.page(
        "account_profile.html",
        status=status,
        fields=[shown(field) for field in EDITABLE if not field.is_address],
        address=[shown(field) for field in EDITABLE if field.is_address],
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
