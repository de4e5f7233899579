"""Basic OP: the code flow (OpenID Connect Core §3.1), walked as the certification plan walks it, and its error cases.

Modules of the plan (oidcc-basic-certification-test-plan) beside the tests that hold them; what the suite leaves to a person who
looks at a screenshot is asserted here from the page.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from id_token_rules import payload_of
from op_under_test import CLAIMS, OTHER_PERSON, PASSWORD, PERSON
from relying import EVERYTHING, REDIRECT, Asked, RelyingParty, public_set
from user_agent import UserAgent

if TYPE_CHECKING:
    from collections.abc import Callable

    from op_under_test import Provider
    from relying import SignedIn

PROFILE = {name for name in CLAIMS if not name.startswith(("phone", "address"))} | {"updated_at"}
SCOPE_CLAIMS = {
    "profile": PROFILE,
    "email": {"email", "email_verified"},
    "address": {"address"},
    "phone": {"phone_number", "phone_number_verified"},
}


@pytest.fixture
def old(rp: RelyingParty, agent: UserAgent) -> dict[str, Any]:
    """The claims of an ID token of a sign-in that just was; the browser has its session."""
    return rp.sign_in(agent).claims


@pytest.fixture(scope="module", autouse=True)
def signed_in_before(provider: Provider) -> tuple[RelyingParty, SignedIn, float]:
    """A sign-in at another relying party before the first test of this module, and when it was."""
    agent, other = UserAgent(provider.issuer, provider.trust), RelyingParty.register(provider)
    try:
        return other, other.sign_in(agent), time.monotonic()
    finally:
        agent.close()


@pytest.fixture
def half_a_minute_ago(signed_in_before: tuple[RelyingParty, SignedIn, float]) -> tuple[RelyingParty, SignedIn]:
    """A relying party and its sign-in, which is 30 seconds old."""
    rp, signed_in, at = signed_in_before
    time.sleep(max(0.0, at + 30 - time.monotonic()))
    return rp, signed_in


# -- the flow -------------------------------------------------------------------------------------------------------------


def test_a_sign_in_brings_a_valid_id_token(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1: the whole code flow, every rule of §3.1.3.7 applied (oidcc-server)."""
    signed_in = rp.sign_in(agent)
    assert agent.pressed == ["login-submit", "consent-approve"]
    assert {"access_token", "token_type", "id_token"} <= signed_in.tokens.keys()


def test_sub_stays_the_same(rp: RelyingParty, browsers: Callable[..., UserAgent]) -> None:
    """OpenID Connect Core §2 (sub), §8: locally unique and never reassigned: one person, one sub; two people, two."""
    first, again, other = browsers(), browsers(), browsers(username=OTHER_PERSON)
    sub = rp.sign_in(first).claims["sub"]
    assert rp.sign_in(again).claims["sub"] == sub
    assert rp.sign_in(other).claims["sub"] != sub


