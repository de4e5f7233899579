"""Token exchange (RFC 8693): the request, the answer, and who acts for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cast import discovery, without
from exchanging import SCOPE, TARGETS, exchange, exchanged, exchanger
from house import decoded
from refusals import refused, spooled

from idp.clock import now
from idp.keys.compact import MAX_TOKEN
from idp.oauth.presented_tokens import ACCESS_TOKEN, ID_TOKEN
from idp.oauth.resource_indicators import TOKEN_EXCHANGE
from idp.tokens.mint import ACCESS_TOKEN_TYPE

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant

REFRESH_TOKEN = "urn:ietf:params:oauth:token-type:refresh_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"


@pytest.fixture(scope="module")
def web(cast: Cast) -> RelyingParty:
    """The application that people sign in to."""
    return cast.house.client(cast.acme, "web", scope=SCOPE)


@pytest.fixture(scope="module")
def gateway(cast: Cast) -> RelyingParty:
    """A service behind it, which may exchange the application's tokens."""
    return exchanger(cast, "gateway", "tokens:exchange", over="web")


@pytest.fixture(scope="module")
def tokens(cast: Cast, web: RelyingParty) -> dict[str, Any]:
    return cast.tokens(web, scope=SCOPE)


def signed(cast: Cast, token: str, **changes: Any) -> str:
    """An access token of ours with other claims."""
    claims = decoded(token)[1] | changes
    keys = cast.house.installation.servers.get(cast.acme).keys
    return keys.sign({n: v for n, v in claims.items() if v is not None}, alg="ES256", typ=ACCESS_TOKEN_TYPE)


def own(client: RelyingParty) -> str:
    token: str = client.post("/token", {"grant_type": "client_credentials"}).json["access_token"]
    return token


def test_advertised(cast: Cast) -> None:
    """RFC 8414 §2: in grant_types_supported."""
    assert TOKEN_EXCHANGE in discovery(cast.house, cast.acme)["grant_types_supported"]


