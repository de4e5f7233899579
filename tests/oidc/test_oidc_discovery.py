"""OpenID Connect Discovery 1.0: every value that is advertised is probed, and what is not advertised is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cast import SigningKey, asserted, discovery, without
from house import CALLBACK, decoded
from joserfc import jwt
from joserfc.jwk import KeySet

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant

VERIFIER = "v" * 43
# OpenID Connect Discovery §3: REQUIRED, and RECOMMENDED where the product has it.
REQUIRED = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "jwks_uri",
    "scopes_supported",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
    "claims_supported",
)


@pytest.fixture(scope="module")
def found(cast: Cast) -> dict[str, Any]:
    """The document of acme."""
    return discovery(cast.house, cast.acme)


def test_advertised(cast: Cast, found: dict[str, Any]) -> None:
    """OpenID Connect Discovery §3, §4.2: the required members, as JSON, at the issuer's well-known address."""
    assert set(REQUIRED) <= found.keys()
    assert found["issuer"] == cast.acme.issuer
    assert "openid" in found["scopes_supported"]
    assert "RS256" in found["id_token_signing_alg_values_supported"]
    assert found["issuer"] == decoded(cast.tokens(cast.basic)["id_token"])[1]["iss"]


def test_absent_when_disabled(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenID Connect Discovery §3: the document is the union of what the features say; one less says less."""
    everything = discovery(house, acme)
    without(monkeypatch, house, "revocation", "introspection")
    less = discovery(house, acme)
    assert everything.keys() - less.keys() == {
        f"{name}_endpoint{end}"
        for name in ("revocation", "introspection")
        for end in ("", "_auth_methods_supported", "_auth_signing_alg_values_supported")
    } | {f"introspection_{what}_values_supported" for what in ("signing_alg", "encryption_alg", "encryption_enc")}


def test_the_key_set(cast: Cast, found: dict[str, Any]) -> None:
    """OpenID Connect Core §10.1.1: public keys for signing, each with kid and alg; what they sign verifies."""
    answer = cast.house.get(cast.acme, "/jwks")
    keys = answer.json["keys"]
    assert {key["alg"] for key in keys if key["kid"]} >= set(found["id_token_signing_alg_values_supported"])
    assert {key["use"] for key in keys} == {"sig", "enc"}
    assert not any({"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys() for key in keys)
    tokens = cast.tokens(cast.basic)
    for token in (tokens["id_token"], tokens["access_token"]):
        header = decoded(token)[0]
        key = next(key for key in KeySet.import_key_set(answer.json).keys if key.kid == header["kid"])
        assert jwt.decode(token, key, algorithms=[header["alg"]]).claims["iss"] == found["issuer"]


def test_every_response_type_and_mode(cast: Cast, found: dict[str, Any]) -> None:
    """OAuth 2.0 Multiple Response Types §2.1: each that is listed answers, the others are refused."""
    browser = cast.browser()
    kept = {"grant_types": ["authorization_code", "implicit"], "response_types": found["response_types_supported"]}
    anything = cast.house.client(cast.acme, "anything", profile="oidc", **kept)
    browser.sign_in(anything)
    for response_type in (
        "code",
        "id_token",
        "token",
        "code id_token",
        "code token",
        "id_token token",
        "code id_token token",
        "none",
    ):
        for mode in ("query", "form_post", "fragment", "jwt"):
            answer = browser.authorize(anything, verifier=VERIFIER, response_type=response_type, response_mode=mode)
            fields = answer.form[1] if answer.status == 200 else answer.params | answer.fragment
            is_served = response_type in found["response_types_supported"] and mode in found["response_modes_supported"]
            carries_token = {"id_token", "token"} & set(response_type.split())
            if carries_token and mode == "query":
                is_served = False  # Multiple Response Types §5: tokens never travel in a query string
            assert ("error" not in fields) is is_served, (response_type, mode, fields)


def test_every_scope(cast: Cast, found: dict[str, Any]) -> None:
    """OpenID Connect Discovery §3: each that is listed is granted to a client that registered it."""
    scope = " ".join(found["scopes_supported"])
    assert cast.tokens(cast.basic, scope=scope)["scope"] == scope


def test_every_grant_type(cast: Cast, found: dict[str, Any]) -> None:
    """RFC 8414 §2: each that is listed works, and no other does."""
    tokens = cast.tokens(cast.basic)
    assert cast.basic.refresh(tokens["refresh_token"]).status == 200
    assert cast.basic.post("/token", {"grant_type": "client_credentials"}).status == 200
    assert set(found["grant_types_supported"]) == {
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "implicit",  # what the authorization endpoint issues; no grant of the token endpoint
    }
    assert cast.basic.post("/token", {"grant_type": "implicit"}).json["error"] == "unsupported_grant_type"
    assert cast.basic.post("/token", {"grant_type": "password"}).json["error"] == "unsupported_grant_type"


def test_every_client_authentication_method_at_every_endpoint(cast: Cast, found: dict[str, Any]) -> None:
    """RFC 8414 §2: each method that an endpoint lists works there; one that it does not list is refused."""
    clients = {
        "client_secret_basic": cast.basic,
        "client_secret_post": cast.post,
        "private_key_jwt": cast.signed,
        "none": cast.public,
    }
    for endpoint, path in (("token", "/token"), ("introspection", "/introspect"), ("revocation", "/revoke")):
        listed = found[f"{endpoint}_endpoint_auth_methods_supported"]
        assert set(listed) <= set(clients)
        for method, client in clients.items():
            extra = asserted(client, cast.key) if method == "private_key_jwt" else {}
            answer = client.post(path, {"grant_type": "refresh_token", "refresh_token": "x", "token": "x", **extra})
            assert (answer.status != 401) is (method in listed), (endpoint, method)


def test_every_assertion_algorithm(cast: Cast, found: dict[str, Any]) -> None:
    """RFC 8414 §2: each algorithm that is listed verifies."""
    for alg in found["token_endpoint_auth_signing_alg_values_supported"]:
        key = SigningKey.new(alg)
        client = cast.house.client(
            cast.acme, f"probe-{alg}", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
        )
        assert client.post("/token", {"grant_type": "client_credentials", **asserted(client, key)}).status == 200


def test_every_id_token_algorithm(cast: Cast, found: dict[str, Any]) -> None:
    """OpenID Connect Discovery §3: each algorithm that is listed can be registered and is used."""
    for alg in found["id_token_signing_alg_values_supported"]:
        client = cast.house.client(cast.acme, f"id-token-{alg}", id_token_signed_response_alg=alg)
        assert decoded(cast.tokens(client)["id_token"])[0]["alg"] == alg


def test_every_code_challenge_method(cast: Cast, found: dict[str, Any]) -> None:
    """RFC 7636 §4.3: S256 works; plain is not listed and refused."""
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert cast.grant(cast.public).code
    answer = cast.browser().authorize(cast.public, code_challenge=VERIFIER, code_challenge_method="plain")
    assert answer.params["error"] == "invalid_request"


def test_every_prompt(cast: Cast, found: dict[str, Any]) -> None:
    """OpenID Connect Prompt Create §4 (prompt_values_supported): each that is listed is taken."""
    for prompt in found["prompt_values_supported"]:
        answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, prompt=prompt)
        assert answer.location.startswith(CALLBACK) is (prompt == "none")


def test_every_claim(house: House) -> None:
    """OpenID Connect Discovery §3 (claims_supported): each can be had, from userinfo or the ID token."""
    tenant = house.tenant("claims")
    texts = dict.fromkeys(
        ("name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "gender"), "x"
    )
    links = dict.fromkeys(("profile", "picture", "website"), "https://a.example/")
    rest = {
        "birthdate": "1815",
        "zoneinfo": "Europe/Berlin",
        "locale": "de",
        "phone_number": "+49301234567",
        "phone_number_verified": True,
        "address": {"country": "DE"},
    }
    house.user(tenant, "all@example.com", claims={**texts, **links, **rest})
    rp: RelyingParty = house.client(tenant)
    tokens = rp.redeem(
        house.browser(tenant).sign_in(rp, username="all@example.com", scope="openid profile email address phone")
    ).json
    had = rp.userinfo(tokens["access_token"]).json.keys() | decoded(tokens["id_token"])[1].keys()
    assert set(discovery(house, tenant)["claims_supported"]) <= had


def test_the_acr(cast: Cast, found: dict[str, Any]) -> None:
    """OpenID Connect Discovery §3 (acr_values_supported): what is listed is what the ID token says."""
    assert [decoded(cast.tokens(cast.basic)["id_token"])[1]["acr"]] == found["acr_values_supported"]


def test_what_a_tenant_does_not_allow_is_not_listed(house: House) -> None:
    """RFC 8414 §2: discovery follows the tenant's settings, at once."""
    tenant = house.tenant("algs", signing_algorithms="ES256,RS256,EdDSA", id_token_signing_alg="EdDSA")
    assert discovery(house, tenant)["id_token_signing_alg_values_supported"] == ["EdDSA", "ES256", "RS256"]
