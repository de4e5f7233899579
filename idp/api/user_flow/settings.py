"""The operations on a tenant's settings, on :class:`idp.identity.tenants.Tenants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.api import preconditions
from idp.api.errors import InvalidFields, nothing_here, pointer
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow.setting_models import Settings, SettingsPatch, shown_settings
from idp.errors import Forbidden, Invalid
from idp.store.control import tenants
from idp.tenancy.settings import OF_PLATFORM, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.api.operations import Call
    from idp.store.rows import Connection, Row

TAG = "Settings"
_PATH = "/tenants/{tenant_id}/settings"

PATCH: dict[str, Any] = {
    "access_token_lifetime": 1800,
    "languages": ["en", "de"],
    "account_self_deletion": True,
    "signup": None,
}
SETTINGS: dict[str, Any] = {
    "settings": [
        {
            "name": "access_token_lifetime",
            "value": 1800,
            "default": 3600,
            "is_default": False,
            "type": "integer",
            "description": "Life of an access token.",
            "minimum": 60,
            "maximum": 86400,
            "is_of_platform": False,
        }
    ]
}


class PlatformSetting(Forbidden):
    """The setting guards other tenants, and is for the platform's administrators."""

    code = "platform_setting"


def row_of(call: Call) -> Row[Any]:
    """Return the row of the tenant in the path, as it is now."""
    with call.surroundings.services.store.control.reading() as conn:
        found = tenants.find(conn, call.tenant.id)
    if found is None:
        raise nothing_here()
    return found


def change(call: Call, wanted: Mapping[str, Any], etag_of: Any) -> Row[Any]:
    """Change settings, given as JSON values, for who may; ``etag_of`` is the tag of what is changed, by the tenant's row."""
    guarded = sorted(wanted.keys() & OF_PLATFORM)
    if guarded and not call.caller.is_of_platform:
        raise PlatformSetting(f"Only administrators of the platform change {', '.join(guarded)}.")

    def require(_conn: Connection, row: Row[Any]) -> None:
        preconditions.require_match(call.http, etag_of(row))

    if not wanted:
        row = row_of(call)
        preconditions.require_match(call.http, etag_of(row))
        return row
    texts = {name: as_text(value) for name, value in wanted.items()}
    try:
        call.surroundings.tenants.change(call.tenant, texts, by=call.caller.by, require=require)
    except Invalid as error:
        name = error.title.partition(" ")[0]
        raise InvalidFields(errors={pointer(*([name] if name in wanted else [])): error.title.rstrip(".")}) from None
    return row_of(call)


def _etag(row: Row[Any]) -> str:
    return preconditions.etag_of(shown_settings(row.settings))


def get_settings(call: Call) -> Reply:
    """Read every setting."""
    row = row_of(call)
    return Reply(shown_settings(row.settings), etag=_etag(row))


def patch_settings(call: Call) -> Reply:
    """Change some settings."""
    row = change(call, call.body.model_dump(exclude_unset=True), _etag)
    return Reply(shown_settings(row.settings), etag=_etag(row))


OPERATIONS = (
    Operation(
        name="get_settings",
        method="GET",
        path=_PATH,
        permission="tenants:read",
        summary="Read the settings",
        description="Every setting with what is in force, its default, what it may be and what it is for.",
        tag=TAG,
        handle=get_settings,
        answer=Settings,
        answer_example=SETTINGS,
        has_etag=True,
    ),
    Operation(
        name="patch_settings",
        method="PATCH",
        path=_PATH,
        permission="tenants:write",
        summary="Change settings",
        description="All of the changes are made, or none. They hold within a second. Settings that guard other tenants (`is_of_platform`) are "
        "changed by tokens of `system` alone.",
        tag=TAG,
        handle=patch_settings,
        body=SettingsPatch,
        media_types=(MERGE_PATCH, JSON),
        answer=Settings,
        errors=("platform_setting",),
        body_example=PATCH,
        answer_example=SETTINGS,
        has_etag=True,
        takes_if_match=True,
    ),
)
