"""Token exchange (RFC 8693 §1.1, §4): delegation and impersonation, chains of actors, and who may exchange whose tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cast import asserted
from exchanging import SCOPE, exchange, exchanged, exchanger
from house import decoded
from refusals import refused
from registering import WEB, manage, register

from idp.errors import Invalid
from idp.oauth import client_metadata
from idp.oauth.presented_tokens import ACCESS_TOKEN, ID_TOKEN
from idp.oauth.resource_indicators import TOKEN_EXCHANGE
from idp.oauth.token_exchange import MOST_ACTORS
from idp.tokens.mint import ACCESS_TOKEN_TYPE

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant


@pytest.fixture(scope="module")
def web(cast: Cast) -> RelyingParty:
    """The application that people sign in to."""
    return cast.house.client(cast.acme, "web", scope=SCOPE)


@pytest.fixture(scope="module")
def gateway(cast: Cast) -> RelyingParty:
    """A service behind it, which may exchange the application's tokens."""
    return exchanger(cast, "gateway", "tokens:exchange", over="web", token_exchange_audiences=["reports", "second"])


@pytest.fixture(scope="module")
def stranger(cast: Cast) -> RelyingParty:
    """A service that exchanges tokens, and holds no permission for another client's."""
    return exchanger(cast, "stranger")


@pytest.fixture(scope="module")
def token(cast: Cast, web: RelyingParty) -> str:
    made: str = cast.tokens(web, scope=SCOPE)["access_token"]
    return made


def signed(cast: Cast, token: str, **changes: Any) -> str:
    keys = cast.house.installation.servers.get(cast.acme).keys
    return keys.sign(decoded(token)[1] | changes, alg="ES256", typ=ACCESS_TOKEN_TYPE)


def own(client: RelyingParty) -> str:
    made: str = client.post("/token", {"grant_type": "client_credentials"}).json["access_token"]
    return made


def client_act(name: str, before: Any = None) -> dict[str, Any]:
    return {"sub": name, "client_id": name, **({"act": before} if before else {})}


# -- who acts -----------------------------------------------------------------------------------------------------------


def test_the_client_acts_for_the_person(cast: Cast, gateway: RelyingParty, token: str) -> None:
    """RFC 8693 §1.1, §4.1: without an actor token the client itself is who acts, and is named."""
    assert exchanged(gateway, token)["act"] == client_act("gateway")


def test_an_actor_token_of_the_client(cast: Cast, gateway: RelyingParty, token: str) -> None:
    """RFC 8693 §2.1: the actor token's subject is who acts; here the client, by a token of its own."""
    claims = exchanged(gateway, token, actor_token=own(gateway), actor_token_type=ACCESS_TOKEN)
    assert claims["act"] == client_act("gateway")


@pytest.mark.parametrize("kind", ["access_token", "id_token"])
def test_a_person_who_acts_for_another(cast: Cast, gateway: RelyingParty, token: str, kind: str) -> None:
    """RFC 8693 §4.1: the actor is a person, whose token the client got itself; non-identity claims are not part of `act`."""
    cast.house.user(cast.acme, f"{kind}-bob@example.com")
    browser = cast.browser()
    grant = browser.sign_in(gateway, username=f"{kind}-bob@example.com", scope="openid api")
    bobs = gateway.redeem(grant).json[kind]
    kinds = {"access_token": ACCESS_TOKEN, "id_token": ID_TOKEN}
    claims = exchanged(gateway, token, actor_token=bobs, actor_token_type=kinds[kind])
    assert claims["act"] == {"sub": cast.house.user_id(cast.acme, f"{kind}-bob@example.com")}
    assert claims["sub"] == decoded(token)[1]["sub"]