def test_absent_when_disabled(house: House, acme: Tenant, rp: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6749 §5.2: without its row the grant is neither advertised nor supported."""
    without(monkeypatch, house, "token_exchange")
    assert TOKEN_EXCHANGE not in discovery(house, acme)["grant_types_supported"]
    refused(house, exchange(rp, "x"), 400, "unsupported_grant_type")


# -- the answer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["audience", "resource"])
def test_a_token_for_somebody_else(cast: Cast, gateway: RelyingParty, tokens: dict[str, Any], name: str) -> None:
    """RFC 8693 §2.2.1: access_token, issued_token_type, token_type, expires_in and scope; no refresh token, nothing cached."""
    answer = exchange(gateway, tokens["access_token"], **{name: TARGETS[0]}, scope="docs:read")
    assert answer.status == 200, answer.text
    assert set(answer.json) == {"access_token", "issued_token_type", "token_type", "expires_in", "scope"}
    assert answer.json["issued_token_type"] == ACCESS_TOKEN
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["scope"] == "docs:read"
    assert answer.header("cache-control") == "no-store"
    header, claims = decoded(answer.json["access_token"])
    before = decoded(tokens["access_token"])[1]
    assert header["typ"] == ACCESS_TOKEN_TYPE
    assert (claims["aud"], claims["client_id"], claims["scope"]) == (TARGETS[0], "gateway", "docs:read")
    assert {name: claims[name] for name in ("sub", "iss", "grant_id", "auth_time", "acr", "amr")} == {
        name: before[name] for name in ("sub", "iss", "grant_id", "auth_time", "acr", "amr")
    }
    assert claims["jti"] != before["jti"]


def test_several_targets(cast: Cast, gateway: RelyingParty, tokens: dict[str, Any]) -> None:
    """RFC 8693 §2.1: audience and resource may stand together, and each more than once."""
    form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", tokens["access_token"]),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", "reports"),
        ("audience", cast.acme.issuer),
        ("resource", TARGETS[0]),
    ]
    answer = gateway.post("/token", form)  # type: ignore[arg-type]  # pairs: a name may stand twice
    assert decoded(answer.json["access_token"])[1]["aud"] == ["reports", cast.acme.issuer, TARGETS[0]]


def test_without_a_target_it_is_for_whom_the_subject_token_is(cast: Cast, web: Any, gateway: Any, tokens: Any) -> None:
    """RFC 8693 §2.1: the target is optional; one that cannot be kept is `invalid_target`, never dropped in silence."""
    assert exchanged(gateway, tokens["access_token"])["aud"] == cast.acme.issuer
    of_a_service = signed(cast, tokens["access_token"], aud="http://localhost:8000/uflow")
    refused(cast.house, exchange(gateway, of_a_service), 400, "invalid_target")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "web",
        "gateway",
        "http://localhost:8000/uflow",
        "http://localhost:8000/authmgr",
        TARGETS[0] + "#fragment",
        TARGETS[0] + "/",
    ],
)
@pytest.mark.parametrize("name", ["audience", "resource"])
def test_a_target_that_is_not_allowed(cast: Cast, gateway: Any, tokens: Any, name: str, target: str) -> None:
    """RFC 8693 §2.2.2: invalid_target for whom no token is given; a service of the product never is one."""
    both = {"aud": [cast.acme.issuer, "http://localhost:8000/uflow", "http://localhost:8000/authmgr"]}
    for token in (tokens["access_token"], signed(cast, tokens["access_token"], **both)):
        refused(cast.house, exchange(gateway, token, **{name: target}), 400, "invalid_target")


def test_an_api_of_the_tenants(cast: Cast, gateway: RelyingParty, tokens: dict[str, Any]) -> None:
    """RFC 8693 §2.1, Decision 15: an API that the tenant lists is kept without more, and reached only where it is listed for the client."""
    apis = ["https://api.example/one", "https://api.example/two"]
    cast.house.installation.provisioning.change_settings(cast.acme, {"resources": ",".join(apis)})
    token = signed(cast, tokens["access_token"], aud=apis[0])
    assert exchanged(gateway, token)["aud"] == apis[0]
    refused(cast.house, exchange(gateway, token, resource=apis[1]), 400, "invalid_target")
    refused(cast.house, exchange(gateway, tokens["access_token"], resource=apis[0]), 400, "invalid_target")
    listed = exchanger(cast, "reaches", "tokens:exchange", token_exchange_audiences=[apis[1]])
    assert exchanged(listed, token, resource=apis[1])["aud"] == apis[1]


def test_a_resource_is_an_absolute_uri(cast: Cast, gateway: RelyingParty, tokens: dict[str, Any]) -> None:
    """RFC 8707 §2, RFC 8693 §2.1: `resource` is an absolute URI; a logical name is an `audience`."""
    assert exchanged(gateway, tokens["access_token"], audience="reports")["aud"] == "reports"
    refused(cast.house, exchange(gateway, tokens["access_token"], resource="reports"), 400, "invalid_target")


def test_the_issuer_is_no_new_audience(cast: Cast, tokens: dict[str, Any]) -> None:
    """Decision 15: a token that was for one resource does not become one for the issuer, listed or not."""
    client = exchanger(cast, "climber", "tokens:exchange", token_exchange_audiences=[cast.acme.issuer, *TARGETS])
    narrow = exchange(client, tokens["access_token"], audience="reports").json["access_token"]
    refused(cast.house, exchange(client, narrow, audience=cast.acme.issuer), 400, "invalid_target")


def test_a_resource_of_the_tenants_own_is_a_target(cast: Cast, tokens: dict[str, Any]) -> None:
    """RFC 8707 §2, RFC 7662 §4: what the tenant lists in `resources` may be exchanged for, and read by the client of that name."""
    api, change = "https://reports.example/api", cast.house.installation.provisioning.change_settings
    client = exchanger(cast, "own-resources", "tokens:exchange")
    change(cast.acme, {"resources": api})
    try:
        token = exchange(client, tokens["access_token"], resource=api).json["access_token"]
        assert decoded(token)[1]["aud"] == api
        reader = cast.house.client(cast.acme, api, token_endpoint_auth_method="client_secret_post")
        assert reader.introspect(token).get("active"), "it is the API"
    finally:
        change(cast.acme, {"resources": ""})


# -- the scope --------------------------------------------------------------------------------------------------------


def test_the_scope_is_a_part(cast: Cast, gateway: RelyingParty, tokens: dict[str, Any]) -> None:
    """RFC 8693 §2.1, Decision 15: what the subject token has and the client may have; not what is about the person alone."""
    assert exchanged(gateway, tokens["access_token"])["scope"] == "profile api docs:read docs:write"
    less = exchange(gateway, tokens["access_token"], scope="docs:read").json["access_token"]
    assert exchanged(gateway, less)["scope"] == "docs:read"
    for scope in ("docs:read docs:write", "api", "admin", "openid", "offline_access"):
        refused(cast.house, exchange(gateway, less, scope=scope), 400, "invalid_scope")


def test_a_client_gets_no_scope_it_is_not_registered_for(cast: Cast, tokens: dict[str, Any]) -> None:
    """RFC 8693 §5, Decision 15: another's token does not bring what an administrator has not given."""
    client = exchanger(cast, "modest", "tokens:exchange", scope="docs:read")
    assert exchanged(client, tokens["access_token"])["scope"] == "docs:read"
    refused(cast.house, exchange(client, tokens["access_token"], scope="docs:write"), 400, "invalid_scope")
    nothing = exchanger(cast, "without", "tokens:exchange", scope="email")
    refused(cast.house, exchange(nothing, tokens["access_token"]), 400, "invalid_scope")


# -- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [REFRESH_TOKEN, ID_TOKEN, JWT, "urn:ietf:params:oauth:token-type:saml2", "x"])
def test_another_kind_than_an_access_token(cast: Cast, gateway: Any, tokens: Any, kind: str) -> None:
    """RFC 8693 §2.1: requested_token_type; only access tokens are issued."""
    refused(cast.house, exchange(gateway, tokens["access_token"], requested_token_type=kind), 400, "invalid_request")
    assert exchange(gateway, tokens["access_token"], requested_token_type=ACCESS_TOKEN).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token": None},
        {"subject_token": ""},
        {"subject_token_type": None},
        {"subject_token_type": REFRESH_TOKEN},
        {"subject_token_type": JWT},
        {"subject_token_type": "access_token"},
        {"actor_token_type": ACCESS_TOKEN},
        {"actor_token": "x"},
        {"actor_token": "x", "actor_token_type": "x"},
    ],
)
def test_the_parameters_belong_together(cast: Cast, gateway: Any, tokens: Any, changes: dict[str, Any]) -> None:
    """RFC 8693 §2.1: subject_token and its type are REQUIRED; actor_token_type is required with its token and MUST NOT stand alone."""
    refused(cast.house, exchange(gateway, tokens["access_token"], changes), 400, "invalid_request")


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "é", "eyJhbGciOiJub25lIn0.e30.", "x" * (MAX_TOKEN + 1), "rt_" + "x" * 43]
)
@pytest.mark.parametrize("kind", [ACCESS_TOKEN, ID_TOKEN])
def test_what_is_no_token(cast: Cast, gateway: Any, tokens: Any, token: str, kind: str) -> None:
    """RFC 8693 §2.2.2: invalid_request for a token that is invalid for any reason, as subject or actor."""
    refused(cast.house, exchange(gateway, token, subject_token_type=kind), 400, "invalid_request")
    actor = {"actor_token": token, "actor_token_type": kind}
    refused(cast.house, exchange(gateway, tokens["access_token"], actor), 400, "invalid_request")


