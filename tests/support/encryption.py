"""The other side of encryption: a client's private keys, and what it finds inside what it is sent. joserfc alone, none of ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from joserfc import jwe, jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

if TYPE_CHECKING:
    from house import House

    from idp.tenancy.tenant import Tenant

ALGORITHMS = ("RSA-OAEP-256", "ECDH-ES")
CONTENT = ("A128CBC-HS256", "A256GCM")


def new_key(alg: str, kid: str = "enc", crv: str = "P-256", *, named: str | None = "", use: str | None = "enc") -> Any:
    """A private key for an algorithm; its JWK may name another algorithm and use, or none."""
    parameters = {"kid": kid, "use": use, "alg": alg if named == "" else named}
    stated: Any = {name: value for name, value in parameters.items() if value is not None}
    if alg == "RSA-OAEP-256":
        return RSAKey.generate_key(2048, stated)
    return OKPKey.generate_key(crv, stated) if crv.startswith("X") else ECKey.generate_key(crv, stated)


def public(*keys: Any) -> dict[str, Any]:
    """The JWK Set of the public parts."""
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}


def opened(text: str, key: Any, alg: str, enc: str) -> tuple[dict[str, Any], str]:
    """The header of a compact JWE and what is inside; algorithms other than these are refused."""
    assert text.count(".") == 4, text
    found = jwe.decrypt_compact(text, key, algorithms=[alg, enc])
    assert found.plaintext is not None
    return found.protected, found.plaintext.decode()


def verified(house: House, tenant: Tenant, text: str, alg: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a JWT that the tenant's published keys verify."""
    keys = KeySet.import_key_set(
        {"keys": [key for key in house.get(tenant, "/jwks").json["keys"] if key["use"] == "sig"]}
    )
    found = jwt.decode(text, keys, algorithms=[alg])
    return found.header, json.loads(json.dumps(found.claims))
