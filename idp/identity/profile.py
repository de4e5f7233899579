"""Profiles: the fields that a form shows of a person's attributes, and whether what somebody sent may be stored.

For whom (``by``): ``signup`` is a person who makes an account, ``user`` one who changes the own profile, ``admin`` who runs the
tenant. What each may set is the schema's word (:mod:`idp.identity.profile_schema`). An unknown or foreign name is refused, never
dropped. Values are kept with the user's claims. Must not know pages; a page needs no more than :class:`Field`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from email_validator import EmailNotValidError, validate_email

from idp.identity import profile_schema, standard_claims
from idp.identity.profile_schema import DEFAULT, Schema
from idp.language import N_, filled, gettext
from idp.store.tenant import tenant_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from idp.identity.profile_schema import Attribute
    from idp.store.rows import Connection

By = Literal["signup", "user", "admin"]
PREFIX = "profile_"  # of a field's name in a form, so that no attribute is taken for another field
_STATE = "profile_schema"

_MISSING = N_("Fill in “%(label)s”")
_UNCHECKED = N_("“%(label)s” must be ticked")
_TOO_LONG = N_("“%(label)s” can have at most %(most)s characters")
_WORDS = {
    "text": N_("“%(label)s” has characters that cannot be used"),
    "number": N_("“%(label)s” must be a number such as 42"),
    "boolean": N_("“%(label)s” must be yes or no"),
    "date": N_("“%(label)s” must be a date such as 1985-12-10"),
    "choice": N_("Choose one of the values of “%(label)s”"),
    "email": N_("“%(label)s” must be an email address such as ada@example.org"),
    "url": N_("“%(label)s” must be an address such as https://example.org"),
    "phone": N_("“%(label)s” must be a telephone number such as +49 30 1234567"),
    "letters": N_("“%(label)s” can have only letters"),
    "digits": N_("“%(label)s” can have only digits"),
    "letters_digits": N_("“%(label)s” can have only letters and digits"),
    "identifier": N_("“%(label)s” can have only letters from a to z, digits and . _ -"),
    "postal_code": N_("“%(label)s” must be a postal code"),
    "country": N_("“%(label)s” must be a country of two letters such as DE"),
    "language": N_("“%(label)s” must be a language such as en-GB"),
    "minimum": N_("“%(label)s” must be at least %(least)s"),
    "maximum": N_("“%(label)s” must be at most %(most)s"),
}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)
# Each takes time in proportion to the text's length; nobody but us writes one.
_PATTERNS = {
    "digits": re.compile(r"[0-9]+", re.ASCII),
    "identifier": re.compile(r"[A-Za-z0-9._-]+", re.ASCII),
    "postal_code": re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{1,11}", re.ASCII),
    "country": re.compile(r"[A-Z]{2}", re.ASCII),
}
_AUTOCOMPLETE = {
    "name": "name",
    "given_name": "given-name",
    "family_name": "family-name",
    "middle_name": "additional-name",
    "nickname": "nickname",
    "birthdate": "bday",
    "phone_number": "tel",
    "website": "url",
    "gender": "sex",
    "locale": "language",
}
_INPUTS = {"number": "text", "boolean": "checkbox", "choice": "select", "phone": "tel"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form: what its template needs, and nothing else."""

    id: str  # the field's name too
    attribute: str
    label: str
    type: str  # text, date, email, url, tel, checkbox or select
    autocomplete: str
    inputmode: str | None
    is_required: bool
    max_length: int | None
    options: tuple[tuple[str, str], ...]  # (value, words) of a select
    value: str | None
    is_checked: bool
    is_editable: bool


def load(conn: Connection) -> Schema:
    """Return the tenant's schema; the default one where it has none."""
    stored = tenant_state.get(conn, _STATE)
    return DEFAULT if stored is None else profile_schema.parse(stored)


def save(conn: Connection, schema: Schema) -> None:
    """Store the tenant's schema; the caller announces the change, for servers keep the schema."""
    tenant_state.put(conn, _STATE, profile_schema.dump(schema))


