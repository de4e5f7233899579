"""Token exchange (RFC 8693): an exchanged token ends with everything that it came from; ID tokens as subjects; what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from exchanging import SCOPE, exchange, exchanged, exchanger
from house import decoded
from refusals import refused

from idp import opaque
from idp.clock import now, shifted
from idp.identity.accounts import By
from idp.oauth.clients import ClientRegistry
from idp.oauth.presented_tokens import ACCESS_TOKEN, ID_TOKEN
from idp.store.tenant import clients, grants, revoked_tokens, users
from idp.tokens.authorization import OPERATOR_CLIENT
from idp.tokens.mint import ACCESS_TOKEN_TYPE

if TYPE_CHECKING:
    from cast import Cast
    from house import RelyingParty

DEAD = {"active": False}


@pytest.fixture(scope="module")
def web(any_cast: Cast) -> RelyingParty:
    return any_cast.house.client(any_cast.acme, "web", scope=SCOPE)


@pytest.fixture(scope="module")
def gateway(any_cast: Cast) -> RelyingParty:
    return exchanger(any_cast, "gateway", "tokens:exchange", token_exchange_audiences=["reports"])


@pytest.fixture(scope="module")
def reports(any_cast: Cast) -> RelyingParty:
    """Whom the tokens are for."""
    return exchanger(any_cast, "reports")


def signed(cast: Cast, claims: dict[str, Any], typ: str = ACCESS_TOKEN_TYPE) -> str:
    keys = cast.house.installation.servers.get(cast.acme).keys
    kept = {name: value for name, value in claims.items() if value is not None}
    return keys.sign(kept, alg="ES256" if typ == ACCESS_TOKEN_TYPE else "RS256", typ=typ)


def pair(cast: Cast, web: RelyingParty, gateway: RelyingParty) -> tuple[str, str]:
    """A token, and what came of it."""
    token = cast.tokens(web, scope=SCOPE)["access_token"]
    answer = exchange(gateway, token, audience="reports")
    assert answer.status == 200, answer.text
    return token, answer.json["access_token"]


def test_it_is_introspected(any_cast: Cast, web: Any, gateway: Any, reports: Any) -> None:
    """RFC 7662 §2.2, RFC 8693 §4.1: with `act`, by the client that has it and by the one it is addressed to; by nobody else."""
    _, token = pair(any_cast, web, gateway)
    for client in (gateway, reports):
        found = client.introspect(token)
        assert found["active"] is True
        assert found["act"] == {"sub": "gateway", "client_id": "gateway"}
        assert (found["aud"], found["client_id"], found["username"]) == ("reports", "gateway", "ada@example.com")
    assert web.introspect(token) == any_cast.basic.introspect(token) == DEAD


def test_it_is_not_for_userinfo(any_cast: Cast, web: Any, gateway: Any) -> None:
    """OIDC Core §5.3, Decision 15: what a person allowed one application, another does not read at userinfo."""
    token = any_cast.tokens(web, scope=SCOPE)["access_token"]
    kept = exchange(gateway, token).json["access_token"]
    assert web.userinfo(token).status == 200
    refused(any_cast.house, gateway.userinfo(kept), 401, "invalid_token")


def test_it_ends_no_later(any_cast: Cast, web: Any, gateway: Any) -> None:
    """RFC 8693 §2.2.1, Decision 15: never beyond the subject token, nor the actor token; expires_in says so."""
    token = any_cast.tokens(web, scope=SCOPE)["access_token"]
    claims = decoded(token)[1]
    short = signed(any_cast, claims | {"exp": now() + 100})
    answer = exchange(gateway, short)
    assert decoded(answer.json["access_token"])[1]["exp"] <= now() + 100
    assert 0 < answer.json["expires_in"] <= 100
    own = decoded(gateway.post("/token", {"grant_type": "client_credentials"}).json["access_token"])[1]
    actor = signed(any_cast, own | {"exp": now() + 50})
    assert exchanged(gateway, token, actor_token=actor, actor_token_type=ACCESS_TOKEN)["exp"] <= now() + 50
    with shifted(101):
        refused(any_cast.house, exchange(gateway, short), 400, "invalid_request")


@pytest.mark.parametrize("how", ["token", "actor", "grant", "session", "user", "client", "itself"])
def test_it_ends_with_what_it_came_from(any_cast: Cast, web: Any, gateway: Any, reports: Any, how: str) -> None:
    """RFC 8693 §5, S045: revoked subject or actor token, grant, session, user, application: dead at introspection, and no more exchanged."""
    cast, person = any_cast, f"{how}@ends.example"
    user_id = cast.house.user(cast.acme, person)
    app = cast.house.client(cast.acme, f"app-{how}", scope=SCOPE)
    browser = cast.browser()
    token = app.redeem(browser.sign_in(app, username=person, scope="openid docs:read")).json["access_token"]
    actor = gateway.post("/token", {"grant_type": "client_credentials"}).json["access_token"]
    answer = exchange(gateway, token, audience="reports", actor_token=actor, actor_token_type=ACCESS_TOKEN)
    got = answer.json["access_token"]
    second = exchange(reports, got, audience="reports-2", scope="docs:read")
    assert second.status == 400, "the receiver has no such target"
    assert reports.introspect(got)["active"] is True
    database = cast.house.database(cast.acme)
    if how == "token":
        app.post("/revoke", {"token": token})
    elif how == "actor":
        gateway.post("/revoke", {"token": actor})
    elif how == "itself":
        assert gateway.post("/revoke", {"token": got}).status == 200
    elif how == "grant":
        database.writing(lambda conn: grants.revoke(conn, decoded(token)[1]["grant_id"], "test"))
    elif how == "session":
        browser.submit(browser.get(f"{cast.acme.base_path}/logout"), action="logout")
    elif how == "user":
        database.writing(lambda conn: users.change(conn, user_id, state="disabled"))
    else:
        with cast.house.installation.feed.announced(cast.acme.id, "client", app.client_id):
            database.writing(lambda conn: clients.change(conn, app.client_id, state="disabled"))
            database.writing(lambda conn: grants.revoke_of_client(conn, app.client_id, "test"))
    for client in (gateway, reports):
        assert client.introspect(got) == DEAD
    form = {"actor_token": actor, "actor_token_type": ACCESS_TOKEN, "audience": "reports"}
    if how == "itself":
        assert exchange(gateway, token, form).status == 200, "what it came from lives on"
    else:
        refused(cast.house, exchange(gateway, token, form), 400, "invalid_request")
    refused(cast.house, exchange(gateway, got, audience="reports"), 400, "invalid_request")


@pytest.mark.parametrize("who", ["first", "second"])
def test_it_ends_with_who_exchanged_it(any_cast: Cast, web: Any, reports: Any, who: str) -> None:
    """RFC 8693 §5, RFC 7662 §4: a disabled service that acts, the last or one before, hands nothing on that lives."""
    cast, names = any_cast, {each: f"{each}-{who}" for each in ("first", "second")}
    first = exchanger(cast, names["first"], "tokens:exchange", token_exchange_audiences=[names["second"]])
    second = exchanger(cast, names["second"], token_exchange_audiences=["reports"])
    token = cast.tokens(web, scope=SCOPE)["access_token"]
    between = exchange(first, token, audience=names["second"]).json["access_token"]
    last = exchange(second, between, audience="reports").json["access_token"]
    assert second.introspect(between)["active"] is reports.introspect(last)["active"] is True
    registry = ClientRegistry(cast.acme, cast.house.database(cast.acme), cast.house.installation.feed)
    registry.disable(names[who], by=By("operator"))
    assert reports.introspect(last) == DEAD
    if who == "first":
        assert second.introspect(between) == DEAD
        refused(cast.house, exchange(second, between, audience="reports"), 400, "invalid_request")
    refused(cast.house, exchange(reports, last, audience="reports"), 400, "invalid_request")


def test_the_revocation_of_the_first_reaches_the_last(any_cast: Cast, web: Any, gateway: Any) -> None:
    """RFC 8693 §4.1, S045: through a chain of exchanges."""
    token, second = pair(any_cast, web, gateway)
    third = exchange(gateway, second, audience="reports", scope="docs:read").json["access_token"]
    assert gateway.introspect(third)["active"] is True
    web.post("/revoke", {"token": token})
    assert gateway.introspect(third) == DEAD


# -- ID tokens --------------------------------------------------------------------------------------------------------


def test_an_id_token_is_worth_its_grant(any_cast: Cast, web: Any, gateway: Any) -> None:
    """RFC 8693 §3, Decision 15: an ID token of this issuer as subject: scope, audience and end are those of its grant."""
    grant = any_cast.grant(web, scope="openid docs:read")
    tokens = web.redeem(grant).json
    claims = exchanged(gateway, tokens["id_token"], subject_token_type=ID_TOKEN)
    access = decoded(tokens["access_token"])[1]
    assert (claims["sub"], claims["grant_id"], claims["aud"]) == (access["sub"], access["grant_id"], access["aud"])
    assert claims["scope"] == "docs:read"
    assert claims["exp"] <= decoded(tokens["id_token"])[1]["exp"]
    got = exchange(gateway, tokens["id_token"], subject_token_type=ID_TOKEN, audience="reports").json["access_token"]
    any_cast.house.database(any_cast.acme).writing(lambda conn: grants.revoke(conn, access["grant_id"], "test"))
    assert gateway.introspect(got) == DEAD
    refused(any_cast.house, exchange(gateway, tokens["id_token"], subject_token_type=ID_TOKEN), 400, "invalid_request")


@pytest.mark.parametrize(
    "changes",
    [
        {"azp": None},
        {"azp": "gone"},
        {"aud": ["web", "other"]},
        {"aud": "other"},
        {"sub": "f" * 32},
        {"sub": None},
        {"sid": "another"},
        {"auth_time": 1},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
    ],
)
def test_an_id_token_that_is_none(any_cast: Cast, web: Any, gateway: Any, changes: dict[str, Any]) -> None:
    """OIDC Core §3.1.3.7, RFC 8693 §2.2.2: another client, person, session, sign-in or issuer, or past its end."""
    claims = decoded(any_cast.tokens(web, scope="openid docs:read")["id_token"])[1]
    control = signed(any_cast, claims, typ="JWT")
    assert exchange(gateway, control, subject_token_type=ID_TOKEN).status == 200
    token = signed(any_cast, claims | changes, typ="JWT")
    refused(any_cast.house, exchange(gateway, token, subject_token_type=ID_TOKEN), 400, "invalid_request")


def test_pairwise_subjects(any_cast: Cast, gateway: Any) -> None:
    """OIDC Core §8.1: the subject is the one that the new token's client knows the person by."""
    pair = {"subject_type": "pairwise", "scope": SCOPE}
    hidden = any_cast.house.client(any_cast.acme, "hidden", **pair)
    tokens = any_cast.tokens(hidden, scope="openid docs:read")
    user_id = any_cast.house.user_id(any_cast.acme)
    assert decoded(tokens["access_token"])[1]["sub"] != user_id
    assert exchanged(gateway, tokens["access_token"])["sub"] == user_id
    assert exchanged(gateway, tokens["id_token"], subject_token_type=ID_TOKEN)["sub"] == user_id
    other = exchanger(
        any_cast, "other-sector", "tokens:exchange", subject_type="pairwise", redirect_uris=["https://other.example/cb"]
    )
    open_token = exchange(gateway, tokens["access_token"]).json["access_token"]
    subjects = {decoded(tokens["access_token"])[1]["sub"], user_id, exchanged(other, open_token)["sub"]}
    assert len(subjects) == 3


