"""The schema of a tenant's profiles: which attributes a person has, what each may hold, and who sees and changes it.

Standard claims (OpenID Connect Core §5.1) and attributes of the tenant's own stand side by side; the form of the former is the
standard's. The document is judged as a whole, and what is wrong is said in a sentence that names the member. Values are judged by
:mod:`idp.identity.profile`. No tenant writes regular expressions here: one that never ends would hold up everybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from idp.errors import Invalid
from idp.identity.claims import SCOPE_CLAIMS, SCOPE_OF, STANDARD_SCOPES, Release
from idp.identity.standard_claims import LONGEST, RESERVED, is_language_tag
from idp.language import N_

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["text", "number", "boolean", "date", "choice", "email", "url", "phone", "address"]
KINDS = ("text", "number", "boolean", "date", "choice", "email", "url", "phone", "address")
PATTERNS = ("letters", "digits", "letters_digits", "identifier", "postal_code", "country", "language")
MOST_ATTRIBUTES, MOST_CHOICES, MOST_LABELS, LONGEST_LABEL = 50, 200, 30, 200
LARGEST = 10**12  # of a number's bounds
USUAL_LENGTH = 200  # characters of a text

# Names that applications read as authority: what a person may type is never found under one of them.
_AUTHORITY = frozenset(
    [
        "roles",
        "role",
        "groups",
        "group",
        "entitlements",
        "permissions",
        "scopes",
        "admin",
        "is_admin",
        "claims",
        "verified_claims",
        "authorities",
        "privileges",
        "scp",
        "is_staff",
        "is_superuser",
        "superuser",
        # what libraries of other identity providers look at
        "realm_access",
        "resource_access",
        "wids",
        "hd",
        "tid",
    ]
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_SCOPE = re.compile(r"[a-z][a-z0-9_.:-]{0,59}", re.ASCII)
# The standard claims that a form can ask for, each with the kinds it may have; what is verified is nobody's to type.
_STANDARD_KINDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("name", "given_name", "family_name", "middle_name", "nickname", "preferred_username"), ("text",)),
    **dict.fromkeys(("profile", "picture", "website"), ("url",)),
    "gender": ("text", "choice"),
    "birthdate": ("date",),
    "zoneinfo": ("text", "choice"),
    "locale": ("text", "choice"),
    "phone_number": ("phone",),
    "address": ("address",),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values of a choice."""

    value: str
    label: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a profile."""

    name: str
    label: Mapping[str, str] = field(hash=False)  # language tag → words
    type: Kind = "text"
    required: bool = False
    signup: bool = False  # whether the sign-up asks for it
    editable: Literal["user", "admin"] = "user"
    scope: str | None = None  # which scope shows it as a claim
    max_length: int = USUAL_LENGTH
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    values: tuple[Choice, ...] = ()

    @property
    def is_standard(self) -> bool:
        """Whether OpenID Connect Core §5.1 says what it means."""
        return self.name in SCOPE_OF


_JSON_TYPES: dict[str, tuple[type, ...]] = {"boolean": (bool,), "number": (int, float)}  # all others are texts
_MEMBERS = frozenset(each.name for each in fields(Attribute))


@dataclass(frozen=True)
class Schema:
    """What the profiles of a tenant have, in the order in which a form shows it."""

    attributes: tuple[Attribute, ...]

    @cached_property
    def by_name(self) -> dict[str, Attribute]:
        """The attributes by name."""
        return {attribute.name: attribute for attribute in self.attributes}

    @cached_property
    def release(self) -> Release:
        """Which scope of the tenant shows which claim: the standard's, and those of its own attributes."""
        by_scope, types = dict(SCOPE_CLAIMS), {}
        for attribute in self.attributes:
            if attribute.scope is not None and not attribute.is_standard:
                by_scope[attribute.scope] = (*by_scope.get(attribute.scope, ()), attribute.name)
                types[attribute.name] = _JSON_TYPES.get(attribute.type, (str,))
        return Release(by_scope, types)

    @cached_property
    def own_scopes(self) -> tuple[str, ...]:
        """The scopes that only this tenant has."""
        return tuple(scope for scope in self.release.by_scope if scope not in STANDARD_SCOPES)

    @cached_property
    def own_claims(self) -> tuple[str, ...]:
        """The claims that only this tenant has."""
        return tuple(claim for claim in self.release.scope_of if claim not in SCOPE_OF)


