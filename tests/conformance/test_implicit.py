"""Implicit OP: the response types id_token and id_token token (OpenID Connect Core §3.2).

Modules of the certification plan (oidcc-implicit-certification-test-plan) beside the tests that hold them; where the plan repeats a
module of the basic one unchanged, the test does so for both response types.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from id_token_rules import payload_of
from op_under_test import CLAIMS, OTHER_PERSON, PERSON
from relying import EVERYTHING, REDIRECT, RelyingParty, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    from op_under_test import Provider
    from user_agent import UserAgent

TYPES = ("id_token", "id_token token")


@pytest.fixture(params=TYPES)
def rp(request: pytest.FixtureRequest, provider: Provider) -> RelyingParty:
    """A relying party of one of the two response types."""
    return RelyingParty.register(provider, response_types=[request.param])


@pytest.fixture(scope="module")
def with_token(provider: Provider) -> RelyingParty:
    """A relying party that gets an access token too."""
    return RelyingParty.register(provider, response_types=["id_token token"])


def claims_of(rp: RelyingParty, agent: UserAgent, **params: str | None) -> dict[str, Any]:
    """The claims about the person wherever they belong: in the ID token, or at userinfo when there is an access token (§5.4)."""
    signed_in = rp.sign_in(agent, **params)
    return rp.userinfo(signed_in) if "token" in rp.response_type.split() else signed_in.claims


def test_registration(rp: RelyingParty) -> None:
    """OpenID Connect Registration §2: response_types and grant_types as registered: implicit, without a code."""
    assert rp.document["grant_types"] == ["implicit"]
    assert rp.document["response_types"] == [rp.response_type]


def test_a_sign_in(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.2.2.5, §3.2.2.11: everything in the fragment, every rule of the ID token applied (oidcc-server)."""
    signed_in = rp.sign_in(agent)
    arrived = signed_in.asked.arrival
    assert arrived.mode == "fragment"
    assert "?" not in arrived.target
    assert not {"code", "refresh_token"} & arrived.params.keys()
    assert signed_in.claims["sub"]


