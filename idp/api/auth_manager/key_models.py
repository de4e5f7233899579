"""What Auth Manager takes and shows about keys. Of a private part nothing is ever shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from idp.api.moments import Moment, moment
from idp.api.operations import Given, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from idp.keys.rotation import Rotation


class Key(Shown):
    """A key of the tenant."""

    kid: Annotated[str, Field(description="Its id.")]
    use: Annotated[str, Field(description="`sig` for signatures, `enc` for what is encrypted to the tenant.")]
    alg: Annotated[str, Field(description="The one algorithm that it is used with.")]
    state: Annotated[
        str,
        Field(
            description="`next` (published), `active`, `retired` (what it signed is accepted), `gone` or `revoked` (it is not)."
        ),
    ]
    created_at: Annotated[Moment, Field(description="When it was made.")]
    begins_at: Annotated[
        Moment | None, Field(description="Of a next one: when it begins to sign, if a rotation waits for it.")
    ] = None
    activated_at: Annotated[Moment | None, Field(description="Since when it was used.")] = None
    retired_at: Annotated[Moment | None, Field(description="Since when another is used.")] = None
    revoked_at: Annotated[Moment | None, Field(description="When it was revoked.")] = None
    public: Annotated[dict[str, Any], Field(description="The public part, a JWK (RFC 7517).")]


class KeyList(Shown):
    """All keys, oldest first."""

    items: list[Key]


class KeyRotation(Given):
    """Which keys are replaced, and how soon."""

    algorithms: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=20)]] | None,
        Field(min_length=1, max_length=20, description="Only of these algorithms; left out, of all."),
    ] = None
    at_once: Annotated[
        bool,
        Field(
            description="For emergencies: also where relying parties cannot know the next key yet, who then refuse new tokens for up to "
            "five minutes. Else a key that is published now signs when every copy of the key set has it."
        ),
    ] = False


class KeyChange(Shown):
    """What happened to a key."""

    kid: Annotated[str, Field(description="The key's id.")]
    alg: Annotated[str, Field(description="Its algorithm.")]
    change: Annotated[
        str, Field(description="`created`, `published`, `scheduled`, `activated`, `retired`, `removed` or `revoked`.")
    ]


class KeyChanges(Shown):
    """What was done; nothing where nothing had to change."""

    changes: Annotated[list[KeyChange], Field(description="In their order.")]
    warning: Annotated[str | None, Field(description="What relying parties may notice.")] = None
    items: list[Key]


def shown_keys(keys: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return keys as answers show them."""
    return [
        {name: moment(value) if name.endswith("_at") and value is not None else value for name, value in each.items()}
        for each in keys
    ]


def shown_changes(done: Rotation, keys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what was done as answers show it."""
    changes = [{"kid": step.kid, "alg": step.alg, "change": step.change} for step in done.transitions]
    return {"changes": changes, "warning": done.warning or None, "items": shown_keys(keys)}
