"""Keeping a picture of a tenant's brand: the file first, then the setting that shows it, so that no page names what is not there."""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import TYPE_CHECKING

from idp.cli.commands import Failed
from idp.flow.assets import address
from idp.store.tenant import assets
from idp.web import images

if TYPE_CHECKING:
    from idp.cli.opening import Place
    from idp.tenancy.tenant import Tenant


def from_input() -> bytes:
    """Return the file on standard input, as long as it may be a picture at all."""
    if sys.stdin.isatty():
        raise Failed("Give the picture on standard input: idp tenant logo TENANT < logo.png")
    return sys.stdin.buffer.read(images.LARGEST + 1)


def put(place: Place, kind: str, setting: str, body: bytes | None) -> Tenant:
    """Keep a picture, or take it away (None); returns the tenant with its settings after that."""
    provisioning = place.installation.provisioning
    if body is None:
        changed = provisioning.change_settings(place.tenant, {setting: ""})
        place.database.writing(lambda conn: assets.remove(conn, kind))
        return changed
    picture, digest = images.check(body), sha256(body).hexdigest()
    place.database.writing(lambda conn: assets.put(conn, kind, media_type=picture.media_type, digest=digest, body=body))
    return provisioning.change_settings(place.tenant, {setting: address(kind, digest)})
