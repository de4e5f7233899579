"""What a scope means, in words for the consent page, with what it would show about this person (OIDC Core §5.4, §11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import language
from idp.identity.claims import claims_for
from idp.identity.profile import label_in
from idp.identity.profile_schema import DEFAULT
from idp.language import gettext

if TYPE_CHECKING:
    from idp.identity.profile_schema import Attribute, Schema

_WORDS = {  # scope → (icon, sentence), in the order of the page
    "openid": ("user", "Know who you are and recognise you when you come back"),
    "profile": ("id", "See your name and profile"),
    "email": ("mail", "See your email address"),
    "phone": ("phone", "See your telephone number"),
    "address": ("pin", "See your postal address"),
    "offline_access": ("clock", "Keep access while you are not there, until you withdraw it"),
}


CLAIM = "claim:"  # what stands before the name of a single claim that is asked for
_CLAIM_WORDS = {
    "name": "name",
    "family_name": "family name",
    "given_name": "given name",
    "middle_name": "middle name",
    "nickname": "nickname",
    "preferred_username": "username",
    "profile": "profile page",
    "picture": "picture",
    "website": "website",
    "gender": "gender",
    "birthdate": "date of birth",
    "zoneinfo": "time zone",
    "locale": "language",
    "updated_at": "date of the last change",
    "email": "email address",
    "email_verified": "email address",
    "address": "postal address",
    "phone_number": "telephone number",
    "phone_number_verified": "telephone number",
}


def described(scopes: list[str], user: Any, schema: Schema = DEFAULT) -> list[dict[str, str | None]]:
    """Return what the page shows of each scope: text, icon and the person's own data where there is some.

    Attributes of the tenant's own are named by their labels in ``schema``, also where they come with a standard scope.
    """
    own = {
        name: label_in(each.label, language.current().tag)
        for name, each in schema.by_name.items()
        if not each.is_standard
    }
    known = [scope for scope in _WORDS if scope in scopes]
    claims = [scope.removeprefix(CLAIM) for scope in scopes if scope.startswith(CLAIM)]
    others = [scope for scope in dict.fromkeys(scopes) if scope not in _WORDS and not scope.startswith(CLAIM)]
    found: list[dict[str, str | None]] = [
        {"icon": _WORDS[scope][0], "text": _WORDS[scope][1], "detail": _detail(scope, user)} for scope in known
    ]
    for scope in dict.fromkeys([*known, *others]):
        labels = [own[claim] for claim in schema.release.by_scope.get(scope, ()) if claim in own]
        if labels:
            found.append(
                {
                    "icon": "id",
                    "text": gettext("See: %(what)s") % {"what": ", ".join(labels)},
                    "detail": _own_detail(scope, user, schema),
                }
            )
    others = [scope for scope in others if scope not in schema.own_scopes]
    if claims:
        words = list(dict.fromkeys(_CLAIM_WORDS.get(claim) or own.get(claim, claim) for claim in claims))
        found.append({"icon": "id", "text": f"See your {_listed(words)}", "detail": None})
    return found + [{"icon": "key", "text": f"Use the permission “{scope}”", "detail": None} for scope in others]


def _listed(words: list[str]) -> str:
    """Return words as a sentence lists them."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _own_detail(scope: str, user: Any, schema: Schema) -> str | None:
    """Return the person's values of the tenant's own attributes that a scope shows."""
    stored = user.claims or {}
    names = [claim for claim in schema.release.by_scope[scope] if claim in schema.own_claims]
    return ", ".join(_shown(schema.by_name[name], stored[name]) for name in names if name in stored) or None


def _shown(attribute: Attribute, value: Any) -> str:
    """Return a value as a person reads it."""
    tag = language.current().tag
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return next((label_in(each.label, tag) for each in attribute.values if each.value == value), str(value))


def _detail(scope: str, user: Any) -> str | None:
    claims = claims_for(user, frozenset({scope}))
    if scope == "profile":
        parts = (claims.get("given_name"), claims.get("family_name"))
        return claims.get("name") or " ".join(part for part in parts if part) or None
    if scope == "address":
        address = claims.get("address") or {}
        lines = address.get("formatted") or ", ".join(str(part) for part in address.values())
        return " ".join(lines.split()) or None
    value = {"email": claims.get("email"), "phone": claims.get("phone_number")}.get(scope)
    return str(value) if value else None