def test_the_access_token_is_bound_to_the_id_token(with_token: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.2.2.10: at_hash is REQUIRED beside an access token, and right (§3.2.2.9)."""
    assert with_token.sign_in(agent).claims["at_hash"]


def test_words_of_a_response_type_have_no_order(with_token: RelyingParty, agent: UserAgent) -> None:
    """RFC 6749 §3.1.1: the order of the values does not matter."""
    assert with_token.sign_in(agent, response_type="token id_token").claims["sub"]


def test_response_type_is_needed(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.6: no response_type is an error (oidcc-response-type-missing)."""
    assert rp.ask(agent, response_type=None).arrival.error in ("invalid_request", "unsupported_response_type")


@pytest.mark.parametrize("response_type", ["code", "token", "code id_token", "id_token id_token"])
def test_other_response_types_are_refused(rp: RelyingParty, agent: UserAgent, response_type: str) -> None:
    """OpenID Connect Registration §2 (response_types), RFC 6749 §4.2.2.1: what was not registered is refused."""
    asked = rp.ask(agent, response_type=response_type)
    assert asked.arrival.error in ("unauthorized_client", "unsupported_response_type")
    assert not {"code", "access_token", "id_token"} & asked.arrival.params.keys()


def test_the_nonce_is_required(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.2.2.1 (nonce): REQUIRED in the implicit flow (oidcc-ensure-request-without-nonce-fails)."""
    asked = rp.ask(agent, nonce=None)
    assert asked.arrival.error == "invalid_request"
    assert asked.arrival.params["state"] == asked.params["state"]


def test_errors_travel_in_the_fragment(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.2.2.6, OAuth 2.0 Multiple Response Types §5: errors use the mode of the response type, with state and iss."""
    asked = rp.ask(agent, prompt="none")
    assert (asked.arrival.mode, asked.arrival.error) == ("fragment", "login_required")
    assert asked.arrival.params["state"] == asked.params["state"]
    assert asked.arrival.params["iss"] == rp.metadata["issuer"]


def test_tokens_never_travel_in_the_query(rp: RelyingParty, agent: UserAgent) -> None:
    """OAuth 2.0 Multiple Response Types §3, §5: the mode query MUST NOT be used for what carries a token."""
    arrival = rp.ask(agent, response_mode="query").arrival
    assert arrival.error == "invalid_request"
    assert not {"id_token", "access_token"} & arrival.params.keys()


@pytest.mark.parametrize("uri", [f"{REDIRECT}?x=y", "https://evil.example/cb", "https://rp.example/other"])
def test_an_unregistered_redirect_uri_gets_a_page(rp: RelyingParty, agent: UserAgent, uri: str) -> None:
    """OpenID Connect Core §3.2.2.1 (redirect_uri): exactly a registered one (oidcc-ensure-registered-redirect-uri)."""
    arrival = rp.ask(agent, redirect_uri=uri).arrival
    assert arrival.page is not None
    assert arrival.error == "invalid_redirect_uri"


@pytest.mark.parametrize("uri", ["http://rp.example/cb", "https://localhost/cb"])
def test_implicit_web_clients_are_on_the_web(provider: Provider, uri: str) -> None:
    """OpenID Connect Registration §2 (application_type): web clients of the implicit grant use https, and not localhost."""
    body = {"redirect_uris": [uri], "response_types": ["id_token"], "grant_types": ["implicit"]}
    answer = provider.http.post(provider.discovery()["registration_endpoint"], json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


def test_a_request_may_be_posted(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1: by POST (oidcc-ensure-post-request-succeeds)."""
    assert rp.sign_in(agent, by="POST").claims["sub"]


@pytest.mark.parametrize("how", ["get", "post with the header", "post with the body"])
def test_userinfo(with_token: RelyingParty, agent: UserAgent, how: str) -> None:
    """OpenID Connect Core §5.3.1: in each of the ways (oidcc-userinfo-get, -post-header, -post-body)."""
    signed_in, url = with_token.sign_in(agent), with_token.metadata["userinfo_endpoint"]
    http, header = with_token.provider.http, {"authorization": f"Bearer {signed_in.access_token}"}
    answer = {
        "get": lambda: http.get(url, headers=header),
        "post with the header": lambda: http.post(url, headers=header),
        "post with the body": lambda: http.post(url, data={"access_token": signed_in.access_token}),
    }[how]()
    assert answer.json()["sub"] == signed_in.claims["sub"]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("openid profile", {"name", "birthdate", "updated_at", "picture"}),
        ("openid email", {"email", "email_verified"}),
        ("openid address", {"address"}),
        ("openid phone", {"phone_number", "phone_number_verified"}),
        (EVERYTHING, {"email", *CLAIMS}),
        ("phone address email profile openid", {"email", *CLAIMS}),
    ],
)
def test_scopes(rp: RelyingParty, agent: UserAgent, scope: str, expected: set[str]) -> None:
    """OpenID Connect Core §5.4: at userinfo, or in the ID token when no access token is issued.

    Modules oidcc-scope-profile, -email, -address, -phone, -all, oidcc-ensure-other-scope-order-succeeds.
    """
    claims = claims_of(rp, agent, scope=scope)
    assert expected <= claims.keys()
    if "email" not in scope:
        assert "email" not in claims


def test_claims_stay_out_of_the_id_token_beside_an_access_token(with_token: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.4: scopes release at userinfo when an access token is issued, so that no fragment is full of them."""
    assert not {"email", "name"} & with_token.sign_in(agent, scope=EVERYTHING).claims.keys()


def test_an_essential_claim(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.5: asked for by name where it is to be had (oidcc-claims-essential)."""
    place = "userinfo" if "token" in rp.response_type.split() else "id_token"
    wanted = json.dumps({place: {"name": {"essential": True}}})
    assert claims_of(rp, agent, claims=wanted)["name"] == CLAIMS["name"]


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
    arrival = rp.ask(agent, prompt="none", id_token_hint="foobar").arrival
    assert (arrival.mode, arrival.error) == ("fragment", "invalid_request")


def test_an_unsigned_request_object_is_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §6.1, §3.1.2.6, RFC 9101 §10.5: not supported, and never half used.

    Modules oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported, oidcc-ensure-request-object-with-redirect-uri.
    """
    made = unsigned({"redirect_uri": REDIRECT, "state": secrets.token_urlsafe(), "client_id": rp.client_id})
    arrival = rp.ask(agent, request=made).arrival
    assert (arrival.mode, arrival.error) == ("fragment", "request_not_supported")


def test_nothing_is_to_be_had_at_the_token_endpoint(rp: RelyingParty) -> None:
    """OpenID Connect Core §3.2: the token endpoint is not used; a client of the implicit grant may not use another there."""
    answer = rp.post(rp.metadata["token_endpoint"], {"grant_type": "authorization_code", "code": "x"})
    assert answer.json()["error"] in ("unauthorized_client", "invalid_grant", "unsupported_grant_type")


def test_offline_access_is_ignored(with_token: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §11: offline_access is ignored unless a code comes: no refresh token leaves by the browser."""
    signed_in = with_token.sign_in(agent, scope="openid offline_access", prompt="consent")
    assert "refresh_token" not in signed_in.asked.arrival.params


def test_a_redirect_uri_with_a_query(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §3.2.2.5, RFC 6749 §3.1.2: a registered query stays, the answer is in the fragment behind it."""
    rp = RelyingParty.register(provider, response_types=["id_token"], redirect_uris=[f"{REDIRECT}?foo=bar"])
    assert rp.sign_in(agent).asked.arrival.target == f"{REDIRECT}?foo=bar"


def test_the_email_of_the_id_token(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §5.4: with the type id_token the claims of the scopes have their values in the ID token."""
    rp = RelyingParty.register(provider, response_types=["id_token"])
    claims = rp.sign_in(agent, scope=EVERYTHING).claims
    assert {name: claims[name] for name in CLAIMS} == CLAIMS
    assert (claims["email"], claims["email_verified"]) == (PERSON, True)