def test_an_actor_token_that_was_anothers(cast: Cast, gateway: RelyingParty, token: str) -> None:
    """Decision 15: a token that was issued to another client, or that is a delegated one, proves nobody who acts."""
    delegated = exchange(gateway, token).json["access_token"]
    for actor in (token, own(cast.basic), delegated):
        form = {"actor_token": actor, "actor_token_type": ACCESS_TOKEN}
        refused(cast.house, exchange(gateway, token, form), 400, "invalid_request")


def test_a_chain_of_actors(cast: Cast, gateway: RelyingParty, token: str) -> None:
    """RFC 8693 §4.1: the outermost `act` is the current actor, those before are nested; the chain has an end."""
    names = ["second", *(f"link-{number}" for number in range(MOST_ACTORS))]
    clients = [exchanger(cast, name, token_exchange_audiences=[*names, "reports"]) for name in names]
    current = exchange(gateway, token, audience="second").json["access_token"]
    expected = client_act("gateway")
    for number, client in enumerate(clients[: MOST_ACTORS - 1]):
        # Each is the audience of the token that it is handed.
        current = exchange(client, current, audience=names[number + 1]).json["access_token"]
        expected = client_act(client.client_id, expected)
        claims = decoded(current)[1]
        assert claims["act"] == expected
        assert claims["sub"] == decoded(token)[1]["sub"]
    refused(cast.house, exchange(clients[MOST_ACTORS - 1], current, audience="reports"), 400, "invalid_request")


def test_the_same_actor_again_is_named_once(cast: Cast, gateway: RelyingParty, token: str) -> None:
    """RFC 8693 §4.1: a client that narrows what it got before is no second actor."""
    once = exchange(gateway, token, audience="reports").json["access_token"]
    assert exchanged(gateway, once, scope="docs:read", audience="reports")["act"] == client_act("gateway")


def test_impersonation_needs_its_permission(cast: Cast, gateway: RelyingParty, token: str) -> None:
    """RFC 8693 §1.1, §5, Decision 15: no `act` only for a client that holds tokens:impersonate; `client_id` says who has it."""
    trusted = exchanger(cast, "trusted", "tokens:exchange", "tokens:impersonate", over="web")
    claims = exchanged(trusted, token)
    assert "act" not in claims
    assert claims["client_id"] == "trusted"
    named = exchanged(trusted, token, actor_token=own(trusted), actor_token_type=ACCESS_TOKEN)
    assert named["act"] == client_act("trusted"), "who hands in an actor token is named"
    addressed = exchange(gateway, token, audience="second").json["access_token"]
    all_over = exchanger(
        cast, "all-over", "tokens:exchange", "tokens:impersonate", token_exchange_audiences=["reports"]
    )
    assert exchanged(all_over, addressed, audience="reports")["act"] == client_act("gateway"), "who acted before stays"


# -- may_act ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("may_act", "is_good"),
    [
        ({"sub": "stranger"}, True),
        ({"sub": "stranger", "client_id": "stranger"}, True),
        ({"sub": "gateway"}, False),
        ({"sub": "stranger", "iss": "https://elsewhere.example"}, False),
        ({"sub": "stranger", "unknown": "x"}, False),
        ({}, False),
        ("stranger", False),
    ],
)
def test_may_act(cast: Cast, stranger: RelyingParty, token: str, may_act: Any, is_good: bool) -> None:
    """RFC 8693 §4.4: whom the token names may act without further permission; one that names others lets nobody else."""
    answer = exchange(stranger, signed(cast, token, may_act=may_act))
    if is_good:
        claims = decoded(answer.json["access_token"])[1]
        assert claims["act"] == client_act("stranger")
        assert "may_act" not in claims
    else:
        refused(cast.house, answer, 400, "invalid_request")


def test_may_act_binds_who_could_without(cast: Cast, gateway: RelyingParty, token: str) -> None:
    """RFC 8693 §4.4: a client with the permission is refused a token that names another actor."""
    refused(cast.house, exchange(gateway, signed(cast, token, may_act={"sub": "other"})), 400, "invalid_request")
    assert exchange(gateway, signed(cast, token, may_act={"sub": "gateway"})).status == 200