# -- what is refused ----------------------------------------------------------------------------------------------------


def test_a_token_that_is_bound_to_a_key(any_cast: Cast, web: Any, gateway: Any) -> None:
    """RFC 9449 §6, RFC 8705 §3: without the proof of its key a sender-constrained token is not taken, as subject or actor."""
    claims = decoded(any_cast.tokens(web, scope=SCOPE)["access_token"])[1]
    own = decoded(gateway.post("/token", {"grant_type": "client_credentials"}).json["access_token"])[1]
    bound = {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}
    refused(any_cast.house, exchange(gateway, signed(any_cast, claims | bound)), 400, "invalid_request")
    actor = {"actor_token": signed(any_cast, own | bound), "actor_token_type": ACCESS_TOKEN}
    refused(any_cast.house, exchange(gateway, signed(any_cast, claims), actor), 400, "invalid_request")


def test_a_token_of_no_person(any_cast: Cast, gateway: Any) -> None:
    """RFC 8693 §1.1, Decision 15: a client gets tokens for itself by client credentials, not by exchange."""
    own = gateway.post("/token", {"grant_type": "client_credentials"}).json["access_token"]
    refused(any_cast.house, exchange(gateway, own), 400, "invalid_request")


def test_a_token_of_an_operator(any_cast: Cast, web: Any, gateway: Any) -> None:
    """Decision 15: what `idp token` makes for a shell is not handed on."""
    claims = decoded(any_cast.tokens(web, scope=SCOPE)["access_token"])[1]
    token = signed(any_cast, claims | {"client_id": OPERATOR_CLIENT})
    refused(any_cast.house, exchange(gateway, token), 400, "invalid_request")


def test_a_chain_has_an_end(any_cast: Cast, web: Any, gateway: Any) -> None:
    """Security §2: a token does not grow without bound by being exchanged again and again."""
    claims = decoded(any_cast.tokens(web, scope=SCOPE)["access_token"])[1]
    came_from = [opaque.new_id() for _ in range(25)]
    token = signed(any_cast, claims | {"came_from": came_from})
    refused(any_cast.house, exchange(gateway, token), 400, "invalid_request")
    database = any_cast.house.database(any_cast.acme)
    database.writing(lambda conn: revoked_tokens.revoke(conn, came_from[-1], now() + 100))
    assert web.introspect(token) == DEAD


def test_another_tenants_token(any_cast: Cast, gateway: Any) -> None:
    """Security §1 rule 6: a token of another tenant is no token here, of any kind."""
    tokens = any_cast.tokens(any_cast.foreign)
    refused(any_cast.house, exchange(gateway, tokens["access_token"]), 400, "invalid_request")
    refused(any_cast.house, exchange(gateway, tokens["id_token"], subject_token_type=ID_TOKEN), 400, "invalid_request")
