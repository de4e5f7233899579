"""The command lines that would let a refused request through, for `idp explain`: with the real tenant, client and values.

A command is a proposal to the operator, who alone knows whether the request was right to be refused.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from idp.oauth import redirect_uri
from idp.oauth.client_metadata import AUTH_METHODS, GRANT_TYPES
from idp.oauth.response_types import RESPONSE_TYPES
from idp.store.tenant import clients
from idp.tenancy.context import entered

if TYPE_CHECKING:
    from idp.installation import Installation
    from idp.jobs.refusals import FoundRefusal
    from idp.store.rows import Row
    from idp.tenancy.tenant import Tenant

MOST_TENANTS = 1000  # that are looked through for a client by that id
_UNKNOWN_CLIENT = ("there is no such client", "sub names no client")


def sentence(found: FoundRefusal) -> str:
    """Return the record's fix with the tenant and the client named."""
    text = found.refusal.fix
    if found.tenant_slug:
        text = text.replace("TENANT", found.tenant_slug)
    return text.replace("CLIENT_ID", found.client_id) if found.client_id else text


def advice(installation: Installation, found: FoundRefusal) -> tuple[list[str], str | None]:
    """Return command lines, the most likely first, and a remark; both empty when the relying party itself has to change."""
    if found.tenant_id is None or found.tenant_slug is None:
        return [], None
    tenant = installation.provisioning.find(found.tenant_id)
    client_id = found.client_id or _named(found)
    row = _client(installation, tenant, client_id) if client_id else None
    if row is None:
        return _without_client(installation, tenant, client_id, found)
    where = f"{shlex.quote(tenant.slug)} {shlex.quote(row.client_id)}"
    if row.state != "active":
        return [f"idp client enable {where}"], f"The client {row.client_id} is disabled."
    change = _change(found, row)
    if change is not None:
        return [f"echo {shlex.quote(json.dumps(change))} | idp client update {where}"], None
    if found.refusal.check == "client_authentication" and "secret is" in found.refusal.reason:
        return [f"idp client rotate-secret {where}"], None
    return ([f"idp client show {where}"] if "idp client" in found.refusal.fix else []), None


def _named(found: FoundRefusal) -> str | None:
    """Return the client_id that was refused for naming no client; what else was received names none."""
    refusal = found.refusal
    unknown = refusal.check == "client_id" or any(words in refusal.reason for words in _UNKNOWN_CLIENT)
    return refusal.received if unknown and refusal.received not in AUTH_METHODS else None


def _change(found: FoundRefusal, row: Row[Any]) -> dict[str, Any] | None:
    """Return the change of metadata that would let the request through, where one would."""
    refusal, metadata, check = found.refusal, row.metadata, found.refusal.check
    received = refusal.received or ""
    if found.error_code == "invalid_redirect_uri" and redirect_uri.problem_of(received) is None:
        return {"redirect_uris": [*metadata.get("redirect_uris", []), received]}
    if check == "post_logout_redirect_uri" and redirect_uri.problem_of(received) is None:
        return {"post_logout_redirect_uris": [*metadata.get("post_logout_redirect_uris", []), received]}
    if check == "client_authentication" and received in AUTH_METHODS and refusal.registered:
        return {"token_endpoint_auth_method": received}
    if check == "scope" and received and "refresh" not in found.path:
        known = metadata.get("scope", "").split() or list(refusal.registered)
        return {"scope": " ".join(dict.fromkeys([*known, *received.split()]))}
    if check == "grant_type" and received in GRANT_TYPES:
        return {"grant_types": list(dict.fromkeys([*metadata["grant_types"], received]))}
    if check == "response_type" and received in RESPONSE_TYPES:
        return {"response_types": list(dict.fromkeys([*metadata["response_types"], received]))}
    return None


def _without_client(
    installation: Installation, tenant: Tenant, client_id: str | None, found: FoundRefusal
) -> tuple[list[str], str | None]:
    lists = [f"idp client list {shlex.quote(tenant.slug)}"]
    if client_id is None:
        return (lists if "idp client" in found.refusal.fix else []), None
    for other in installation.provisioning.list_all()[:MOST_TENANTS]:
        if other.id != tenant.id and other.state == "active" and _client(installation, other, client_id) is not None:
            # The commonest mistake: the right client at the wrong issuer.
            remark = f"Tenant {other.slug} has a client {client_id}: its issuer is {other.issuer}, not {tenant.issuer}."
            return [f"idp client show {shlex.quote(other.slug)} {shlex.quote(client_id)}", *lists], remark
    return lists, f"Tenant {tenant.slug} has no client {client_id}, and no other tenant has one."


def _client(installation: Installation, tenant: Tenant, client_id: str) -> Row[Any] | None:
    with entered(installation.store, tenant) as database, database.reading() as conn:
        return clients.find(conn, client_id[:255])