def parse(document: Any) -> Schema:
    """Return the schema of a JSON document; raises :class:`Invalid` with a sentence that names the member that is wrong."""
    if (
        not isinstance(document, dict)
        or set(document) != {"attributes"}
        or not isinstance(document["attributes"], list)
    ):
        raise Invalid('A profile schema is a JSON object with the one member "attributes", a list.')
    given = document["attributes"]
    if len(given) > MOST_ATTRIBUTES:
        raise _wrong("attributes", f"has more than {MOST_ATTRIBUTES} entries")
    found: list[Attribute] = []
    for position, each in enumerate(given):
        made = _attribute(each, f"attributes[{position}]")
        if any(made.name == other.name for other in found):
            raise _wrong(f"attributes[{position}].name", f"is {made.name} once more")
        found.append(made)
    return Schema(tuple(found))


def dump(schema: Schema) -> dict[str, Any]:
    """Return a schema as the document that :func:`parse` reads, with every member that says something."""
    return {"attributes": [_dumped(attribute) for attribute in schema.attributes]}


def _dumped(attribute: Attribute) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: getattr(attribute, name)
        for name in ("name", "label", "type", "required", "signup", "editable", "scope", "max_length")
    }
    if attribute.is_standard:
        del found["scope"]
    if attribute.type not in ("text", "email", "url", "phone"):
        del found["max_length"]
    found |= {
        name: value for name in ("pattern", "minimum", "maximum") if (value := getattr(attribute, name)) is not None
    }
    if attribute.values:
        found["values"] = [{"value": each.value, "label": dict(each.label)} for each in attribute.values]
    return found | {"label": dict(attribute.label)}


def _attribute(given: Any, where: str) -> Attribute:
    if not isinstance(given, dict):
        raise _wrong(where, "is no object")
    for member in given:
        if member not in _MEMBERS:
            shown = member[:40] if isinstance(member, str) and member.isprintable() else "?"
            raise _wrong(f"{where}.{shown}", f"is not known; there are {', '.join(sorted(_MEMBERS))}")
    name = _name(given.get("name"), f"{where}.name")
    kind = _one_of(given.get("type", _STANDARD_KINDS.get(name, ("text",))[0]), KINDS, f"{where}.type")
    if name in _STANDARD_KINDS and kind not in _STANDARD_KINDS[name]:
        raise _wrong(f"{where}.type", f"must be {' or '.join(_STANDARD_KINDS[name])}, which the claim {name} is")
    if kind == "address" and name != "address":
        raise _wrong(f"{where}.type", "can be address for the claim address only")
    editable = _one_of(given.get("editable", "user"), ("user", "admin"), f"{where}.editable")
    bounds = {member: _bound(given, member, kind, where) for member in ("minimum", "maximum")}
    if None not in bounds.values() and bounds["minimum"] > bounds["maximum"]:  # type: ignore[operator]
        raise _wrong(f"{where}.minimum", "is greater than maximum")
    return Attribute(
        name=name,
        label=_label(given.get("label"), f"{where}.label"),
        type=kind,  # type: ignore[arg-type]
        required=_flag(given, "required", where),
        signup=_flag(given, "signup", where),
        editable=editable,  # type: ignore[arg-type]
        scope=_scope(given, name, where),
        max_length=_max_length(given, kind, where),
        pattern=_pattern(given, kind, where),
        minimum=bounds["minimum"],
        maximum=bounds["maximum"],
        values=_choices(given, kind, where),
    )


