"""Request objects that are signed, then encrypted to the tenant (RFC 9101 §4, §6.1; OpenID Connect Core §6.1, §10.2)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from cast import SigningKey, discovery, segment
from encryption import ALGORITHMS, CONTENT, new_key
from house import CALLBACK, House
from joserfc import jwe
from joserfc.jwk import KeySet
from refusals import refused, sent_back
from registering import WEB, register
from request_objects import VERIFIER, ask, object_claims, signed_object

from idp import clock, work

if TYPE_CHECKING:
    from pathlib import Path

    from cast import Cast
    from house import Answer

    from idp.tenancy.tenant import Tenant


def encrypted(
    house: House, tenant: Tenant, text: str, alg: str = "ECDH-ES", enc: str = "A256GCM", **header: Any
) -> str:
    """A text encrypted to the key that the tenant publishes for it, by joserfc alone."""
    jwk = next(key for key in house.get(tenant, "/jwks").json["keys"] if key["use"] == "enc" and key["alg"] == alg)
    (key,) = KeySet.import_key_set({"keys": [jwk]}).keys
    members = {"alg": alg, "enc": enc, "kid": jwk["kid"], "cty": "JWT", **header}
    named = {name: value for name, value in members.items() if value is not None}
    return jwe.encrypt_compact(named, text, key, algorithms=[alg, enc])


def is_served(answer: Answer) -> bool:
    return answer.status == 303 and "/login?" in answer.location


def test_advertised(cast: Cast) -> None:
    """RFC 9101 §9.2, OpenID Discovery §3: where the profile oidc is allowed; elsewhere there is no key to encrypt to."""
    found = discovery(cast.house, cast.acme)
    assert found["request_object_encryption_alg_values_supported"] == list(ALGORITHMS)
    assert found["request_object_encryption_enc_values_supported"] == list(CONTENT)
    strict = cast.house.tenant("no-encryption")
    assert not any(name.startswith("request_object_encryption") for name in discovery(cast.house, strict))
    assert {key["use"] for key in cast.house.get(strict, "/jwks").json["keys"]} == {"sig"}


@pytest.mark.parametrize("enc", CONTENT)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_every_advertised_algorithm_opens(any_cast: Cast, alg: str, enc: str) -> None:
    """RFC 9101 §6.1: decrypted, then verified, then used as any other, by clients of either profile."""
    for client in (any_cast.signed, any_cast.lax_signed):
        text = encrypted(any_cast.house, any_cast.acme, signed_object(client, any_cast.key), alg, enc)
        assert is_served(ask(any_cast.browser(), client, request=text))
        text = encrypted(any_cast.house, any_cast.acme, signed_object(client, any_cast.key, prompt="none"), alg, enc)
        answer = ask(any_cast.browser(), client, request=text, redirect_uri="https://evil.example/cb")
        sent_back(any_cast.house, answer, any_cast.acme, "login_required", to=CALLBACK, state="the state inside")


def test_s011_what_is_inside_must_be_signed(cast: Cast) -> None:
    """RFC 9101 §4, S011: anybody can encrypt to the tenant, so what is encrypted alone says nothing about who made it."""
    unsigned = f"{segment({'alg': 'none'})}.{segment(object_claims(cast.lax_signed))}."
    stranger = signed_object(cast.lax_signed, SigningKey.new("ES256", cast.key.kid))
    good = signed_object(cast.lax_signed, cast.key)
    for inside in (
        stranger,
        segment(object_claims(cast.lax_signed)),
        '{"client_id": "lax-signed"}',
        signed_object(cast.lax_signed, cast.key, aud="https://evil.example", state="a state"),
        encrypted(cast.house, cast.acme, good),
        "x",
    ):
        for alg in ALGORITHMS:
            text = encrypted(cast.house, cast.acme, inside, alg)
            answer = cast.browser().authorize(cast.lax_signed, verifier=VERIFIER, request=text)
            sent_back(cast.house, answer, cast.acme, "invalid_request_object", to=CALLBACK)
    text = encrypted(cast.house, cast.acme, unsigned)
    for client, error in ((cast.lax_signed, "request_not_supported"), (cast.signed, "invalid_request_object")):
        answer = cast.browser().authorize(client, verifier=VERIFIER, request=text)
        sent_back(cast.house, answer, cast.acme, error, to=CALLBACK)


def test_s039_one_error_for_a_thousand(cast: Cast) -> None:
    """RFC 7516 §11.5, S039: nobody learns from the answer which step failed; never a failure of ours."""
    random_ = random.Random(39)  # noqa: S311 - the same damage each time
    good = encrypted(cast.house, cast.acme, signed_object(cast.lax_signed, cast.key), "RSA-OAEP-256")
    browser, told = cast.browser(), set()
    for _ in range(250):
        parts = good.split(".")
        place = random_.randrange(5)
        at = random_.randrange(len(parts[place]))
        parts[place] = parts[place][:at] + random_.choice("ABxyz09-_") + parts[place][at + random_.randrange(3) :]
        text = ".".join(parts)
        if text != good:
            params = browser.authorize(cast.lax_signed, verifier=VERIFIER, request=text).params
            told.add((params["error"], params["error_description"].partition(" (")[0], params["state"]))
    foreign = encrypted(cast.house, cast.globex, signed_object(cast.lax_signed, cast.key), "RSA-OAEP-256")
    for header in ({"alg": "RSA1_5", "enc": "A256GCM"}, {"alg": "dir", "enc": "A256GCM"}):
        text = ".".join([segment(header), *foreign.split(".")[1:]])
        params = browser.authorize(cast.lax_signed, verifier=VERIFIER, request=text).params
        told.add((params["error"], params["error_description"].partition(" (")[0], params["state"]))
    assert told == {("invalid_request_object", "The request object is not valid.", "a state")}


def test_what_can_be_registered(tmp_path: Path) -> None:
    """OpenID Registration §2: an algorithm of the tenant's, and only where it has the keys; enc needs alg."""
    house = House(tmp_path / "var")
    lax = house.tenant("lax", allowed_client_profiles="strict,oidc", registration="open", rate_limits="off")
    strict = house.tenant("strict", registration="open", rate_limits="off")
    wanted = {"request_object_encryption_alg": "RSA-OAEP-256", "request_object_encryption_enc": "A256GCM"}
    made = register(house, lax, WEB | wanted)
    assert made.status == 201
    assert {name: made.json[name] for name in wanted} == wanted
    refused(house, register(house, strict, WEB | wanted), 400, "invalid_client_metadata")
    for wrong in (
        {"request_object_encryption_alg": "RSA1_5"},
        {"request_object_encryption_alg": "dir"},
        {"request_object_encryption_enc": "A256GCM"},
        {"request_object_encryption_alg": "ECDH-ES", "request_object_encryption_enc": "A128GCM"},
    ):
        refused(house, register(house, lax, WEB | wrong), 400, "invalid_client_metadata")
    house.close()


