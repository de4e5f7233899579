"""The rules by which a relying party believes an ID token (OpenID Connect Core §2, §3.1.3.7, §3.2.2.9 to §3.2.2.11, §3.3.2.x).

Written against the specification, on joserfc alone; a broken rule is an AssertionError that names its section.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.jwk import KeySet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEEWAY = 10
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512, "DSA": hashlib.sha512}


@dataclass(frozen=True)
class Expectation:
    """What the relying party knows before a token comes."""

    issuer: str
    client_id: str
    keys: Sequence[Mapping[str, Any]]
    alg: str = "RS256"
    nonce: str | None = None
    code: str | None = None
    access_token: str | None = None
    state: str | None = None
    max_age: int | None = None
    is_from_authorization_endpoint: bool = False
    response_type: str = "code"


def header_of(token: str) -> dict[str, Any]:
    """The JOSE header of a compact token, unverified."""
    return _segment(token, 0)


def payload_of(token: str) -> dict[str, Any]:
    """The claims of a signed token, unverified."""
    return _segment(token, 1)


def verified(token: str, keys: Sequence[Mapping[str, Any]], alg: str) -> dict[str, Any]:
    """The claims of a token whose signature is that of the one published key the header names (Core §10.1)."""
    header = header_of(token)
    assert header["alg"] == alg, f"Core §3.1.3.7 (7): alg is {header['alg']}, registered is {alg}"
    fitting = [dict(key) for key in keys if key.get("kid") == header.get("kid") and key.get("use", "sig") == "sig"]
    assert len(fitting) == 1, f"Core §10.1: {len(fitting)} published keys have the kid {header.get('kid')}"
    payload = jws.deserialize_compact(token, KeySet.import_key_set({"keys": fitting}), algorithms=[alg]).payload
    claims: dict[str, Any] = json.loads(payload or b"")
    return claims


def left_half(alg: str, value: str) -> str:
    """Core §3.1.3.6: base64url of the left half of the hash that the algorithm uses, over the ASCII of ``value``."""
    digest = _HASHES[alg[-3:]](value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def validate(token: str, expected: Expectation) -> dict[str, Any]:
    """Apply every rule and return the claims."""
    claims = verified(token, expected.keys, expected.alg)
    at = time.time()
    assert claims["iss"] == expected.issuer, "Core §3.1.3.7 (2): iss is not exactly the issuer"
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    assert audience == [expected.client_id], f"Core §3.1.3.7 (3): aud is {audience}"
    if len(audience) > 1 or "azp" in claims:
        assert claims["azp"] == expected.client_id, "Core §3.1.3.7 (4, 5): azp is somebody else"
    assert isinstance(claims["sub"], str), "Core §2: sub is a string"
    assert 0 < len(claims["sub"]) <= 255, "Core §2: sub has at most 255 characters"
    assert claims["sub"].isascii(), "Core §2: sub is ASCII"
    for name in ("iat", "exp"):
        assert isinstance(claims[name], int), f"Core §2: {name} is a JSON number"
    assert claims["exp"] > at - LEEWAY, "Core §3.1.3.7 (9): expired"
    assert abs(claims["iat"] - at) < 60 + LEEWAY, "Core §3.1.3.7 (10): iat is far from now"
    if expected.nonce is not None:
        assert claims.get("nonce") == expected.nonce, "Core §3.1.3.7 (11): nonce"
    else:
        assert "nonce" not in claims, "Core §2: a nonce nobody sent"
    if expected.max_age is not None:
        assert at - claims["auth_time"] <= expected.max_age + LEEWAY, "Core §3.1.3.7 (13): auth_time is too long ago"
    if "auth_time" in claims:
        assert isinstance(claims["auth_time"], int), "Core §2: auth_time is a JSON number"
        assert claims["auth_time"] <= at + LEEWAY, "Core §2: auth_time lies in the future"
    if "acr" in claims:
        assert isinstance(claims["acr"], str), "Core §2: acr is a string"
    if "amr" in claims:
        assert isinstance(claims["amr"], list), "Core §2: amr is an array"
        assert all(isinstance(each, str) for each in claims["amr"]), "Core §2: amr is an array of strings"
    _check_hashes(claims, expected)
    return claims


def _check_hashes(claims: dict[str, Any], expected: Expectation) -> None:
    kinds = expected.response_type.split()
    if expected.is_from_authorization_endpoint:
        # Core §3.2.2.10: at_hash is required beside an access token, except for the type id_token (where there is none).
        if "token" in kinds:
            assert "at_hash" in claims, "Core §3.2.2.10, §3.3.2.11: at_hash is missing"
        if "code" in kinds:
            assert "c_hash" in claims, "Core §3.3.2.11: c_hash is missing"
    for name, value in (("at_hash", expected.access_token), ("c_hash", expected.code), ("s_hash", expected.state)):
        if name in claims and value is not None:
            assert claims[name] == left_half(expected.alg, value), (
                f"Core §3.1.3.8, §3.2.2.9, §3.3.2.10: {name} is wrong"
            )


def _segment(token: str, index: int) -> dict[str, Any]:
    part = token.split(".")[index]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