def _name(name: Any, where: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong(where, "must be 1 to 40 lower-case letters, digits and _, with a letter first")
    if name in RESERVED or name in _AUTHORITY:
        raise _wrong(
            where, f"cannot be {name}, which is computed, has a place of its own, or would be taken for authority"
        )
    if name in SCOPE_OF and name not in _STANDARD_KINDS:
        raise _wrong(where, f"cannot be {name}, which no form can ask for")
    return name


def _scope(given: dict[str, Any], name: str, where: str) -> str | None:
    scope = given.get("scope")
    if name in SCOPE_OF:
        if "scope" in given and scope != SCOPE_OF[name]:
            raise _wrong(
                f"{where}.scope", f"must be left out: {name} belongs to {SCOPE_OF[name]} (OpenID Connect Core §5.4)"
            )
        return SCOPE_OF[name]
    if scope is None:
        return None
    if not isinstance(scope, str) or not _SCOPE.fullmatch(scope) or scope in ("openid", "offline_access"):
        raise _wrong(
            f"{where}.scope", "must be null, profile, email, address, phone, or a name of your own such as staff"
        )
    return scope


def _label(given: Any, where: str) -> dict[str, str]:
    if isinstance(given, str):
        given = {"en": given}
    if not isinstance(given, dict) or not 1 <= len(given) <= MOST_LABELS:
        raise _wrong(where, 'must be words, or an object with words by language such as {"en": "Department"}')
    for tag, words in given.items():
        if not is_language_tag(tag):
            raise _wrong(where, "has a name that is no language tag such as en or pt-BR")
        if not isinstance(words, str) or not words.strip() or len(words) > LONGEST_LABEL or not words.isprintable():
            raise _wrong(f"{where}.{tag}", f"must be 1 to {LONGEST_LABEL} printable characters")
    return dict(given)


def _choices(given: dict[str, Any], kind: str, where: str) -> tuple[Choice, ...]:
    values = given.get("values")
    if kind != "choice":
        if values is not None:
            raise _wrong(f"{where}.values", "is only for the type choice")
        return ()
    if not isinstance(values, list) or not 1 <= len(values) <= MOST_CHOICES:
        raise _wrong(f"{where}.values", f"must be a list of 1 to {MOST_CHOICES} values")
    found: dict[str, Choice] = {}
    for position, each in enumerate(values):
        here = f"{where}.values[{position}]"
        one = {"value": each} if isinstance(each, str) else each
        if not isinstance(one, dict) or not set(one) <= {"value", "label"}:
            raise _wrong(here, 'must be a text, or an object such as {"value": "eng", "label": {"en": "Engineering"}}')
        value = one.get("value")
        if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_LABEL or not value.isprintable():
            raise _wrong(f"{here}.value", f"must be 1 to {LONGEST_LABEL} printable characters")
        if value in found:
            raise _wrong(f"{here}.value", "is there twice")
        found[value] = Choice(value, _label(one.get("label", value), f"{here}.label"))
    return tuple(found.values())


def _max_length(given: dict[str, Any], kind: str, where: str) -> int:
    if "max_length" not in given:
        return USUAL_LENGTH if kind == "text" else LONGEST
    if kind not in ("text", "email", "url", "phone"):
        raise _wrong(f"{where}.max_length", f"is not for the type {kind}")
    return _whole(given["max_length"], 1, LONGEST, f"{where}.max_length")


def _pattern(given: dict[str, Any], kind: str, where: str) -> str | None:
    pattern = given.get("pattern")
    if pattern is None:
        return None
    if kind != "text":
        raise _wrong(f"{where}.pattern", f"is not for the type {kind}")
    return _one_of(pattern, PATTERNS, f"{where}.pattern")


def _bound(given: dict[str, Any], member: str, kind: str, where: str) -> int | None:
    if given.get(member) is None:
        return None
    if kind != "number":
        raise _wrong(f"{where}.{member}", "is only for the type number")
    return _whole(given[member], -LARGEST, LARGEST, f"{where}.{member}")


def _whole(value: Any, low: int, high: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(where, f"must be a whole number from {low} to {high}")
    return value


def _flag(given: dict[str, Any], member: str, where: str) -> bool:
    value = given.get(member, False)
    if not isinstance(value, bool):
        raise _wrong(f"{where}.{member}", "must be true or false")
    return value


def _one_of(value: Any, allowed: tuple[str, ...], where: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise _wrong(where, f"must be one of {', '.join(allowed)}")
    return value


def _wrong(where: str, what: str) -> Invalid:
    return Invalid(f"{where} {what}.", errors={where: what})


# What the profiles of a tenant have that never said anything else.
DEFAULT = Schema(
    (
        Attribute("name", {"en": N_("Full name")}, required=True, signup=True, scope="profile"),
        Attribute("given_name", {"en": N_("Given name")}, scope="profile"),
        Attribute("family_name", {"en": N_("Family name")}, scope="profile"),
        Attribute("nickname", {"en": N_("Nickname")}, scope="profile"),
        Attribute("birthdate", {"en": N_("Date of birth")}, type="date", scope="profile", max_length=LONGEST),
        Attribute("phone_number", {"en": N_("Telephone number")}, type="phone", scope="phone", max_length=LONGEST),
        Attribute("locale", {"en": N_("Language")}, scope="profile", pattern="language", max_length=35),
        Attribute("zoneinfo", {"en": N_("Time zone")}, scope="profile"),
        Attribute("address", {"en": N_("Postal address")}, type="address", scope="address", max_length=LONGEST),
    )
)
