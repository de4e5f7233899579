"""A client that registers itself, and manages its registration (RFC 7591, RFC 7592)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from house import CALLBACK

if TYPE_CHECKING:
    from house import Answer, House

    from idp.tenancy.tenant import Tenant

WEB = {"client_name": "An application", "redirect_uris": [CALLBACK]}


def register(house: House, tenant: Tenant, metadata: Any, token: str | None = None, **more: Any) -> Answer:
    """Send a registration; ``metadata`` is JSON, or the bytes themselves."""
    body = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {}), **more}
    return house.send("POST", f"{tenant.base_path}/register", body=body, headers=headers, host=tenant.host)


def manage(
    house: House, tenant: Tenant, method: str, client_id: str, token: str | None, metadata: Any = None
) -> Answer:
    """Call a client's configuration endpoint."""
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    body = None
    if metadata is not None:
        headers["content-type"] = "application/json"
        body = json.dumps(metadata).encode()
    path = f"{tenant.base_path}/register/{client_id}"
    return house.send(method, path, body=body, headers=headers, host=tenant.host)
