"""Answers that are signed, encrypted or both, as the client registered it (OpenID Connect Core §10, §5.3.2; RFC 9701 §5).

Signed by the tenant, then encrypted to the client: in this order (RFC 7519 §11.2). What is protected is whoever's purpose it is:
the ID token, userinfo, introspection.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from idp.keys.encryption import CONTENT_ALGORITHMS, KEY_ALGORITHMS, cannot_encrypt, choose
from idp.oauth.client_keys import KeysUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.keys.encryption import Recipient
    from idp.oauth.client import Client
    from idp.oauth.server import TenantServer


def recipient(server: TenantServer, client: Client, purpose: str) -> Recipient | None:
    """Return to whom answers of a purpose are encrypted, None where they are not; may fetch. Raises :class:`~idp.keys.encryption.CannotEncrypt`."""
    alg = client.metadata.get(f"{purpose}_encrypted_response_alg")
    if alg is None:
        return None
    try:
        keys = server.client_keys.of(client, None)
    except KeysUnavailable as error:
        raise cannot_encrypt(str(error)) from None
    found = choose(keys, alg, client.metadata[f"{purpose}_encrypted_response_enc"])
    if found is None:
        raise cannot_encrypt(f"none of the client's keys can be encrypted to with {alg}")
    return found


def protected(
    server: TenantServer, client: Client, purpose: str, claims: Mapping[str, Any], *, alg: str | None, typ: str
) -> str:
    """Return claims as a JWT: signed with ``alg`` unless it is None, then encrypted if the client registered that."""
    to = recipient(server, client, purpose)
    if alg is None:
        text, content_type = json.dumps(claims), None
    else:
        text, content_type = server.keys.sign(claims, alg=alg, typ=typ), "JWT"
    return text if to is None else to.encrypt(text, content_type=content_type)


def encryption_metadata(prefix: str) -> dict[str, Any]:
    """Return the two members of discovery that say how answers of a purpose can be encrypted (Discovery §3, RFC 9701 §7)."""
    return {
        f"{prefix}_encryption_alg_values_supported": list(KEY_ALGORITHMS),
        f"{prefix}_encryption_enc_values_supported": list(CONTENT_ALGORITHMS),
    }