def test_a_token_is_taken_for_what_it_is(cast: Cast, gateway: Any, tokens: Any) -> None:
    """RFC 8693 §2.1, RFC 8725 §3.11: an ID token is no access token, nor the other way round, nor either a refresh token."""
    refused(cast.house, exchange(gateway, tokens["id_token"]), 400, "invalid_request")
    for token in (tokens["access_token"], tokens["refresh_token"]):
        refused(cast.house, exchange(gateway, token, subject_token_type=ID_TOKEN), 400, "invalid_request")


def test_a_parameter_stands_once(cast: Cast, gateway: RelyingParty, tokens: dict[str, Any]) -> None:
    """RFC 6749 §3.2: but for audience and resource; and audience only here."""
    form = [("grant_type", TOKEN_EXCHANGE), *[("subject_token", tokens["access_token"])] * 2]
    refused(cast.house, gateway.post("/token", form), 400, "invalid_request")  # type: ignore[arg-type]
    other = [("grant_type", "client_credentials"), ("audience", "a"), ("audience", "b")]
    refused(cast.house, gateway.post("/token", other), 400, "invalid_request")  # type: ignore[arg-type]


def test_too_many_targets(cast: Cast, tokens: dict[str, Any]) -> None:
    """Security §2: there is a bound."""
    many = [f"target-{number}" for number in range(11)]
    client = exchanger(cast, "many", "tokens:exchange", token_exchange_audiences=many)
    form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", tokens["access_token"]),
        ("subject_token_type", ACCESS_TOKEN),
    ]
    named = [("audience", each) for each in many]
    assert client.post("/token", [*form, *named[:10]]).status == 200  # type: ignore[arg-type]
    refused(cast.house, client.post("/token", [*form, *named]), 400, "invalid_target")  # type: ignore[arg-type]