# -- whose tokens -------------------------------------------------------------------------------------------------------


def test_another_clients_token_needs_the_permission(cast: Cast, gateway: RelyingParty, token: str) -> None:
    """RFC 8693 §5, Decision 15: bound to the client whose tokens it may exchange, and to no other."""
    plain = exchanger(cast, "plain")
    refused(cast.house, exchange(plain, token), 400, "invalid_request")
    other = cast.tokens(cast.basic, scope="openid api")["access_token"]
    refused(cast.house, exchange(gateway, other), 400, "invalid_request")
    assert exchange(exchanger(cast, "everywhere", "tokens:exchange"), other, scope="api").status == 200


def test_its_own_token(cast: Cast) -> None:
    """Decision 15: what was issued to the client itself it may narrow."""
    client = exchanger(cast, "narrows")
    token = cast.tokens(client, scope="openid docs:read docs:write")["access_token"]
    claims = exchanged(client, token, scope="docs:read")
    assert (claims["scope"], claims["act"]) == ("docs:read", client_act("narrows"))


def test_an_id_is_no_address(cast: Cast, token: str) -> None:
    """Decision 15: a client whose id is spelled like the issuer is not whom tokens for the issuer are addressed to."""
    client = exchanger(cast, cast.acme.issuer, token_endpoint_auth_method="client_secret_post")
    refused(cast.house, exchange(client, token), 400, "invalid_request")
    assert client.introspect(token) == {"active": False}


@pytest.mark.parametrize("kind", ["basic", "public"])
def test_the_grant_type_is_registered(cast: Cast, kind: str, token: str) -> None:
    """RFC 8693 §2.1, RFC 6749 §5.2: only clients that authenticate, and that an administrator gave the grant type."""
    error = "unauthorized_client" if kind == "basic" else "invalid_client"
    refused(cast.house, exchange(getattr(cast, kind), token), 401 if kind == "public" else 400, error)


def test_a_client_with_keys(cast: Cast) -> None:
    """RFC 8693 §2.1: client authentication is what the client registered, private_key_jwt too."""
    keys = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [cast.key.public_jwk]}}
    client = exchanger(cast, "with-keys", **keys)
    token = client.redeem(cast.grant(client, scope="openid api"), **asserted(client, cast.key)).json["access_token"]
    assert exchange(client, token, asserted(client, cast.key)).status == 200
    refused(cast.house, exchange(client, token), 401, "invalid_client")


def test_a_public_client_cannot_be_registered_for_it(cast: Cast) -> None:
    """RFC 8693 §2.1, Decision 15: whoever hands in somebody's token says who it is itself."""
    given = {"grant_types": [TOKEN_EXCHANGE], "token_endpoint_auth_method": "none"}
    with pytest.raises(Invalid, match="clients that authenticate"):
        client_metadata.validate(given, "strict", ("ES256",))
    alone = client_metadata.validate({"grant_types": [TOKEN_EXCHANGE]}, "strict", ("ES256",))
    assert alone["response_types"] == []


def test_a_client_cannot_register_itself_for_it(house: House, acme: Tenant) -> None:
    """RFC 7591 §2, Decision 15: an administrator decides who exchanges tokens, and for whom."""
    house.installation.provisioning.change_settings(acme, {"registration": "open"})
    acme = house.installation.provisioning.find("acme")
    answer = register(house, acme, WEB | {"grant_types": ["authorization_code", TOKEN_EXCHANGE]})
    refused(house, answer, 400, "invalid_client_metadata")
    made = register(house, acme, WEB | {"token_exchange_audiences": ["reports"]}).json
    assert "token_exchange_audiences" not in made
    given = WEB | {"client_id": made["client_id"], "grant_types": ["authorization_code", TOKEN_EXCHANGE]}
    token = made["registration_access_token"]
    answer = manage(house, acme, "PUT", made["client_id"], token, given)
    refused(house, answer, 400, "invalid_client_metadata")
