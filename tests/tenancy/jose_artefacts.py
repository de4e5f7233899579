"""Artefacts of what clients sign and encrypt: a request object for one tenant, by a client with the same id and key at both; a hint."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from exchanging import exchange, exchanger
from joserfc import jwe
from joserfc.jwk import KeySet
from request_objects import VERIFIER, ask, signed_object

from idp import work
from idp.keys import rotation

if TYPE_CHECKING:
    from artefacts import Side


def request_object(a: Side, _b: Side) -> str:
    return signed_object(a.signed, a.key)


def request_object_refused(b: Side, text: str) -> None:
    answer = ask(b.browser(), b.signed, request=text)
    assert (answer.status, answer.params.get("error")) == (303, "invalid_request_object")


def request_object_works(a: Side, text: str) -> None:
    answer = ask(a.browser(), a.signed, request=text)
    assert answer.status == 303
    assert "/login?" in answer.location


def encrypted_hint(a: Side, _b: Side) -> tuple[Any, str]:
    """An ID token of A that is encrypted to A's own key for encryption."""
    a.house.installation.provisioning.change_settings(a.tenant, {"allowed_client_profiles": "strict,oidc"})
    with a.house.installation.feed.announced(a.tenant.id, "config"):
        tenant = a.house.installation.provisioning.find(a.tenant.slug)
        rotation.rotate_due(a.house.database(tenant), a.house.installation.envelope, tenant.id, work.key_policy(tenant))
    browser = a.signed_in()
    token = a.rp.redeem(browser.authorize(a.rp, verifier=VERIFIER, prompt="none").params | {"verifier": VERIFIER})
    jwk = next(key for key in a.house.get(a.tenant, "/jwks").json["keys"] if key["alg"] == "ECDH-ES")
    (key,) = KeySet.import_key_set({"keys": [jwk]}).keys
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": jwk["kid"]}
    return browser, jwe.encrypt_compact(header, token.json["id_token"], key)


def encrypted_hint_refused(b: Side, made: tuple[Any, str]) -> None:
    answer = b.signed_in().authorize(b.rp, verifier=VERIFIER, prompt="none", id_token_hint=made[1])
    assert answer.params.get("error") == "invalid_request"


def encrypted_hint_works(a: Side, made: tuple[Any, str]) -> None:
    assert "code" in made[0].authorize(a.rp, verifier=VERIFIER, prompt="none", id_token_hint=made[1]).params


def exchanged(a: Side, b: Side) -> tuple[dict[str, Any], str]:
    """Clients of one name on both sides that may exchange tokens, and a token of A."""
    name = f"gateway-{secrets.token_hex(4)}"
    clients = {side.tenant.slug: exchanger(side, name, "tokens:exchange") for side in (a, b)}
    return clients, a.tokens()["access_token"]


def exchanged_refused(b: Side, made: tuple[dict[str, Any], str]) -> None:
    answer = exchange(made[0][b.tenant.slug], made[1], scope="profile")
    assert (answer.status, answer.json.get("error")) == (400, "invalid_request")


def exchanged_works(a: Side, made: tuple[dict[str, Any], str]) -> None:
    assert exchange(made[0][a.tenant.slug], made[1], scope="profile").status == 200
