"""What a scope means, in words for the consent page, with what it would show about this person (OIDC Core §5.4, §11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp import language
from idp.identity.claims import claims_for
from idp.identity.profile import label_in
from idp.identity.profile_schema import DEFAULT
from idp.language import N_, gettext

if TYPE_CHECKING:
    from idp.identity.profile_schema import Attribute, Schema

_WORDS = {  # scope → (icon, sentence), in the order of the page
    "openid": ("user", N_("Know who you are and recognise you when you come back")),
    "profile": ("id", N_("See your name and profile")),
    "email": ("mail", N_("See your email address")),
    "phone": ("phone", N_("See your telephone number")),
    "address": ("pin", N_("See your postal address")),
    "roles": ("id", N_("See your roles here")),
    "groups": ("id", N_("See which groups you are in")),
    "permissions": ("id", N_("See what you may do")),
    "authsec": ("key", N_("Administer this service with everything that you may do here")),
    "offline_access": ("clock", N_("Keep access while you are not there, until you withdraw it")),
}


CLAIM = "claim:"  # what stands before the name of a single claim that is asked for
_CLAIM_WORDS = {
    "name": N_("name"),
    "family_name": N_("family name"),
    "given_name": N_("given name"),
    "middle_name": N_("middle name"),
    "nickname": N_("nickname"),
    "preferred_username": N_("username"),
    "profile": N_("profile page"),
    "picture": N_("picture"),
    "website": N_("website"),
    "gender": N_("gender"),
    "birthdate": N_("date of birth"),
    "zoneinfo": N_("time zone"),
    "locale": N_("language"),
    "updated_at": N_("date of the last change"),
    "email": N_("email address"),
    "email_verified": N_("email address"),
    "address": N_("postal address"),
    "phone_number": N_("telephone number"),
    "phone_number_verified": N_("telephone number"),
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
                    "text": N_("See: %(what)s", what=", ".join(labels)),
                    "detail": _own_detail(scope, user, schema),
                }
            )
    others = [scope for scope in others if scope not in schema.own_scopes]
    if claims:
        words = tuple(dict.fromkeys(_CLAIM_WORDS.get(claim) or own.get(claim, claim) for claim in claims))
        found.append({"icon": "id", "text": N_("See your %(claims)s", claims=words), "detail": None})
    return found + [
        {"icon": "key", "text": N_("Use the permission “%(scope)s”", scope=scope), "detail": None} for scope in others
    ]


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
