"""Keeping a picture of a tenant's brand: the file first, then the setting that shows it, so that no page names what is not there."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from idp import audit
from idp.flow.assets import KINDS, address
from idp.store.tenant import assets
from idp.web import images

if TYPE_CHECKING:
    from idp.identity.accounts import By
    from idp.store.db import Database
    from idp.store.rows import Connection
    from idp.tenancy.provisioning import Provisioning, Within
    from idp.tenancy.tenant import Tenant


def put(
    provisioning: Provisioning,
    tenant: Tenant,
    database: Database,
    kind: str,
    body: bytes | None,
    *,
    by: By,
    require: Within | None = None,
) -> Tenant:
    """Keep a picture, or take it away (None); returns the tenant with its settings after that.

    ``require`` judges the tenant as it is when the setting is changed. Raises :class:`Invalid` for what is no picture.
    """
    setting = KINDS[kind]
    if body is None:
        changed = provisioning.change_settings(tenant, {setting: ""}, require)
        database.writing(lambda conn: assets.remove(conn, kind))
    else:
        picture, digest = images.check(body), sha256(body).hexdigest()
        with database.reading() as conn:
            before = assets.find(conn, kind)
        database.writing(lambda conn: assets.put(conn, kind, media_type=picture.media_type, digest=digest, body=body))
        try:
            changed = provisioning.change_settings(tenant, {setting: address(kind, digest)}, require)
        except BaseException:
            database.writing(lambda conn: _put_back(conn, kind, before))
            raise
    where = getattr(changed.settings, setting)
    database.writing(
        lambda conn: audit.record(
            conn,
            "tenant.picture_changed",
            outcome="success",
            actor=by.actor,
            source=by.source,
            correlation_id=by.correlation_id,
            details={"picture": kind, "address": where},
        )
    )
    return changed


def _put_back(conn: Connection, kind: str, before: Any) -> None:
    if before is None:
        assets.remove(conn, kind)
    else:
        assets.put(conn, kind, media_type=before.media_type, digest=before.digest, body=bytes(before.body))
