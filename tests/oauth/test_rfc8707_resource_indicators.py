"""Resource indicators (RFC 8707): for whom an access token is, and that nobody else takes it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from cast import Cast, asserted
from house import CALLBACK, Grant, challenge, decoded

from idp.clock import now
from idp.errors import Invalid

if TYPE_CHECKING:
    from house import RelyingParty

SERVICES = [f"http://localhost:8000/{name}" for name in ("uflow", "authmgr", "webauthn", "clientms")]


def allowed(cast: Cast, client: RelyingParty, *resources: str) -> Grant:
    """A code for these resources; the parameter stands once for each."""
    browser = cast.house.browser(client.tenant)
    browser.sign_in(client)
    verifier = secrets.token_urlsafe(48)
    query = [
        ("client_id", client.client_id),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "s"),
        ("code_challenge", challenge(verifier)),
        ("code_challenge_method", "S256"),
        *(("resource", each) for each in resources),
    ]
    answer = browser.post(f"{client.tenant.base_path}/authorize", query)  # type: ignore[arg-type]
    answer = browser.follow(answer)
    return Grant(answer.params["code"], verifier, answer)


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status, answer.json["error"]


def test_without_the_parameter_it_is_for_the_issuer(cast: Cast) -> None:
    """RFC 9068 §3: the default audience is the issuer."""
    assert decoded(cast.tokens(cast.basic)["access_token"])[1]["aud"] == cast.acme.issuer


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_audience_is_what_was_named(cast: Cast, count: int) -> None:
    """RFC 8707 §2.2: `aud` is the resource; several are a list, one is a text (RFC 7519 §4.1.3)."""
    client = cast.basic
    tokens = client.redeem(allowed(cast, client, *SERVICES[:count])).json
    audience = decoded(tokens["access_token"])[1]["aud"]
    assert audience == (SERVICES[0] if count == 1 else SERVICES[:count])
    again = client.refresh(tokens["refresh_token"]).json
    assert decoded(again["access_token"])[1]["aud"] == audience


def test_a_part_of_what_was_allowed(cast: Cast) -> None:
    """RFC 8707 §2.2: a token request may name a part, and the next one another; more than was allowed is `invalid_target`."""
    client = cast.basic
    tokens = client.redeem(allowed(cast, client, *SERVICES[:2]), resource=SERVICES[1]).json
    assert decoded(tokens["access_token"])[1]["aud"] == SERVICES[1]
    tokens = client.refresh(tokens["refresh_token"], resource=SERVICES[0]).json
    assert decoded(tokens["access_token"])[1]["aud"] == SERVICES[0]
    answer = client.refresh(tokens["refresh_token"], resource=SERVICES[2])
    assert error_of(answer) == (400, "invalid_target")
    assert client.refresh(tokens["refresh_token"]).status == 200, "the refusal has used nothing up"


def test_a_code_without_resources_gives_none(cast: Cast) -> None:
    """RFC 8707 §2.2: what was not in the authorization request cannot be had at the token endpoint."""
    client = cast.basic
    grant = cast.house.browser(client.tenant).sign_in(client)
    assert error_of(client.redeem(grant, resource=SERVICES[0])) == (400, "invalid_target")
    assert client.redeem(grant, resource=client.tenant.issuer).status == 200


def test_a_client_for_itself(cast: Cast) -> None:
    """RFC 8707 §2.2: client credentials name their resources in the token request."""
    form = {"grant_type": "client_credentials"}
    assert (
        decoded(cast.basic.post("/token", form | {"resource": SERVICES[3]}).json["access_token"])[1]["aud"]
        == SERVICES[3]
    )
    assert decoded(cast.basic.post("/token", form).json["access_token"])[1]["aud"] == cast.acme.issuer


@pytest.mark.parametrize(
    "resource",
    [
        "https://evil.example",
        "http://localhost:8000/uflow/",
        "http://localhost:8000/UFLOW",
        "http://localhost:8000/uflow#x",
        "http://localhost:8000/uflow?x=1",
        "http://localhost:8000",
        "uflow",
        "urn:x",
    ],
)
def test_a_resource_that_is_not_here(cast: Cast, resource: str) -> None:
    """RFC 8707 §2: `invalid_target`, at both endpoints, and no token."""
    answer = cast.basic.post("/token", {"grant_type": "client_credentials", "resource": resource})
    assert error_of(answer) == (400, "invalid_target")
    browser = cast.house.browser(cast.acme)
    answer = browser.authorize(cast.basic, resource=resource)
    assert answer.params["error"] == "invalid_target"
    assert answer.params["iss"] == cast.acme.issuer


def test_another_tenant_is_no_resource(cast: Cast) -> None:
    """Security §1 rule 6: a tenant's tokens are never for another tenant's issuer."""
    answer = cast.basic.post("/token", {"grant_type": "client_credentials", "resource": cast.globex.issuer})
    assert error_of(answer) == (400, "invalid_target")


def test_too_many(cast: Cast) -> None:
    """Security §2: repeats count once, and there is a bound."""
    client = cast.basic
    assert (
        decoded(client.redeem(allowed(cast, client, *[SERVICES[0]] * 30)).json["access_token"])[1]["aud"] == SERVICES[0]
    )


def test_a_token_for_a_service_is_not_for_userinfo(cast: Cast) -> None:
    """RFC 9068 §4: who is not in the audience refuses; who is, beside others, does not. Its client may still ask about it."""
    client = cast.basic
    token = client.redeem(allowed(cast, client, SERVICES[0])).json["access_token"]
    assert client.userinfo(token).status == 401
    assert client.introspect(token)["aud"] == SERVICES[0]
    both = client.redeem(allowed(cast, client, SERVICES[0], client.tenant.issuer)).json["access_token"]
    assert client.userinfo(both).status == 200
    assert client.post("/revoke", {"token": token}).status == 200
    assert client.introspect(token) == {"active": False}


def test_in_a_request_object(cast: Cast) -> None:
    """RFC 8707 §2, RFC 9101 §4: in a signed request several resources are a JSON array."""
    client, at = cast.signed, now()
    verifier = secrets.token_urlsafe(48)
    claims = {
        "iss": client.client_id,
        "aud": client.tenant.issuer,
        "exp": at + 60,
        "client_id": client.client_id,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": "s",
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        "resource": SERVICES[1:3],
    }
    text = cast.key.sign(claims, typ="oauth-authz-req+jwt")
    grant = cast.browser().sign_in(client, request=text)
    tokens = client.redeem(Grant(grant.code, verifier, grant.answer), **asserted(client, cast.key)).json
    assert decoded(tokens["access_token"])[1]["aud"] == SERVICES[1:3]


def test_the_tenants_own_apis(cast: Cast) -> None:
    """RFC 8707 §2: an API of the tenant's is an audience once the tenant lists it, and only there; it is no key to our own endpoints."""
    api, client = "https://api.acme.example/v1", cast.basic
    form = {"grant_type": "client_credentials", "scope": "api", "resource": api}
    assert error_of(client.post("/token", form)) == (400, "invalid_target")
    cast.house.installation.provisioning.change_settings(cast.acme, {"resources": f"{api}, https://b.example"})
    token = client.post("/token", form).json["access_token"]
    assert decoded(token)[1]["aud"] == api
    assert client.introspect(token)["active"]
    assert error_of(cast.foreign.post("/token", form)) == (400, "invalid_target")
    users = client.redeem(allowed(cast, client, api)).json["access_token"]
    assert decoded(users)[1]["aud"] == api
    assert client.userinfo(users).status == 401, "userinfo is not the API"
    cast.house.installation.provisioning.change_settings(cast.acme, {"resources": ""})
    assert not client.introspect(token)["active"], "nobody is left to take it"


@pytest.mark.parametrize(
    "text", ["api", "https://", "https://a.example/#x", "ftp://a.example", "https://u@a.example", 'https://a.example/"']
)
def test_an_api_is_named_by_an_address(cast: Cast, text: str) -> None:
    """RFC 8707 §2: a resource is an absolute URI without a fragment."""
    with pytest.raises(Invalid):
        cast.house.installation.provisioning.change_settings(cast.acme, {"resources": text})