# -- the trail --------------------------------------------------------------------------------------------------------


def test_it_is_an_event(cast: Cast, gateway: RelyingParty, tokens: dict[str, Any]) -> None:
    """RFC 6749 §10.5: who exchanged whose token for what; without a token."""
    answer = exchange(gateway, tokens["access_token"], audience="reports", scope="api")
    found = [each for each in spooled(cast.house) if each["is"] == "audit" and each["kind"] == "token.issued"][-1]
    claims = decoded(answer.json["access_token"])[1]
    assert (found["actor"], found["subject"], found["grant_id"]) == (
        "client:gateway",
        claims["sub"],
        claims["grant_id"],
    )
    assert found["details"] == {
        "grant_type": "token_exchange",
        "issued_to": "web",
        "act": {"sub": "gateway", "client_id": "gateway"},
        "audience": ["reports"],
        "scope": "api",
    }
    text = repr(spooled(cast.house))
    assert answer.json["access_token"] not in text
    assert tokens["access_token"] not in text


def test_a_refusal_says_what_to_do(cast: Cast, tokens: dict[str, Any]) -> None:
    """Interfaces §2 (`idp explain`): the private reason names the permission that is missing and where to bind it."""
    client = exchanger(cast, "nobody")
    record = refused(cast.house, exchange(client, tokens["access_token"]), 400, "invalid_request")
    assert "tokens:exchange" in record["reason"]
    assert "client:web" in record["fix"]


def test_roles_are_the_persons_of_now(cast: Cast, web: RelyingParty) -> None:
    """RFC 9068 §2.2.3.1: the claim roles is made anew, of what the person holds in that moment."""
    scope = "openid roles docs:read"
    front = cast.house.client(cast.acme, "with-roles", scope=scope)
    client = exchanger(cast, "reads-roles", "tokens:exchange", scope=scope)
    token = cast.tokens(front, scope=scope)["access_token"]
    claims = exchanged(client, token)
    assert claims["roles"] == decoded(token)[1]["roles"]
    assert claims["exp"] <= decoded(token)[1]["exp"]
    assert claims["iat"] <= now()
