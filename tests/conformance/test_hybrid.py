"""Hybrid OP: the response types code id_token, code token and code id_token token (OpenID Connect Core §3.3).

Modules of the certification plan (oidcc-hybrid-certification-test-plan) beside the tests that hold them; where the plan repeats a
module of the basic one unchanged, the test does so for all three response types.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from id_token_rules import payload_of
from op_under_test import CLAIMS, OTHER_PERSON
from relying import EVERYTHING, REDIRECT, RelyingParty, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    from op_under_test import Provider
    from user_agent import UserAgent

TYPES = ("code id_token", "code token", "code id_token token")


@pytest.fixture(params=TYPES)
def rp(request: pytest.FixtureRequest, provider: Provider) -> RelyingParty:
    """A relying party of one of the three response types."""
    return RelyingParty.register(provider, response_types=[request.param])


@pytest.fixture(params=[each for each in TYPES if "id_token" in each])
def with_id_token(request: pytest.FixtureRequest, provider: Provider) -> RelyingParty:
    """A relying party that gets an ID token from the authorization endpoint."""
    return RelyingParty.register(provider, response_types=[request.param])


def test_registration(rp: RelyingParty) -> None:
    """OpenID Connect Registration §2: response types with both a code and a token need both grant types."""
    assert set(rp.document["grant_types"]) == {"authorization_code", "implicit"}
    body = {"redirect_uris": [REDIRECT], "response_types": [rp.response_type], "grant_types": ["authorization_code"]}
    answer = rp.provider.http.post(rp.metadata["registration_endpoint"], json=body)
    assert answer.json().get("error", "invalid_client_metadata") == "invalid_client_metadata"
    assert answer.status_code == 400 or "implicit" in answer.json()["grant_types"]


def test_a_sign_in(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.3.2.5, §3.3.3.6: a fragment, a code that works, and two ID tokens about the same (oidcc-server)."""
    signed_in = rp.sign_in(agent)
    assert signed_in.asked.arrival.mode == "fragment"
    assert signed_in.tokens["id_token"]


