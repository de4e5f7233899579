"""Config OP: discovery and the published keys (OpenID Connect Discovery 1.0, Core §10.1), as a relying party reads them first.

Modules of the certification plan: oidcc-discovery-endpoint-verification, oidcc-discovery-jwks-uri-keys,
oidcc-discovery-issuer-not-matching (the client's side), oidcc-server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from joserfc.jwk import KeySet

if TYPE_CHECKING:
    from op_under_test import Provider
    from relying import RelyingParty
    from user_agent import UserAgent

REQUIRED = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
)
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
# Discovery §3, RP-Initiated Logout §2.1, Front-Channel §3, Back-Channel §2.1, RFC 8414 §2, Registration 1.0: what each member is.
TYPES: dict[str, type] = {
    "issuer": str,
    "require_request_uri_registration": bool,
    "claims_parameter_supported": bool,
    "request_parameter_supported": bool,
    "request_uri_parameter_supported": bool,
    "authorization_response_iss_parameter_supported": bool,
    "frontchannel_logout_supported": bool,
    "frontchannel_logout_session_supported": bool,
    "backchannel_logout_supported": bool,
    "backchannel_logout_session_supported": bool,
    "require_pushed_authorization_requests": bool,
    "require_signed_request_object": bool,
    "tls_client_certificate_bound_access_tokens": bool,
}


@pytest.fixture(scope="module")
def document(provider: Provider) -> dict[str, Any]:
    return provider.discovery()


@pytest.fixture(scope="module")
def keys(provider: Provider) -> list[dict[str, Any]]:
    return provider.keys()


def test_the_document_stands_below_the_issuer(provider: Provider, document: dict[str, Any]) -> None:
    """OpenID Connect Discovery §4, §4.1: at {issuer}/.well-known/openid-configuration, 200, application/json."""
    answer = provider.http.get(f"{provider.issuer}/.well-known/openid-configuration")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "application/json")
    assert answer.json() == document


def test_the_issuer_is_the_one_that_was_asked(provider: Provider, document: dict[str, Any]) -> None:
    """OpenID Connect Discovery §4.3: issuer is exactly the URL the document was found below; https, no query, no fragment."""
    assert document["issuer"] == provider.issuer
    parts = urlsplit(document["issuer"])
    assert (parts.scheme, parts.query, parts.fragment) == ("https", "", "")


@pytest.mark.parametrize("member", REQUIRED)
def test_a_required_member_is_there(document: dict[str, Any], member: str) -> None:
    """OpenID Connect Discovery §3: each REQUIRED member, and none that is empty."""
    assert document[member]


def test_members_have_their_types(document: dict[str, Any]) -> None:
    """OpenID Connect Discovery §3, §4.2: lists are arrays of texts without repetition, addresses https, the rest as defined.

    A member with nothing in it is left out (§4.2).
    """
    for name, value in document.items():
        if name in TYPES:
            assert isinstance(value, TYPES[name]), name
        elif name.endswith("_supported"):
            assert isinstance(value, list), name
            assert value, f"{name} is empty"
            assert all(isinstance(each, str) for each in value), name
            assert len(set(value)) == len(value), name
        else:
            assert name.endswith(("_endpoint", "_uri", "_iframe")), f"{name}: nobody knows this member"
            assert urlsplit(value).scheme == "https", name
            assert not urlsplit(value).fragment, name


def test_algorithms_and_types_every_provider_has(document: dict[str, Any]) -> None:
    """OpenID Connect Discovery §3: RS256 among the ID token algorithms, openid among the scopes, known subject types, code."""
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert "openid" in document["scopes_supported"]
    assert set(document["subject_types_supported"]) <= {"public", "pairwise"}
    assert "code" in document["response_types_supported"]
    assert "authorization_code" in document["grant_types_supported"]


def test_none_is_offered_for_no_token(document: dict[str, Any]) -> None:
    """OpenID Connect Discovery §3, RFC 8725 §3.2: the algorithm none is in no list of algorithms."""
    for name, values in document.items():
        if "_alg_values_" in name:
            assert not {each.lower() for each in values} & {"none"}, name


def test_keys_are_a_jwk_set_with_public_keys_only(provider: Provider, keys: list[dict[str, Any]]) -> None:
    """OpenID Connect Discovery §3 (jwks_uri), RFC 7517 §5: a JWK Set that can be read, without any private member."""
    answer = provider.http.get(provider.discovery()["jwks_uri"])
    assert answer.headers["content-type"].partition(";")[0] in ("application/json", "application/jwk-set+json")
    assert keys
    assert not any(PRIVATE & key.keys() for key in keys)
    KeySet.import_key_set({"keys": keys})


def test_keys_say_their_use_and_have_names_of_their_own(keys: list[dict[str, Any]]) -> None:
    """OpenID Connect Core §10.1, RFC 7517 §4.2, §4.5: kid is there and unique; use is sig (or enc, beside it)."""
    names = [key["kid"] for key in keys]
    assert len(set(names)) == len(names)
    assert {key["use"] for key in keys} <= {"sig", "enc"}
    assert all(key["alg"] != "none" for key in keys)


def test_there_is_a_key_for_every_offered_algorithm(document: dict[str, Any], keys: list[dict[str, Any]]) -> None:
    """OpenID Connect Discovery §3: for each asymmetric signing algorithm on offer a signing key is published."""
    offered = {
        alg for name, values in document.items() if name.endswith("_signing_alg_values_supported") for alg in values
    }
    ours = {
        alg
        for alg in offered
        for name in ("id_token", "userinfo", "introspection", "authorization")
        if alg in document.get(f"{name}_signing_alg_values_supported", [])
    }
    assert ours
    assert ours <= {key["alg"] for key in keys if key["use"] == "sig"}


def test_rsa_keys_are_large_enough(keys: list[dict[str, Any]]) -> None:
    """RFC 7518 §3.3: RSA keys have at least 2048 bits."""
    for key in keys:
        if key["kty"] == "RSA":
            assert len(key["n"]) * 6 >= 2048 - 6


def test_documents_may_be_read_by_scripts_of_any_site(provider: Provider) -> None:
    """OpenID Connect Discovery §4.1 (implementation considerations), Fetch: the document and the keys allow any origin."""
    for url in (f"{provider.issuer}/.well-known/openid-configuration", provider.discovery()["jwks_uri"]):
        answer = provider.http.get(url, headers={"origin": "https://spa.example"})
        assert answer.headers["access-control-allow-origin"] == "*"


def test_rfc8414_gives_the_same_document(provider: Provider, document: dict[str, Any]) -> None:
    """RFC 8414 §3, §3.1: the same at the inserted well-known address of authorization servers."""
    parts = urlsplit(provider.issuer)
    answer = provider.http.get(f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}")
    assert answer.json() == document


def test_an_issuer_that_is_not_there_has_no_document(provider: Provider) -> None:
    """OpenID Connect Discovery §4.2: an error is a 4xx, for an issuer that nobody knows."""
    answer = provider.http.get(f"{provider.url}/t/nobody/.well-known/openid-configuration")
    assert answer.status_code == 404


def test_a_sign_in_with_what_was_discovered(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Discovery §4.3, OpenID Connect Core §3.1: from the document alone to a believed ID token (module oidcc-server)."""
    assert rp.sign_in(agent).claims["sub"]