def test_response_type_is_needed(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.6, RFC 6749 §3.1.1: no response_type is invalid_request (oidcc-response-type-missing)."""
    asked = rp.ask(agent, response_type=None)
    assert asked.arrival.error in ("invalid_request", "unsupported_response_type")
    assert asked.arrival.params["state"] == asked.params["state"]
    assert "code" not in asked.arrival.params


def test_an_unknown_response_type_is_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """RFC 6749 §4.1.2.1: unsupported_response_type for one that nobody has defined."""
    assert rp.ask(agent, response_type="code picture").arrival.error == "unsupported_response_type"


def test_a_response_type_that_was_not_registered_is_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Registration §2 (response_types): the client restricts itself to what it registered; RFC 6749 §4.2.2.1."""
    asked = rp.ask(agent, response_type="id_token")
    assert asked.arrival.error in ("unauthorized_client", "unsupported_response_type")
    assert "id_token" not in asked.arrival.params


def test_the_scope_openid_makes_it_openid_connect(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1 (scope): without openid it is an OAuth request, which brings no ID token."""
    asked = rp.ask(agent, scope="profile")
    answer = rp.redeem(asked)
    assert answer.status_code == 200, answer.text
    assert "id_token" not in answer.json()


def test_the_nonce_is_optional_in_the_code_flow(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1 (nonce): optional here, and then in no ID token.

    Module oidcc-ensure-request-without-nonce-succeeds-for-code-flow.
    """
    assert "nonce" not in rp.sign_in(agent, nonce=None).claims


def test_a_long_state_and_nonce_come_back_unaltered(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1, RFC 6749 §4.1.2: state and nonce are opaque and come back as they were sent."""
    state, nonce = "a b&c=d+e%20/é–" + "x" * 100, "n/+= &é" + "y" * 100
    signed_in = rp.sign_in(agent, state=state, nonce=nonce)
    assert signed_in.asked.arrival.params["state"] == state
    assert signed_in.claims["nonce"] == nonce


def test_without_state_none_comes_back(rp: RelyingParty, agent: UserAgent) -> None:
    """RFC 6749 §4.1.2: state is in the answer if and only if it was in the request."""
    assert "state" not in rp.sign_in(agent, state=None).asked.arrival.params


def test_a_request_may_be_posted(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1: GET and POST are both supported (oidcc-ensure-post-request-succeeds)."""
    assert rp.sign_in(agent, by="POST").claims["sub"]


def test_unknown_parameters_are_ignored(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1: parameters nobody knows are ignored.

    Module oidcc-ensure-request-with-unknown-parameter-succeeds.
    """
    assert rp.sign_in(agent, extra="foobar").claims["sub"]


def test_a_parameter_sent_twice_is_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """RFC 6749 §3.1: parameters must not be included more than once."""
    params = rp.request()
    arrival = agent.open(f"{rp.url(params)}&scope=openid+email")
    assert arrival.error == "invalid_request"


def test_pkce_is_supported(rp: RelyingParty, agent: UserAgent) -> None:
    """RFC 7636 §4: a challenge with S256 and its verifier (oidcc-ensure-request-with-valid-pkce-succeeds)."""
    verifier = secrets.token_urlsafe(48)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = rp.ask(agent, code_challenge=challenge, code_challenge_method="S256")
    assert rp.redeem(asked, code_verifier=secrets.token_urlsafe(48)).json()["error"] == "invalid_grant"
    asked = rp.ask(agent, code_challenge=challenge, code_challenge_method="S256")
    assert rp.tokens(asked, code_verifier=verifier).claims["sub"]


# -- redirect URIs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "https://rp.example/other",
        "https://rp.example/cb/",
        "https://rp.example/cb?x=y",
        "https://evil.example/cb",
        "http://rp.example/cb",
    ],
)
def test_an_unregistered_redirect_uri_gets_a_page(rp: RelyingParty, agent: UserAgent, uri: str) -> None:
    """OpenID Connect Core §3.1.2.1 (redirect_uri): exactly a registered one, else the person sees an error and goes nowhere.

    Module oidcc-ensure-registered-redirect-uri.
    """
    arrival = rp.ask(agent, redirect_uri=uri).arrival
    assert arrival.page is not None
    assert arrival.page.status_code == 400
    assert arrival.error == "invalid_redirect_uri"


def test_redirect_uri_is_needed(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1 (redirect_uri): REQUIRED in an authentication request."""
    arrival = rp.ask(agent, redirect_uri=None).arrival
    assert arrival.page is not None
    assert arrival.error == "invalid_request"


def test_an_unknown_client_gets_a_page(rp: RelyingParty, agent: UserAgent) -> None:
    """RFC 6749 §4.1.2.1: without a valid client the person is told, and not sent on."""
    arrival = rp.ask(agent, client_id="nobody").arrival
    assert arrival.page is not None
    assert arrival.page.status_code in (400, 401)


# -- userinfo -------------------------------------------------------------------------------------------------------------


def test_userinfo_by_get(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.3.1: GET with the Authorization header (oidcc-userinfo-get)."""
    rp.userinfo(rp.sign_in(agent))


def test_userinfo_by_post_with_the_header(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.3.1: POST with the Authorization header (oidcc-userinfo-post-header)."""
    signed_in = rp.sign_in(agent)
    answer = rp.provider.http.post(
        rp.metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {signed_in.access_token}"}
    )
    assert answer.json()["sub"] == signed_in.claims["sub"]


def test_userinfo_by_post_with_the_token_in_the_body(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.3.1, RFC 6750 §2.2: POST with access_token in a form body (oidcc-userinfo-post-body)."""
    signed_in = rp.sign_in(agent)
    answer = rp.provider.http.post(rp.metadata["userinfo_endpoint"], data={"access_token": signed_in.access_token})
    assert answer.status_code == 200, answer.text
    assert answer.json()["sub"] == signed_in.claims["sub"]


def test_userinfo_refuses_what_is_no_access_token(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.3.3, RFC 6750 §3.1: 401 invalid_token with a challenge; without a token no error code."""
    signed_in, url = rp.sign_in(agent), rp.metadata["userinfo_endpoint"]
    for token in ("foobar", signed_in.id_token, signed_in.access_token[:-4] + "AAAA"):
        answer = rp.provider.http.get(url, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    answer = rp.provider.http.get(url)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "error=" not in answer.headers["www-authenticate"]


def test_userinfo_may_be_asked_by_scripts(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.3: the userinfo endpoint supports CORS, so that applications in a browser can use it."""
    signed_in = rp.sign_in(agent)
    headers = {"authorization": f"Bearer {signed_in.access_token}", "origin": "https://rp.example"}
    answer = rp.provider.http.get(rp.metadata["userinfo_endpoint"], headers=headers)
    assert answer.headers["access-control-allow-origin"] in ("*", "https://rp.example")


# -- scopes and claims ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPE_CLAIMS)
def test_a_scope_releases_its_claims(rp: RelyingParty, agent: UserAgent, scope: str) -> None:
    """OpenID Connect Core §5.4: the claims of the scope, and no others (oidcc-scope-profile, -email, -address, -phone)."""
    claims = rp.userinfo(rp.sign_in(agent, scope=f"openid {scope}"))
    assert claims.keys() == {"sub"} | SCOPE_CLAIMS[scope]


@pytest.mark.parametrize("scope", [EVERYTHING, "phone address email profile openid"])
def test_all_scopes_in_any_order(rp: RelyingParty, agent: UserAgent, scope: str) -> None:
    """OpenID Connect Core §5.4, §5.1: every standard claim with its type and value.

    Modules oidcc-scope-all, oidcc-ensure-other-scope-order-succeeds.
    """
    claims = rp.userinfo(rp.sign_in(agent, scope=scope))
    assert {name: claims[name] for name in CLAIMS} == CLAIMS
    assert (claims["email"], claims["email_verified"]) == (PERSON, True)
    assert isinstance(claims["updated_at"], int)


def test_an_unknown_scope_is_ignored(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1 (scope): values that are not understood SHOULD be ignored."""
    assert rp.sign_in(agent, scope="openid foobar").claims["sub"]


def test_an_essential_claim_is_released(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.5, §5.5.1: name as an essential claim of userinfo (oidcc-claims-essential)."""
    assert rp.metadata["claims_parameter_supported"] is True
    wanted = json.dumps({"userinfo": {"name": {"essential": True}}})
    claims = rp.userinfo(rp.sign_in(agent, claims=wanted))
    assert claims == {"sub": claims["sub"], "name": CLAIMS["name"]}


def test_a_claim_is_released_into_the_id_token(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.5: the member id_token asks for claims in the ID token, voluntary (null) or essential."""
    wanted = json.dumps(
        {"id_token": {"email": None, "given_name": {"essential": True}, "auth_time": {"essential": True}}}
    )
    claims = rp.sign_in(agent, claims=wanted).claims
    assert (claims["email"], claims["given_name"]) == (PERSON, CLAIMS["given_name"])
    assert claims["auth_time"]


def test_a_claim_that_cannot_be_had_is_no_error(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.5.1: an essential claim that is not available is no error; unknown members are ignored (§5.5)."""
    wanted = json.dumps(
        {"userinfo": {"https://x.example/claim": {"essential": True}, "name": None}, "other": {"a": None}}
    )
    assert rp.userinfo(rp.sign_in(agent, claims=wanted))["name"] == CLAIMS["name"]


@pytest.mark.parametrize("wanted", ["{", "[]", '"name"', '{"userinfo": []}'])
def test_a_claims_parameter_that_is_none_is_refused(rp: RelyingParty, agent: UserAgent, wanted: str) -> None:
    """OpenID Connect Core §5.5: the value is a JSON object listing claims; anything else is invalid_request."""
    assert rp.ask(agent, claims=wanted).arrival.error == "invalid_request"


# -- display and languages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("display", ["page", "popup", "touch", "wap"])
def test_display_is_understood(rp: RelyingParty, agent: UserAgent, display: str) -> None:
    """OpenID Connect Core §3.1.2.1 (display): no value of it is an error (oidcc-display-page, oidcc-display-popup)."""
    assert rp.sign_in(agent, display=display).claims["sub"]


@pytest.mark.parametrize("name", ["ui_locales", "claims_locales"])
@pytest.mark.parametrize("value", ["se", "fr-CA fr en"])
def test_languages_are_a_wish(rp: RelyingParty, agent: UserAgent, name: str, value: str) -> None:
    """OpenID Connect Core §3.1.2.1, §5.2: languages that are not there are no error (oidcc-ui-locales, oidcc-claims-locales)."""
    assert rp.sign_in(agent, **{name: value}).claims["sub"]


# -- prompt and the session -----------------------------------------------------------------------------------------------


def test_a_session_makes_the_second_sign_in_silent(rp: RelyingParty, agent: UserAgent, old: dict[str, Any]) -> None:
    """OpenID Connect Core §3.1.2.3: who is signed in already is not asked again; auth_time is that of the sign-in."""
    claims = rp.sign_in(agent).claims
    assert agent.pressed == []
    assert (claims["sub"], claims["auth_time"]) == (old["sub"], old["auth_time"])


def test_prompt_login_asks_again(rp: RelyingParty, agent: UserAgent, old: dict[str, Any]) -> None:
    """OpenID Connect Core §3.1.2.1 (prompt=login): authenticated again, with a later auth_time (oidcc-prompt-login)."""
    time.sleep(1.1)
    claims = rp.sign_in(agent, prompt="login").claims
    assert "login-submit" in agent.pressed
    assert claims["auth_time"] > old["auth_time"]
    assert claims["sub"] == old["sub"]


def test_prompt_none_without_session(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1, §3.1.2.6: login_required, and no page is shown (oidcc-prompt-none-not-logged-in)."""
    asked = rp.ask(agent, prompt="none")
    assert asked.arrival.error in ("login_required", "interaction_required")
    assert asked.arrival.params["state"] == asked.params["state"]
    assert "code" not in asked.arrival.params
    assert [answer.status_code // 100 for answer in agent.trail] == [3]


def test_prompt_none_with_session(rp: RelyingParty, agent: UserAgent, old: dict[str, Any]) -> None:
    """OpenID Connect Core §3.1.2.1 (prompt=none): succeeds silently, the same sub and auth_time (oidcc-prompt-none-logged-in)."""
    claims = rp.sign_in(agent, prompt="none").claims
    assert agent.pressed == []
    assert (claims["sub"], claims["auth_time"]) == (old["sub"], old["auth_time"])


def test_prompt_none_without_consent(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.6: consent_required where the person would have to be asked for consent, or for more of it."""
    RelyingParty.register(provider).sign_in(agent)
    rp = RelyingParty.register(provider)
    assert rp.ask(agent, prompt="none").arrival.error in ("consent_required", "interaction_required")
    rp.sign_in(agent)
    assert rp.ask(agent, prompt="none").arrival.error is None
    assert rp.ask(agent, prompt="none", scope="openid email").arrival.error in (
        "consent_required",
        "interaction_required",
    )


@pytest.mark.parametrize("prompt", ["none login", "login none", "none consent select_account"])
def test_none_stands_alone(rp: RelyingParty, agent: UserAgent, prompt: str) -> None:
    """OpenID Connect Core §3.1.2.1 (prompt): none with any other value is an error."""
    assert rp.ask(agent, prompt=prompt).arrival.error == "invalid_request"


def test_prompt_consent_asks_again(rp: RelyingParty, agent: UserAgent, old: dict[str, Any]) -> None:
    """OpenID Connect Core §3.1.2.1 (prompt=consent): asked for consent although it was given before."""
    rp.sign_in(agent, prompt="consent")
    assert agent.pressed == ["consent-approve"]


def test_prompt_login_consent(rp: RelyingParty, agent: UserAgent, old: dict[str, Any]) -> None:
    """OpenID Connect Core §3.1.2.1 (prompt): a space-delimited list; each of its values happens."""
    rp.sign_in(agent, prompt="login consent")
    assert agent.pressed == ["login-submit", "consent-approve"]


def test_prompt_select_account_asks_which(rp: RelyingParty, agent: UserAgent, old: dict[str, Any]) -> None:
    """OpenID Connect Core §3.1.2.1 (prompt=select_account): the person is asked which account; one who is here may go on."""
    claims = rp.sign_in(agent, prompt="select_account").claims
    assert agent.pressed == ["account-continue"]
    assert (claims["sub"], claims["auth_time"]) == (old["sub"], old["auth_time"])
    assert rp.sign_in(agent, prompt="select_account login").claims["auth_time"] >= old["auth_time"]
    assert "login-submit" in agent.pressed


def test_declined_consent_is_access_denied(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.4, RFC 6749 §4.1.2.1: who declines sends the client access_denied, with the state."""
    agent.ignored = frozenset({"consent-approve"})
    asked = rp.ask(agent, prompt="consent")
    markup = asked.arrival.markup
    deny = markup.buttons["consent-deny"]
    answered = agent.open(
        agent.origin + (markup.action or ""),
        form={**markup.fields, deny["name"]: deny.get("value", "")},
        origin=agent.origin,
    )
    assert (answered.error, answered.params["state"]) == ("access_denied", asked.params["state"])


# -- max_age --------------------------------------------------------------------------------------------------------------


def test_max_age_1_asks_again(rp: RelyingParty, agent: UserAgent, old: dict[str, Any]) -> None:
    """OpenID Connect Core §3.1.2.1 (max_age): exceeded, so authenticated anew, with auth_time (oidcc-max-age-1)."""
    time.sleep(2.1)
    claims = rp.sign_in(agent, max_age="1").claims
    assert "login-submit" in agent.pressed
    assert claims["auth_time"] > old["auth_time"]


def test_max_age_10000_does_not(rp: RelyingParty, agent: UserAgent, old: dict[str, Any]) -> None:
    """OpenID Connect Core §3.1.2.1 (max_age): not exceeded; auth_time is in the ID token, the same (oidcc-max-age-10000)."""
    claims = rp.sign_in(agent, max_age="10000").claims
    assert agent.pressed == []
    assert (claims["auth_time"], claims["sub"]) == (old["auth_time"], old["sub"])


def test_max_age_passed_under_prompt_none(rp: RelyingParty, agent: UserAgent, old: dict[str, Any]) -> None:
    """OpenID Connect Core §3.1.2.1, §3.1.2.6: max_age exceeded and no page allowed is login_required."""
    time.sleep(2.1)
    assert rp.ask(agent, prompt="none", max_age="1").arrival.error == "login_required"


@pytest.mark.parametrize("value", ["-1", "abc", "1.5", "9" * 30])
def test_a_max_age_that_is_no_number_is_refused(rp: RelyingParty, agent: UserAgent, value: str) -> None:
    """OpenID Connect Core §3.1.2.1 (max_age): a whole number of seconds; anything else is invalid_request."""
    assert rp.ask(agent, max_age=value).arrival.error == "invalid_request"


# -- hints ----------------------------------------------------------------------------------------------------------------


def test_id_token_hint_of_who_is_here(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1 (id_token_hint): with prompt=none, the person of the hint (oidcc-id-token-hint)."""
    signed_in = rp.sign_in(agent)
    claims = rp.sign_in(agent, prompt="none", id_token_hint=signed_in.id_token).claims
    assert claims["sub"] == signed_in.claims["sub"]


def test_an_expired_id_token_hint_is_a_good_one(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1 (id_token_hint), §3.1.2.2: a hint is no credential; one that has expired still names the person."""
    signed_in = rp.sign_in(agent)
    past = payload_of(signed_in.id_token) | {"iat": int(time.time()) - 90000, "exp": int(time.time()) - 86400}
    hint = rp.provider.sign(past)
    assert rp.sign_in(agent, prompt="none", id_token_hint=hint).claims["sub"] == signed_in.claims["sub"]


def test_an_id_token_hint_of_somebody_else(
    rp: RelyingParty, agent: UserAgent, browsers: Callable[..., UserAgent], old: dict[str, Any]
) -> None:
    """OpenID Connect Core §3.1.2.1 (id_token_hint): another person is signed in: an error, never that person's answer."""
    bob = rp.sign_in(browsers(username=OTHER_PERSON)).id_token
    assert rp.ask(agent, prompt="none", id_token_hint=bob).arrival.error == "login_required"


@pytest.mark.parametrize("kind", ["garbage", "altered", "of another client", "of another issuer"])
def test_a_wrong_id_token_hint_is_refused(rp: RelyingParty, agent: UserAgent, kind: str) -> None:
    """OpenID Connect Core §3.1.2.2: a hint must be an ID token that this provider issued, to this client."""
    signed_in = rp.sign_in(agent)
    head, body, signature = signed_in.id_token.split(".")
    claims = payload_of(signed_in.id_token)
    hint = {
        "garbage": lambda: "foobar",
        "altered": lambda: f"{head}.{body[:-6]}AAAAAA.{signature}",
        "of another client": lambda: RelyingParty.register(rp.provider).sign_in(agent).id_token,
        "of another issuer": lambda: rp.provider.sign(claims | {"iss": "https://other.example"}),
    }[kind]()
    arrival = rp.ask(agent, prompt="none", id_token_hint=hint).arrival
    assert arrival.error in ("invalid_request", "login_required")


def test_login_hint_is_a_hint(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1 (login_hint): a hint about the login identifier, shown in the form (oidcc-login-hint)."""
    agent.ignored = frozenset({"login-submit"})
    assert rp.ask(agent, login_hint="somebody@example.com").arrival.markup.fields["username"] == "somebody@example.com"
    agent.ignored = frozenset()
    assert rp.sign_in(agent, login_hint="bob@example.com").claims["sub"]


def test_acr_values_are_voluntary(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.1, §5.5.1.1: acr_values that cannot be met are no error.

    Module oidcc-ensure-request-with-acr-values-succeeds.
    """
    supported = rp.metadata.get("acr_values_supported", ["1"])
    assert rp.sign_in(agent, acr_values=" ".join(supported)).claims.get("acr") in {*supported, None}
    assert rp.sign_in(agent, acr_values="urn:x:unheard-of").claims["sub"]


def test_an_essential_acr_is_met_or_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §5.5.1.1: an essential acr that cannot be met is treated as a failed authentication."""
    (supported, *_) = rp.metadata["acr_values_supported"]
    wanted = json.dumps({"id_token": {"acr": {"essential": True, "values": [supported]}}})
    assert rp.sign_in(agent, claims=wanted).claims["acr"] == supported
    unmet = json.dumps({"id_token": {"acr": {"essential": True, "values": ["urn:x:unheard-of"]}}})
    arrival = rp.ask(agent, claims=unmet).arrival
    # OpenID Connect Unmet Authentication Requirements §2 gives the failure its name.
    assert arrival.error in ("unmet_authentication_requirements", "access_denied", "interaction_required")


# -- the token endpoint ---------------------------------------------------------------------------------------------------


def test_a_code_works_once(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.3.2, RFC 6749 §4.1.2: a second use is invalid_grant and revokes (oidcc-codereuse)."""
    signed_in = rp.sign_in(agent)
    assert rp.redeem(signed_in.asked).json()["error"] == "invalid_grant"
    answer = rp.provider.http.get(
        rp.metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {signed_in.access_token}"}
    )
    assert answer.status_code == 401


def test_a_code_is_its_clients_own(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.3.2: the code was issued to the authenticated client."""
    asked = rp.ask(agent)
    stranger = RelyingParty.register(rp.provider)
    assert stranger.redeem(asked).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("uri", [None, "https://rp.example/other"])
def test_the_redirect_uri_is_compared(rp: RelyingParty, agent: UserAgent, uri: str | None) -> None:
    """OpenID Connect Core §3.1.3.2: redirect_uri is identical to that of the request, and must be there if it was."""
    answer = rp.redeem(rp.ask(agent), redirect_uri=uri)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_grant", "invalid_request")


def test_errors_of_the_token_endpoint(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.3.4, RFC 6749 §5.2: 400 (401 for a client that is not authenticated), JSON, not cached."""
    url = rp.metadata["token_endpoint"]
    cases = [
        (rp.post(url, {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT}), "invalid_grant"),
        (rp.post(url, {"grant_type": "foobar"}), "unsupported_grant_type"),
        (rp.post(url, {}), "invalid_request"),
    ]
    for answer, code in cases:
        assert (answer.status_code, answer.json()["error"]) == (400, code)
        assert "no-store" in answer.headers["cache-control"]
    answer = rp.provider.http.post(
        url, data={"grant_type": "authorization_code", "code": "x"}, auth=(rp.client_id, "wrong")
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_client_secret_post(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §9 (client_secret_post): id and secret in the body (oidcc-server-client-secret-post)."""
    rp = RelyingParty.register(provider, token_endpoint_auth_method="client_secret_post")
    assert rp.sign_in(agent).claims["sub"]


def test_private_key_jwt(provider: Provider, agent: UserAgent, client_keys: dict[str, Any]) -> None:
    """OpenID Connect Core §9 (private_key_jwt): the client signs for the token endpoint."""
    rp = RelyingParty.register(
        provider, keys=client_keys, jwks=public_set(client_keys), token_endpoint_auth_method="private_key_jwt"
    )
    assert rp.sign_in(agent).claims["sub"]


def test_a_method_that_was_not_registered_is_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §9: a client authenticates by the method it registered."""
    assert rp.redeem(rp.ask(agent), method="client_secret_post").status_code == 401


def test_a_refresh_token(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §11, §12: offline_access with consent brings a refresh token, which works (oidcc-refresh-token)."""
    rp = RelyingParty.register(provider, grant_types=["authorization_code", "refresh_token"])
    signed_in = rp.sign_in(agent, scope="openid offline_access", prompt="consent")
    assert "consent-approve" in agent.pressed
    answer = rp.post(
        rp.metadata["token_endpoint"],
        {"grant_type": "refresh_token", "refresh_token": signed_in.tokens["refresh_token"]},
    )
    assert answer.status_code == 200, answer.text
    fresh = answer.json()
    # §12.2: an ID token of a refresh is about the same event; it has the nonce of the first one, or none.
    again = payload_of(fresh["id_token"])
    sent = {name: value for name, value in signed_in.asked.params.items() if name != "nonce" or "nonce" in again}
    rp.believe(fresh["id_token"], Asked(sent, signed_in.asked.arrival), access_token=fresh["access_token"])
    for name in ("iss", "sub", "aud", "auth_time"):
        assert again[name] == signed_in.claims[name]
    assert again["iat"] >= signed_in.claims["iat"]
    stranger = RelyingParty.register(provider, grant_types=["authorization_code", "refresh_token"])
    answer = stranger.post(
        rp.metadata["token_endpoint"], {"grant_type": "refresh_token", "refresh_token": fresh["refresh_token"]}
    )
    assert answer.json()["error"] == "invalid_grant"


# -- request objects ------------------------------------------------------------------------------------------------------


def test_an_unsigned_request_object_is_used_or_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §6.1, §3.1.2.6, RFC 9101 §10.5: an unsigned object is never half used: it is refused by its own error.

    Module oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported; RFC 8725 §3.2 is why.
    """
    request = rp.request()
    arrival = rp.ask_by_object(agent, {**request, "state": "of the object"}, alg="none", **request).arrival
    assert arrival.error == "request_not_supported"
    assert arrival.params["state"] == request["state"]


def test_a_request_object_with_the_redirect_uri_inside(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §6.1, §3.1.2.6: unsigned it is refused by request_not_supported, and its redirect URI is never trusted.

    Module oidcc-ensure-request-object-with-redirect-uri.
    """
    asked = rp.ask_by_object(agent, {"redirect_uri": REDIRECT}, alg="none")
    assert asked.arrival.error == "request_not_supported"
    unregistered = rp.ask_by_object(
        agent, {"redirect_uri": "https://evil.example/"}, alg="none", redirect_uri="https://evil.example/"
    ).arrival
    assert unregistered.page is not None


def test_inline_registration_is_refused(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §7.2.1, §3.1.2.6: the parameter registration is for self-issued providers: registration_not_supported."""
    assert rp.ask(agent, registration="{}").arrival.error == "registration_not_supported"


def test_the_password_is_checked(rp: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §3.1.2.3: who does not authenticate gets no answer that says so (negative control of this walk)."""
    agent.ignored = frozenset({"login-submit"})
    page = rp.ask(agent).arrival.markup
    wrong = {**page.fields, "username": PERSON, "password": PASSWORD + "x"}
    arrival = agent.open(agent.origin + (page.action or ""), form=wrong, origin=agent.origin)
    assert "login-submit" in arrival.markup.buttons


# -- half a minute later: the last test, so that the others have passed the time -------------------------------------------


@pytest.mark.slow
def test_a_code_works_once_after_30_seconds_too(half_a_minute_ago: tuple[RelyingParty, SignedIn]) -> None:
    """OpenID Connect Core §3.1.3.2, RFC 6749 §4.1.2: the same half a minute later (oidcc-codereuse-30seconds)."""
    rp, signed_in = half_a_minute_ago
    assert rp.userinfo(signed_in)["sub"]
    answer = rp.redeem(signed_in.asked)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    answer = rp.provider.http.get(
        rp.metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {signed_in.access_token}"}
    )
    assert answer.status_code == 401
