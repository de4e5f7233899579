"""Profiles: the fields that a form shows of a person's attributes, and whether what somebody sent may be stored.

For whom (``by``): ``signup`` is a person who makes an account, ``user`` one who changes the own profile, ``admin`` who runs the
tenant. What each may set is the schema's word (:mod:`idp.identity.profile_schema`), what it may hold that of
:mod:`idp.identity.profile_values`. An unknown or foreign name is refused, never dropped. Values are kept with the user's claims.
Must not know pages; a page needs no more than :class:`Field`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from idp.identity import postal_address, profile_schema, standard_claims
from idp.identity.profile_schema import DEFAULT, Schema
from idp.identity.profile_values import is_date, judge
from idp.language import N_, filled, gettext
from idp.store.tenant import tenant_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from idp.identity.profile_schema import Attribute
    from idp.store.rows import Connection

By = Literal["signup", "user", "admin"]
PREFIX = "profile_"  # of a field's name in a form, so that no attribute is taken for another field
_STATE = "profile_schema"

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
_HINTS = {
    "phone": N_("With the country’s code, such as +49 30 1234567."),
    "language": N_("Its short form, such as en or de-AT."),
    "zoneinfo": N_("Such as Europe/Berlin; the times of your account follow it."),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form: what its template needs, and nothing else."""

    id: str  # the field's name too
    attribute: str
    label: str
    type: str  # text, lines, date, email, url, tel, checkbox, select, or group for one that has parts
    autocomplete: str
    is_editable: bool
    value: str | None = None  # what is not editable is in words, whatever its type
    inputmode: str | None = None
    is_required: bool = False
    max_length: int | None = None
    options: tuple[tuple[str, str], ...] = ()  # (value, words) of a select
    is_checked: bool = False
    hint: str | None = None
    is_private: bool = False  # no application is ever shown it
    parts: tuple[Field, ...] = ()


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


def fields_for(
    schema: Schema,
    by: By,
    language: str,
    values: Mapping[str, Any] | None = None,
    stored: Mapping[str, Any] | None = None,
) -> list[Field]:
    """Return the fields of a form, in its order, filled with ``values`` by attribute.

    The own profile shows what only administrators change as well, as fields that are not editable. What is ``stored`` may stay
    though nobody could choose it today.
    """
    shown = editable(schema, by) if by != "user" else schema.attributes
    may = set(editable(schema, by))
    given, kept = values or {}, stored or {}
    return [
        _field(each, language, given.get(each.name), is_editable=each in may, kept=kept.get(each.name))
        for each in shown
    ]