def test_the_keys_follow_the_setting(tmp_path: Path) -> None:
    """Issue 4 §2: allowing the profile oidc makes the keys at the worker's next look, and taking it back retires them."""
    house = House(tmp_path / "var")
    tenant = house.tenant("acme", rate_limits="off")
    provisioning, worker = house.installation.provisioning, work.worker(house.installation)

    def uses() -> set[str]:
        house.installation.feed.poll()
        return {key["use"] for key in house.get(tenant, "/jwks").json["keys"]}

    with clock.shifted(60):
        worker.run_due()
    assert uses() == {"sig"}
    provisioning.change_settings(tenant, {"allowed_client_profiles": "strict,oidc"})
    with clock.shifted(61):
        worker.run_due()
    assert uses() == {"sig", "enc"}
    assert "request_object_encryption_alg_values_supported" in discovery(house, tenant)
    provisioning.change_settings(tenant, {"allowed_client_profiles": ""})
    with clock.shifted(130):
        worker.run_due()
    assert uses() == {"sig"}
    house.close()


def test_an_id_token_hint_may_be_encrypted_to_the_tenant(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: a client may encrypt the signed ID token to the server; to anybody else it is no hint."""
    browser = cast.browser()
    token = cast.basic.redeem(browser.sign_in(cast.basic)).json["id_token"]
    for alg in ALGORITHMS:
        hint = encrypted(cast.house, cast.acme, token, alg)
        assert "code" in browser.authorize(cast.basic, verifier=VERIFIER, prompt="none", id_token_hint=hint).params
    own = new_key("ECDH-ES")
    elsewhere = jwe.encrypt_compact({"alg": "ECDH-ES", "enc": "A256GCM"}, token, own)
    for hint in (elsewhere, encrypted(cast.house, cast.globex, token), encrypted(cast.house, cast.acme, "x")):
        answer = browser.authorize(cast.basic, verifier=VERIFIER, prompt="none", id_token_hint=hint)
        sent_back(cast.house, answer, cast.acme, "invalid_request", to=CALLBACK)
