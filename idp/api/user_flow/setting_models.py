"""What the operations on settings take and show; the members are made of :class:`idp.tenancy.settings.TenantSettings`, so that a new one is here by itself."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model

from idp.api.operations import Given, Shown
from idp.tenancy.settings import TenantSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST = 4000  # characters of a text; each setting has its own rule beside


def _type(setting: Any) -> Any:
    """Return the annotation of a setting."""
    rules = setting.metadata
    if isinstance(setting.default, bool):
        return bool
    if isinstance(setting.default, int):
        return Annotated[int, Field(ge=rules["low"], le=rules["high"])]
    choice: Any = Literal[rules["choices"]] if rules["choices"] else Annotated[str, Field(max_length=LONGEST)]
    if isinstance(setting.default, tuple):
        return Annotated[list[choice], Field(min_length=1, max_length=len(rules["choices"]))]
    return choice


def patch_model(name: str, about: str, wanted: Iterable[str]) -> type[Given]:
    """Return the model of a merge patch of some settings: null restores a default."""
    chosen = set(wanted)
    members: dict[str, Any] = {
        each.name: (Annotated[_type(each) | None, Field(description=each.metadata["help"])], None)
        for each in fields(TenantSettings)
        if each.name in chosen
    }
    made = create_model(name, __base__=Given, **members)
    made.__doc__ = about
    return made


SettingsPatch = patch_model(
    "SettingsPatch",
    "A JSON merge patch (RFC 7396): what is left out stays; null restores the default.",
    (each.name for each in fields(TenantSettings)),
)


class Setting(Shown):
    """A setting."""

    name: Annotated[str, Field(description="Its name.")]
    value: Annotated[Any, Field(description="What is in force; durations are in seconds.")]
    default: Annotated[Any, Field(description="What is in force where nothing was set.")]
    is_default: Annotated[bool, Field(description="Whether the default is in force.")]
    type: Annotated[
        Literal["boolean", "integer", "string", "list"],
        Field(description="The value's type; a list is one of strings."),
    ]
    description: Annotated[str, Field(description="What it is for.")]
    choices: Annotated[list[str] | None, Field(description="What it, or each of its list, may be.")] = None
    minimum: Annotated[int | None, Field(description="The least number.")] = None
    maximum: Annotated[int | None, Field(description="The greatest number.")] = None
    is_of_platform: Annotated[
        bool,
        Field(description="Whether only administrators of the platform change it, because it guards other tenants."),
    ]


class Settings(Shown):
    """The settings of a tenant."""

    settings: Annotated[list[Setting], Field(description="Every setting there is.")]


def _kind(default: Any) -> str:
    if isinstance(default, bool):
        return "boolean"
    return "integer" if isinstance(default, int) else "list" if isinstance(default, tuple) else "string"


def shown_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings, as they are stored, as answers show them."""
    found = TenantSettings.from_json(stored)
    return {"settings": [_shown(each, getattr(found, each.name)) for each in fields(TenantSettings)]}


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(setting: Any, value: Any) -> dict[str, Any]:
    rules, is_number = setting.metadata, _kind(setting.default) == "integer"
    return {
        "name": setting.name,
        "value": _as_json(value),
        "default": _as_json(setting.default),
        "is_default": value == setting.default,
        "type": _kind(setting.default),
        "description": rules["help"],
        "choices": list(rules["choices"]) or None,
        "minimum": rules["low"] if is_number else None,
        "maximum": rules["high"] if is_number else None,
        "is_of_platform": rules["of_platform"],
    }
