"""What the operations on a tenant's branding take and show."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from idp import language
from idp.api.operations import Shown
from idp.api.user_flow.setting_models import patch_model
from idp.tenancy.settings import IMAGES, LINKS, TenantSettings
from idp.web import branding

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("colour_primary", "colour_background", "welcome_text", *IMAGES, *LINKS, "mail_from_name", "mail_reply_to")
_ABOUT = {each.name: each.metadata["help"] for each in fields(TenantSettings)}

BrandingPatch = patch_model(
    "BrandingPatch", "A JSON merge patch (RFC 7396): what is left out stays; null restores the product's own.", NAMES
)


class _Noted(Shown):
    notes: Annotated[
        list[str],
        Field(description="What is drawn otherwise than it was set, because nobody could read it (WCAG 2.2 §1.4.3)."),
    ]


_MEMBERS: dict[str, Any] = {name: (Annotated[str | None, Field(description=_ABOUT[name])], None) for name in NAMES}
Branding = create_model("Branding", __base__=_Noted, **_MEMBERS)
Branding.__doc__ = "What a tenant's pages and mails look like; what is absent is the product's own."


def shown_branding(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the branding, by the tenant's stored settings, as answers show it."""
    found = TenantSettings.from_json(stored)
    notes = branding.check_colours(found.colour_primary, found.colour_background)
    return {name: getattr(found, name) or None for name in NAMES} | {
        "notes": [language.translated(note) for note in notes]
    }