def in_words(schema: Schema, language: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as people read them, by the id of the field; nothing there is an empty text."""
    found: dict[str, str] = {}
    for attribute in schema.attributes:
        value = values.get(attribute.name)
        if attribute.type == "address":
            found |= {f"{PREFIX}{attribute.name}-{part}": text for part, text in postal_address.shown(value).items()}
        else:
            # A box that nobody has ticked looks like one that was unticked.
            known = value is True if attribute.type == "boolean" else value
            field = _field(attribute, language, known, is_editable=False)
            found[field.id] = field.value or ""
    return found


def from_form(schema: Schema, by: By, form: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values of a form by attribute, as they were typed; a field that is there twice counts as not filled in.

    A field that was not sent is left out: a page of another release may know fewer. Of a box that is how it looks when it is not
    ticked.
    """
    sent: dict[str, list[str]] = {}
    for name, value in form:
        sent.setdefault(name, []).append(value)
    found: dict[str, Any] = {}
    for attribute in editable(schema, by):
        name = f"{PREFIX}{attribute.name}"
        if attribute.type == "boolean":
            found[attribute.name] = name in sent
        elif attribute.type == "address":
            parts = {
                part.name: _single(sent[f"{name}-{part.name}"])
                for part in postal_address.PARTS
                if f"{name}-{part.name}" in sent
            }
            if parts:
                found[attribute.name] = parts
        elif name in sent:
            found[attribute.name] = _single(sent[name])
    return found


def changed(schema: Schema, typed: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form changes of what is ``stored``, and what is missing in it.

    What stays as it was is not judged again: it may be older than the rule, and an administrator may store what a form cannot say.
    """
    found: dict[str, Any] = {}
    for name, value in typed.items():
        before = stored.get(name)
        if schema.by_name[name].type == "address":
            now = postal_address.shown({**postal_address.shown(before), **value})
            is_empty, is_same = not any(now.values()), now == postal_address.shown(before)
            value = now  # noqa: PLW2901 - with the parts that were not sent
        elif schema.by_name[name].type == "boolean":
            is_empty, is_same = not value, value is (before is True)
        else:
            is_empty, is_same = not value.strip(), value.strip() == _text_of(before).strip()
        if not is_same or (is_empty and schema.by_name[name].required):
            found[name] = value
    return found


def check(
    schema: Schema, values: Mapping[str, Any], by: By, *, language: str = "en"
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (what to store by attribute, a sentence for each attribute that is wrong; ``address-locality`` is a part of one).

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
        value, problems = judge(attribute, values.get(name))
        label = label_in(attribute.label, language)
        errors |= {
            f"{name}{part}": filled(gettext(words), {"label": label, **more})
            for part, (words, more) in problems.items()
        }
        if not problems:
            clean[name] = value
    return clean, errors


def applied(stored: Mapping[str, Any], clean: Mapping[str, Any]) -> dict[str, Any]:
    """Return a user's claims with what :func:`check` found put in; a number that changes is not verified any more."""
    found = {name: value for name, value in {**stored, **clean}.items() if value is not None}
    if "phone_number" in clean and clean["phone_number"] != stored.get("phone_number"):
        found.pop("phone_number_verified", None)  # another number is another question
        if clean["phone_number"] is not None:
            found["phone_number_verified"] = False
    return found


def check_claims(schema: Schema, claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return claims as an administrator gives them, standard and own; raises :class:`~idp.errors.Invalid` for the first that is wrong."""
    own = {name for name, each in schema.by_name.items() if not each.is_standard}
    if not isinstance(claims, dict):
        return standard_claims.check(claims)
    found = standard_claims.check({name: value for name, value in claims.items() if name not in own})
    for name in own & claims.keys():
        value, problems = judge(schema.by_name[name], claims[name], is_required=False)
        for words, more in problems.values():
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


def _field(attribute: Attribute, language: str, value: Any, *, is_editable: bool, kept: Any = None) -> Field:
    kind, name = attribute.type, f"{PREFIX}{attribute.name}"
    shared: dict[str, Any] = {
        "id": name,
        "attribute": attribute.name,
        "label": label_in(attribute.label, language),
        "autocomplete": _AUTOCOMPLETE.get(attribute.name, "off"),
        "is_required": attribute.required,
        "is_private": attribute.scope is None,
        "is_editable": is_editable,
    }
    if kind == "address":
        return Field(type="group", parts=_parts(attribute, value, is_editable=is_editable), **shared)
    options = [(each.value, label_in(each.label, language)) for each in attribute.values]
    if not is_editable:
        yes_or_no = {True: gettext(N_("Yes")), False: gettext(N_("No"))}
        words = yes_or_no[value] if isinstance(value, bool) else dict(options).get(value, _text_of(value))
        return Field(type="text", value=words or None, **shared)
    if kind == "choice" and isinstance(kept, str) and kept not in dict(options):
        options.append((kept, kept))
    text = None if value is None or isinstance(value, bool) else str(value)
    # A browser's field for dates shows nothing else and would send it back as nothing: a year alone is a date of birth, too.
    is_plain = kind == "date" and bool(text) and not is_date(text or "")
    return Field(
        type="text" if is_plain else _INPUTS.get(kind, kind),
        value=text,
        inputmode="decimal" if kind == "number" else None,
        max_length=attribute.max_length if kind in ("text", "email", "url", "phone") else None,
        options=tuple(options),
        is_checked=value is True,
        hint=_hint(attribute),
        **shared,
    )


def _parts(attribute: Attribute, value: Any, *, is_editable: bool) -> tuple[Field, ...]:
    texts = postal_address.shown(value)
    return tuple(
        Field(
            id=f"{PREFIX}{attribute.name}-{part.name}",
            attribute=attribute.name,
            label=gettext(part.label),
            type="lines" if part.has_lines else "text",
            autocomplete=part.autocomplete,
            max_length=standard_claims.LONGEST,
            value=texts[part.name] or None,
            is_editable=is_editable,
        )
        for part in postal_address.PARTS
        if is_editable or texts[part.name] or not any(texts.values())
    )


def _hint(attribute: Attribute) -> str | None:
    kind = attribute.name if attribute.name == "zoneinfo" and attribute.type == "text" else attribute.pattern
    words = _HINTS.get(kind or attribute.type)
    return gettext(words) if words is not None else None


def _single(given: list[str]) -> str:
    return given[0] if len(given) == 1 else ""


def _text_of(value: Any) -> str:
    return "" if value is None or isinstance(value, bool) else str(value)


def _shown(name: object) -> str:
    text = str(name)[:50]
    return text if text.isprintable() else "?"