def test_the_code_is_bound_to_the_id_token(with_id_token: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.3.2.11: c_hash is REQUIRED beside a code, at_hash beside an access token; both right (§3.3.2.10)."""
    signed_in = with_id_token.sign_in(agent)
    assert signed_in.front["c_hash"]
    assert ("at_hash" in signed_in.front) == ("token" in with_id_token.response_type.split())


def test_the_nonce_is_required(with_id_token: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.3.2.11 (nonce): REQUIRED when an ID token comes from the authorization endpoint.

    Module oidcc-ensure-request-without-nonce-fails.
    """
    asked = with_id_token.ask(agent, nonce=None)
    assert (asked.arrival.mode, asked.arrival.error) == ("fragment", "invalid_request")
    assert asked.arrival.params["state"] == asked.params["state"]


def test_the_nonce_is_optional_without_an_id_token(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1 (nonce): code token brings no ID token to the front, so none is required."""
    rp = RelyingParty.register(provider, response_types=["code token"])
    assert "nonce" not in rp.sign_in(agent, nonce=None).claims


def test_the_nonce_is_in_both_id_tokens(with_id_token: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.3.3.6: when both have a nonce, it is the request's."""
    signed_in = with_id_token.sign_in(agent)
    assert signed_in.front["nonce"] == signed_in.claims["nonce"] == signed_in.asked.params["nonce"]


def test_words_of_a_response_type_have_no_order(rp: RelyingParty, agent: UserAgent) -> None:
    """RFC 6749 §3.1.1: the order of the values does not matter."""
    reversed_words = " ".join(reversed(rp.response_type.split()))
    assert rp.sign_in(agent, response_type=reversed_words).claims["sub"]


def test_response_type_is_needed(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.6: no response_type is an error (oidcc-response-type-missing)."""
    assert rp.ask(agent, response_type=None).arrival.error in ("invalid_request", "unsupported_response_type")


@pytest.mark.parametrize("response_type", ["code", "id_token", "id_token token", "token"])
def test_other_response_types_are_refused(rp: RelyingParty, agent: UserAgent, response_type: str) -> None:
    """OpenID Connect Registration §2 (response_types): what was not registered is refused, and nothing leaks."""
    arrival = rp.ask(agent, response_type=response_type).arrival
    assert arrival.error in ("unauthorized_client", "unsupported_response_type")
    assert not {"code", "access_token", "id_token"} & arrival.params.keys()


def test_errors_travel_in_the_fragment(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.3.2.6, OAuth 2.0 Multiple Response Types §5: errors too, with state and iss."""
    asked = rp.ask(agent, prompt="none")
    assert (asked.arrival.mode, asked.arrival.error) == ("fragment", "login_required")
    assert asked.arrival.params["state"] == asked.params["state"]
    assert asked.arrival.params["iss"] == rp.metadata["issuer"]


def test_tokens_never_travel_in_the_query(rp: RelyingParty, agent: UserAgent) -> None:
    """OAuth 2.0 Multiple Response Types §5: the mode query MUST NOT be used for these response types."""
    arrival = rp.ask(agent, response_mode="query").arrival
    assert arrival.error == "invalid_request"
    assert "code" not in arrival.params


@pytest.mark.parametrize("uri", [f"{REDIRECT}?x=y", "https://evil.example/cb"])
def test_an_unregistered_redirect_uri_gets_a_page(rp: RelyingParty, agent: UserAgent, uri: str) -> None:
    """OpenID Connect Core §3.1.2.1 (redirect_uri): exactly a registered one (oidcc-ensure-registered-redirect-uri)."""
    arrival = rp.ask(agent, redirect_uri=uri).arrival
    assert arrival.page is not None
    assert arrival.error == "invalid_redirect_uri"


def test_a_request_may_be_posted(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1: by POST (oidcc-ensure-post-request-succeeds)."""
    assert rp.sign_in(agent, by="POST").claims["sub"]


def test_userinfo_with_each_access_token(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.3.3.8, §5.3.1: access tokens of both endpoints work, in each way to present them.

    Modules oidcc-userinfo-get, oidcc-userinfo-post-header, oidcc-userinfo-post-body.
    """
    signed_in, url = rp.sign_in(agent), rp.metadata["userinfo_endpoint"]
    for token in {signed_in.access_token, signed_in.asked.arrival.params.get("access_token", signed_in.access_token)}:
        header = {"authorization": f"Bearer {token}"}
        for answer in (
            rp.provider.http.get(url, headers=header),
            rp.provider.http.post(url, headers=header),
            rp.provider.http.post(url, data={"access_token": token}),
        ):
            assert answer.json()["sub"] == signed_in.claims["sub"]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("openid profile", {"name", "birthdate", "updated_at"}),
        ("openid email", {"email", "email_verified"}),
        ("openid address", {"address"}),
        ("openid phone", {"phone_number", "phone_number_verified"}),
        (EVERYTHING, {"email", *CLAIMS}),
        ("phone address email profile openid", {"email", *CLAIMS}),
    ],
)
def test_scopes(rp: RelyingParty, agent: UserAgent, scope: str, expected: set[str]) -> None:
    """OpenID Connect Core §5.4: the claims of the scopes at userinfo.

    Modules oidcc-scope-profile, -email, -address, -phone, -all, oidcc-ensure-other-scope-order-succeeds.
    """
    assert expected <= rp.userinfo(rp.sign_in(agent, scope=scope)).keys()


def test_an_essential_claim(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.5: asked for by name, at userinfo and in the ID token (oidcc-claims-essential)."""
    wish = {"name": {"essential": True}}
    signed_in = rp.sign_in(agent, claims=json.dumps({"userinfo": wish, "id_token": wish}))
    assert rp.userinfo(signed_in)["name"] == signed_in.claims["name"] == CLAIMS["name"]


@pytest.mark.parametrize(
    "params",
    [
        {"display": "page"},
        {"display": "popup"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"acr_values": "1 2"},
        {"login_hint": "somebody@example.com"},
        {"extra": "foobar"},
    ],
    ids="".join,
)
def test_wishes_and_unknown_parameters_succeed(rp: RelyingParty, agent: UserAgent, params: dict[str, str]) -> None:
    """OpenID Connect Core §3.1.2.1: wishes that cannot be met and parameters nobody knows are no errors.

    Modules oidcc-display-page, -display-popup, -ui-locales, -claims-locales, -ensure-request-with-acr-values-succeeds, -login-hint,
    -ensure-request-with-unknown-parameter-succeeds.
    """
    assert rp.sign_in(agent, **params).claims["sub"]


def test_prompt_and_max_age(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1: none with session is silent, login and an exceeded max_age ask again, a large one does not.

    Modules oidcc-prompt-none-logged-in, oidcc-prompt-login, oidcc-max-age-1, oidcc-max-age-10000.
    """
    first = rp.sign_in(agent).claims
    assert rp.sign_in(agent, prompt="none").claims["auth_time"] == first["auth_time"]
    assert rp.sign_in(agent, max_age="10000").claims["auth_time"] == first["auth_time"]
    time.sleep(2.1)
    second = rp.sign_in(agent, max_age="1").claims
    assert "login-submit" in agent.pressed
    assert second["auth_time"] > first["auth_time"]
    time.sleep(1.1)
    assert rp.sign_in(agent, prompt="login").claims["auth_time"] > second["auth_time"]
    assert "login-submit" in agent.pressed


def test_hints(rp: RelyingParty, agent: UserAgent, browsers: Callable[..., UserAgent]) -> None:
    """OpenID Connect Core §3.1.2.1 (id_token_hint): good, expired, somebody else's, wrong (oidcc-id-token-hint)."""
    signed_in = rp.sign_in(agent)
    past = rp.provider.sign(payload_of(signed_in.id_token) | {"exp": int(time.time()) - 86400})
    for hint in (signed_in.id_token, past):
        assert rp.sign_in(agent, prompt="none", id_token_hint=hint).claims["sub"] == signed_in.claims["sub"]
    bob = rp.sign_in(browsers(username=OTHER_PERSON)).id_token
    assert rp.ask(agent, prompt="none", id_token_hint=bob).arrival.error == "login_required"
    assert rp.ask(agent, prompt="none", id_token_hint="foobar").arrival.error == "invalid_request"


def test_an_unsigned_request_object_is_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §6.1, §3.1.2.6, RFC 9101 §10.5: not supported, and never half used.

    Modules oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported, oidcc-ensure-request-object-with-redirect-uri.
    """
    made = unsigned({"redirect_uri": REDIRECT, "state": secrets.token_urlsafe(), "client_id": rp.client_id})
    arrival = rp.ask(agent, request=made).arrival
    assert (arrival.mode, arrival.error) == ("fragment", "request_not_supported")


def test_a_code_works_once(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.3.2, RFC 6749 §4.1.2: a second use fails and revokes what the code brought (oidcc-codereuse)."""
    signed_in = rp.sign_in(agent)
    assert rp.redeem(signed_in.asked).json()["error"] == "invalid_grant"
    answer = rp.provider.http.get(
        rp.metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {signed_in.tokens['access_token']}"}
    )
    assert answer.status_code == 401


def test_client_secret_post(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §9 (client_secret_post): id and secret in the body (oidcc-server-client-secret-post)."""
    rp = RelyingParty.register(
        provider, response_types=["code id_token"], token_endpoint_auth_method="client_secret_post"
    )
    assert rp.sign_in(agent).claims["sub"]


def test_pkce_is_supported(rp: RelyingParty, agent: UserAgent) -> None:
    """RFC 7636 §4: with S256 (oidcc-ensure-request-with-valid-pkce-succeeds)."""
    verifier = secrets.token_urlsafe(48)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = rp.ask(agent, code_challenge=challenge, code_challenge_method="S256")
    assert rp.tokens(asked, code_verifier=verifier).claims["sub"]


def test_a_refresh_token_comes_from_the_token_endpoint_only(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §11, §12: offline_access works with a code; nothing of it is in the fragment (oidcc-refresh-token)."""
    grants = ["authorization_code", "implicit", "refresh_token"]
    rp = RelyingParty.register(provider, response_types=["code id_token"], grant_types=grants)
    signed_in = rp.sign_in(agent, scope="openid offline_access", prompt="consent")
    assert "refresh_token" not in signed_in.asked.arrival.params
    form = {"grant_type": "refresh_token", "refresh_token": signed_in.tokens["refresh_token"]}
    answer = rp.post(rp.metadata["token_endpoint"], form)
    assert answer.status_code == 200, answer.text


def test_front_and_back_differ_only_as_allowed(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §3.3.3.6: the ID token from the front may have fewer claims about the person, never other ones."""
    rp = RelyingParty.register(provider, response_types=["code id_token"])
    signed_in = rp.sign_in(agent, scope=EVERYTHING)
    for name in signed_in.front.keys() & signed_in.claims.keys() - {"iat", "exp", "at_hash", "c_hash"}:
        assert signed_in.front[name] == signed_in.claims[name]