def editable(schema: Schema, by: By) -> tuple[Attribute, ...]:
    """Return the attributes that somebody may set."""
    if by == "signup":
        return tuple(each for each in schema.attributes if each.signup)
    return tuple(each for each in schema.attributes if by == "admin" or each.editable == "user")


def fields_for(schema: Schema, by: By, language: str, values: Mapping[str, Any] | None = None) -> list[Field]:
    """Return the fields of a form, in its order, filled with ``values`` by attribute.

    The own profile shows what only administrators change as well, as fields that are not editable.
    """
    shown = editable(schema, by) if by != "user" else schema.attributes
    may = set(editable(schema, by))
    return [_field(each, language, (values or {}).get(each.name), is_editable=each in may) for each in shown]


def from_form(schema: Schema, by: By, form: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values of a form by attribute, as they were typed; a field that is there twice counts as not filled in."""
    sent: dict[str, list[str]] = {}
    for name, value in form:
        sent.setdefault(name, []).append(value)
    found: dict[str, Any] = {}
    for attribute in editable(schema, by):
        given = sent.get(f"{PREFIX}{attribute.name}", [])
        if attribute.type == "boolean":
            found[attribute.name] = bool(given)
        else:
            found[attribute.name] = given[0] if len(given) == 1 else ""
    return found


def check(
    schema: Schema, values: Mapping[str, Any], by: By, *, language: str = "en"
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (what to store by attribute, a sentence for each attribute that is wrong).

    In what to store None means that the value is taken away; what is neither in ``values`` nor required stays as it is, except
    at sign-up, where what is required must be there. Numbers may be texts, as a form sends them.
    """
    clean: dict[str, Any] = {}
    errors: dict[str, str] = {}
    may = {attribute.name: attribute for attribute in editable(schema, by)}
    for name in values:
        if name not in schema.by_name:
            errors[_shown(name)] = gettext(N_("There is no attribute of this name"))
        elif name not in may:
            errors[name] = gettext(N_("Only administrators can change this"))
    for name, attribute in may.items():
        if name not in values and by != "signup":
            continue
        value, problem = _judge(attribute, values.get(name))
        if problem is not None:
            words, more = problem
            errors[name] = filled(gettext(words), {"label": label_in(attribute.label, language), **more})
        else:
            clean[name] = value
    return clean, errors


def applied(stored: Mapping[str, Any], clean: Mapping[str, Any]) -> dict[str, Any]:
    """Return a user's claims with what :func:`check` found put in; a number that changes is not verified any more."""
    found = {name: value for name, value in {**stored, **clean}.items() if value is not None}
    if "phone_number" in clean and clean["phone_number"] != stored.get("phone_number"):
        found.pop("phone_number_verified", None)
    return found


def check_claims(schema: Schema, claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return claims as an administrator gives them, standard and own; raises :class:`~idp.errors.Invalid` for the first that is wrong."""
    own = {name for name, each in schema.by_name.items() if not each.is_standard}
    if not isinstance(claims, dict):
        return standard_claims.check(claims)
    found = standard_claims.check({name: value for name, value in claims.items() if name not in own})
    for name in own & claims.keys():
        value, problem = _judge(schema.by_name[name], claims[name], is_required=False)
        if problem is not None:
            words, more = problem
            sentence = filled(words, {"label": name, **more})
            raise standard_claims.wrong(name, f"cannot be stored: {sentence}.")
        if value is not None:
            found[name] = value
    return found


def label_in(label: Mapping[str, str], language: str) -> str:
    """Return words in a language, or in the one that comes nearest; English ones as they are translated."""
    by_tag = {tag.lower(): words for tag, words in label.items()}
    parts = language.lower().split("-")
    for length in range(len(parts), 0, -1):
        words = by_tag.get("-".join(parts[:length]))
        if words is not None:
            return words
    return gettext(by_tag["en"]) if "en" in by_tag else next(iter(label.values()))


def _field(attribute: Attribute, language: str, value: Any, *, is_editable: bool) -> Field:
    is_text = attribute.type in ("text", "email", "url", "phone")
    return Field(
        id=f"{PREFIX}{attribute.name}",
        attribute=attribute.name,
        label=label_in(attribute.label, language),
        type=_INPUTS.get(attribute.type, attribute.type),
        autocomplete=_AUTOCOMPLETE.get(attribute.name, "off"),
        inputmode="decimal" if attribute.type == "number" else None,
        is_required=attribute.required,
        max_length=attribute.max_length if is_text else None,
        options=tuple((each.value, label_in(each.label, language)) for each in attribute.values),
        value=None if value is None or isinstance(value, bool) else str(value),
        is_checked=value is True,
        is_editable=is_editable,
    )


_Problem = tuple[str, dict[str, Any]]


def _judge(attribute: Attribute, value: Any, *, is_required: bool | None = None) -> tuple[Any, _Problem | None]:
    """Return (the value to store, None) or (None, the words of what is wrong)."""
    required = attribute.required if is_required is None else is_required
    if attribute.type == "boolean":
        if value is None or isinstance(value, bool):
            # A box that must be ticked is what a required yes or no means.
            return (value, None) if value or not required else (None, (_UNCHECKED, {}))
        return None, (_WORDS["boolean"], {})
    if isinstance(value, str):
        value = unicodedata.normalize("NFC", value[: 4 * standard_claims.LONGEST]).strip()
    if value is None or value == "":
        return None, (_MISSING, {}) if required else None
    if attribute.type == "number":
        return _number(attribute, value)
    if not isinstance(value, str):
        return None, (_WORDS[attribute.type], {})
    if len(value) > attribute.max_length:
        return None, (_TOO_LONG, {"most": attribute.max_length})
    return _text(attribute, value)


def _number(attribute: Attribute, value: Any) -> tuple[Any, _Problem | None]:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None, (_WORDS["number"], {})
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 10**15:
        return None, (_WORDS["number"], {})
    if attribute.minimum is not None and value < attribute.minimum:
        return None, (_WORDS["minimum"], {"least": attribute.minimum})
    if attribute.maximum is not None and value > attribute.maximum:
        return None, (_WORDS["maximum"], {"most": attribute.maximum})
    return value, None


def _text(attribute: Attribute, value: str) -> tuple[Any, _Problem | None]:
    kind = attribute.type
    if kind == "email":
        try:
            value = validate_email(value, check_deliverability=False, test_environment=True).normalized
        except EmailNotValidError:
            return None, (_WORDS["email"], {})
    is_right = {
        "text": lambda: standard_claims.is_text(value),
        "email": lambda: standard_claims.is_text(value),
        "date": lambda: _is_date(value),
        "choice": lambda: any(value == each.value for each in attribute.values),
        "url": lambda: standard_claims.fits("website", value),
        "phone": lambda: standard_claims.fits("phone_number", value),
    }[kind]()
    if not is_right:
        return None, (_WORDS[kind], {})
    if attribute.pattern is not None and not _matches(attribute.pattern, value):
        return None, (_WORDS[attribute.pattern], {})
    if attribute.is_standard and not standard_claims.fits(attribute.name, value):
        return None, (_WORDS["language" if attribute.name == "locale" else kind], {})
    return value, None


def _matches(pattern: str, value: str) -> bool:
    if pattern == "letters":
        return all(char.isalpha() or unicodedata.category(char) == "Mn" for char in value)
    if pattern == "letters_digits":
        return all(char.isalnum() or unicodedata.category(char) == "Mn" for char in value)
    if pattern == "language":
        return standard_claims.fits("locale", value)
    return _PATTERNS[pattern].fullmatch(value) is not None


def _is_date(value: str) -> bool:
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _shown(name: object) -> str:
    text = str(name)[:50]
    return text if text.isprintable() else "?"
