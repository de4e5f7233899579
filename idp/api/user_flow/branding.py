"""The operations on a tenant's branding: colours, texts, links and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.api import preconditions
from idp.api.errors import InvalidFields, nothing_here, pointer
from idp.api.operations import JSON, MERGE_PATCH, Operation, Reply
from idp.api.user_flow.branding_models import Branding, BrandingPatch, shown_branding
from idp.api.user_flow.settings import change, row_of
from idp.errors import Invalid
from idp.flow import pictures
from idp.flow.assets import KINDS

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.rows import Row

TAG = "Branding"
_PATH = "/tenants/{tenant_id}/branding"
_PICTURE = _PATH + "/pictures/{picture}"
_TYPES = ("image/png", "image/jpeg", "image/webp")

PATCH: dict[str, Any] = {"colour_primary": "#0a7d4f", "welcome_text": "Welcome to Acme.", "support_url": None}
BRANDING: dict[str, Any] = {
    "colour_primary": "#0a7d4f",
    "colour_background": "#f5f6f8",
    "welcome_text": "Welcome to Acme.",
    "logo_url": "/brand/logo?v=0123456789abcdef",
    "notes": [],
}


def _etag(row: Row[Any]) -> str:
    return preconditions.etag_of(shown_branding(row.settings))


def _one(row: Row[Any]) -> Reply:
    return Reply(shown_branding(row.settings), etag=_etag(row))


def get_branding(call: Call) -> Reply:
    """Read the branding."""
    return _one(row_of(call))


def patch_branding(call: Call) -> Reply:
    """Change the branding."""
    return _one(change(call, call.body.model_dump(exclude_unset=True), _etag))


def _put(call: Call, body: bytes | None) -> Row[Any]:
    provisioning, database = call.surroundings.tenants.provisioning, call.server.database
    pictures.put(
        provisioning,
        call.tenant,
        database,
        call.path["picture"],
        body,
        by=call.caller.by,
        require=lambda _conn, row: preconditions.require_match(call.http, _etag(row)),
    )
    return row_of(call)


def put_picture(call: Call) -> Reply:
    """Keep a picture."""
    try:
        return _one(_put(call, call.body))
    except Invalid as error:
        raise InvalidFields(errors={pointer(): error.title}) from None


def delete_picture(call: Call) -> Reply:
    """Take a picture away."""
    if not row_of(call).settings.get(KINDS[call.path["picture"]]):
        raise nothing_here()
    _put(call, None)
    return Reply()


OPERATIONS = (
    Operation(
        name="get_branding",
        method="GET",
        path=_PATH,
        permission="branding:read",
        summary="Read the branding",
        description="Colours, texts, links and pictures of a tenant's pages and mails. Addresses of pictures that begin with a slash are below the "
        "tenant's issuer.",
        tag=TAG,
        handle=get_branding,
        answer=Branding,
        answer_example=BRANDING,
        has_etag=True,
    ),
    Operation(
        name="patch_branding",
        method="PATCH",
        path=_PATH,
        permission="branding:write",
        summary="Change the branding",
        description="They are settings, too; who may change only these needs no power over the others.",
        tag=TAG,
        handle=patch_branding,
        body=BrandingPatch,
        media_types=(MERGE_PATCH, JSON),
        answer=Branding,
        body_example=PATCH,
        answer_example=BRANDING,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="put_picture",
        method="PUT",
        path=_PICTURE,
        permission="branding:write",
        summary="Upload a picture",
        description="PNG, JPEG or WebP that stands still, at most 256 KiB and 1024 pixels a side; the body is the file. It is served below the "
        "tenant's issuer, at an address that the answer shows.",
        tag=TAG,
        handle=put_picture,
        media_types=_TYPES,
        is_file=True,
        answer=Branding,
        answer_example=BRANDING,
        has_etag=True,
        takes_if_match=True,
    ),
    Operation(
        name="delete_picture",
        method="DELETE",
        path=_PICTURE,
        permission="branding:write",
        summary="Take a picture away",
        description="Pages show what the product has in its place, if anything.",
        tag=TAG,
        handle=delete_picture,
        status=204,
        takes_if_match=True,
    ),
)
