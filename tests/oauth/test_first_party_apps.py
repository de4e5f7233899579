"""Signing in by program (draft-ietf-oauth-first-party-apps): the interaction of the pages, answered in JSON until a code is due."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cast import asserted, discovery
from first_party import ADA, App, first_party, registry
from house import CALLBACK, PASSWORD, challenge, decoded
from sqlalchemy import select

from idp.clock import now
from idp.identity import terms
from idp.identity.accounts import By, disable_user
from idp.oauth.clients import ClientRegistry
from idp.store.db import db

if TYPE_CHECKING:
    from cast import Cast
    from house import RelyingParty


@pytest.fixture(scope="module")
def own(cast: Cast) -> RelyingParty:
    return first_party(cast, "own-app", token_endpoint_auth_method="none")


@pytest.fixture
def app(cast: Cast, own: RelyingParty) -> App:
    return App(cast, own)


def test_a_password_and_a_code(cast: Cast, app: App) -> None:
    """First-Party Apps §5.2.1, §6: the code is redeemed without redirect_uri, once, with the proof of possession."""
    answer = app.ask(ADA, scope="openid profile offline_access")
    assert (answer.status, set(answer.json), answer.header("cache-control")) == (
        200,
        {"authorization_code"},
        "no-store",
    )
    assert not answer.header("set-cookie"), "a program is no browser"
    tokens = app.redeem(answer).json
    claims = decoded(tokens["id_token"])[1]
    assert claims["sub"] == cast.house.user_id(cast.acme)
    assert claims["amr"] == ["pwd"]
    assert "refresh_token" in tokens
    assert app.client.userinfo(tokens["access_token"]).status == 200
    assert app.redeem(answer).json["error"] == "invalid_grant"


def test_nothing_sent_yet(app: App) -> None:
    """First-Party Apps §5.2.2.1, §5.3: 403 insufficient_authorization with an auth_session, which the next request goes on with."""
    answer = app.ask({})
    assert (answer.status, answer.json["error"], answer.json["step"]) == (403, "insufficient_authorization", "login")
    assert answer.json["fields"] == ["username", "password"]
    assert answer.json["errors"] == []
    assert answer.header("cache-control") == "no-store"
    done = app.go_on(answer.json["auth_session"], **ADA)
    assert app.redeem(done).status == 200


def test_the_response_type_of_earlier_drafts(app: App) -> None:
    """First-Party Apps §5.1: response_type is code; earlier drafts had none, and nothing else is served."""
    assert app.ask(ADA, response_type=None).status == 200
    for other in ("token", "id_token", "code id_token", "none"):
        assert app.ask(ADA, response_type=other).json["error"] == "unsupported_response_type"


def test_only_first_party_clients(cast: Cast) -> None:
    """First-Party Apps §9.1: a client that no administrator has marked as the tenant's own is refused, whoever it is."""
    for client in (cast.public, cast.basic, cast.lax):
        answer = App(cast, client).ask(ADA)
        assert (answer.status, answer.json["error"]) == (400, "unauthorized_client")
    answer = cast.house.post(cast.acme, "/challenge", {"client_id": "nobody", **ADA})
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert cast.house.post(cast.acme, "/challenge", ADA).json["error"] == "invalid_client"


def test_taking_the_mark_back_ends_it(cast: Cast) -> None:
    """First-Party Apps §9.1: a sign-in under way ends with the mark."""
    app = App(cast, first_party(cast, "demoted", token_endpoint_auth_method="none"))
    auth_session = app.ask({}).json["auth_session"]
    registry(cast).update("demoted", {"first_party": None}, by=By("operator"))
    assert app.go_on(auth_session, **ADA).json["error"] == "unauthorized_client"


def test_who_authenticates_there_authenticates_here(cast: Cast) -> None:
    """First-Party Apps §4.1: what the token endpoint demands is demanded in every request, also with an auth_session."""
    client = first_party(cast, "own-backend")
    app = App(cast, client)
    found = app.ask({})
    auth_session = found.json["auth_session"]
    for form in ({"auth_session": auth_session}, {"auth_session": auth_session, "client_id": "own-backend"}):
        answer = cast.house.post(cast.acme, "/challenge", form | ADA)
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert cast.house.post(cast.acme, "/challenge", {"client_id": "own-backend", **ADA}).status == 401
    assert app.redeem(app.go_on(auth_session, **ADA)).status == 200
    signed = first_party(
        cast,
        "own-signed",
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [cast.key.public_jwk]},
    )
    form = {"code_challenge": challenge("v" * 43), "code_challenge_method": "S256", "scope": "openid"}
    answer = cast.house.post(cast.acme, "/challenge", form | ADA | asserted(signed, cast.key))
    assert answer.status == 200


def test_the_auth_session_of_another_client(cast: Cast, app: App) -> None:
    """First-Party Apps §5.1: a client_id beside an auth_session has to be the same client's."""
    auth_session = app.ask({}).json["auth_session"]
    other = App(cast, first_party(cast, "other-own", token_endpoint_auth_method="none"))
    answer = other.go_on(auth_session, **ADA)
    assert (answer.status, answer.json["error"]) == (400, "invalid_session")
    without = cast.house.post(cast.acme, "/challenge", {"auth_session": auth_session, **ADA})
    assert without.status == 200, "§5.1: a public client needs no client_id beside it"


@pytest.mark.parametrize("wrong", ["", "x", "as_", "changed", "longer", "of another tenant", "a secret alone"])
def test_an_auth_session_that_is_none(cast: Cast, app: App, wrong: str) -> None:
    """First-Party Apps §5.2.2.1: invalid_session, and nothing about accounts."""
    good = app.ask({}).json["auth_session"]
    value = {
        "changed": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "longer": good + "A",
        "of another tenant": good,
        "a secret alone": "as_" + "0" * 32 + good[35:],
    }.get(wrong, wrong)
    if wrong == "of another tenant":
        cast.house.client(cast.globex, "own-app", token_endpoint_auth_method="none")
        answer = cast.house.post(cast.globex, "/challenge", {"client_id": "own-app", "auth_session": value, **ADA})
        assert answer.json["error"] in {"invalid_session", "unauthorized_client"}
        return
    answer = app.go_on(value, **ADA)
    expected = {"": 400}.get(wrong, 400)
    assert answer.status == expected
    assert answer.json["error"] == ("invalid_request" if wrong == "" else "invalid_session")


def test_it_is_used_up_with_the_code(app: App) -> None:
    """First-Party Apps §9.6.2: an auth_session ends when the code is issued; it is never a second sign-in."""
    auth_session = app.ask({}).json["auth_session"]
    assert app.go_on(auth_session, **ADA).status == 200
    assert app.go_on(auth_session, **ADA).json["error"] == "invalid_session"
    assert app.go_on(auth_session).json["error"] == "invalid_session"


def test_it_expires(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """First-Party Apps §9.6.2: it lives as long as a sign-in on the pages may take."""
    auth_session = app.ask({}).json["auth_session"]
    lifetime = app.cast.acme.settings.interaction_lifetime
    later = now() + lifetime + 1
    monkeypatch.setattr("idp.flow.interaction.now", lambda: later)
    assert app.go_on(auth_session, **ADA).json["error"] == "invalid_session"


def test_wrong_unknown_locked_and_disabled_are_told_alike(cast: Cast, app: App) -> None:
    """Security rule 7: one answer, whatever is the matter with the account; the sign-in may be tried again with it."""
    cast.house.user(cast.acme, "off@example.com")
    disable_user(cast.house.database(cast.acme), cast.house.user_id(cast.acme, "off@example.com"), by=By("operator"))
    answers = []
    for fields in (
        {"username": "ada@example.com", "password": "not it at all"},
        {"username": "nobody@example.com", "password": PASSWORD},
        {"username": "off@example.com", "password": PASSWORD},
    ):
        answer = app.ask(fields)
        answers.append((answer.status, {**answer.json, "auth_session": "", "correlation_id": ""}))
    assert answers[0][0] == 403
    assert all(each == answers[0] for each in answers)
    assert [each["field"] for each in answers[0][1]["errors"]] == ["password"]
    again = app.go_on(app.ask({"username": "ada@example.com", "password": "no"}).json["auth_session"], **ADA)
    assert again.status == 200


def test_the_same_lockout_as_on_the_pages(cast: Cast, app: App) -> None:
    """First-Party Apps §9.3, NIST SP 800-63B-4 §3.2.2: failures here lock the account there, and the other way round."""
    cast.house.user(cast.acme, "locked@example.com")
    most = cast.acme.settings.account_attempts
    for _ in range(most):
        app.ask({"username": "locked@example.com", "password": "wrong"})
    assert app.ask({"username": "locked@example.com", "password": PASSWORD}).status == 403
    browser = cast.browser()
    page = browser.follow(browser.authorize(cast.public, verifier="v" * 43))
    page = browser.submit(page, username="locked@example.com", password=PASSWORD)
    assert page.status == 400, "the page refuses the right password too"


def test_missing_fields_are_named(app: App) -> None:
    """Issue 6: what is missing is said for each field, in the person's language."""
    answer = app.ask({"username": "ada@example.com"})
    assert [each["field"] for each in answer.json["errors"]] == ["password"]
    german = app.client.post(
        "/challenge",
        {"auth_session": answer.json["auth_session"], "username": "ada@example.com"},
        headers={"accept-language": "de"},
    )
    assert german.json["errors"][0]["detail"] == "Geben Sie Ihr Passwort ein"


def test_a_password_that_somebody_else_has_set(cast: Cast, app: App) -> None:
    """NIST SP 800-63B-4 §3.1.1.2: the step of the pages is asked for by program too; the rules are the same."""
    cast.house.user(cast.acme, "new@example.com", must_change=True)
    answer = app.ask({"username": "new@example.com", "password": PASSWORD})
    assert (answer.status, answer.json["step"], answer.json["fields"]) == (403, "password", ["new_password"])
    auth_session = answer.json["auth_session"]
    short = app.go_on(auth_session, new_password="short")
    assert short.status == 403
    assert short.json["errors"][0]["field"] == "new_password"
    same = app.go_on(auth_session, new_password=PASSWORD)
    assert same.json["errors"], "the one that is to be replaced is none"
    done = app.go_on(auth_session, new_password="a quite different horse battery")
    assert app.redeem(done).status == 200
    assert app.ask({"username": "new@example.com", "password": "a quite different horse battery"}).status == 200


def test_all_at_once(cast: Cast, app: App) -> None:
    """First-Party Apps §4.1: a request may bring what later steps need; each is judged once."""
    cast.house.user(cast.acme, "atonce@example.com", must_change=True)
    fields = {
        "username": "atonce@example.com",
        "password": PASSWORD,
        "new_password": "another staple of correct horses",
    }
    assert app.redeem(app.ask(fields)).status == 200


def test_terms_are_asked_for(cast: Cast, app: App) -> None:
    """Issue 6: terms in force are accepted by naming their version; the code comes only afterwards."""
    house = cast.house
    house.user(cast.globex, "terms@example.com")
    urls = {terms.EVERY: "https://globex.example/terms"}
    with house.installation.feed.announced(cast.globex.id, "tenant", ""):
        house.database(cast.globex).writing(lambda conn: terms.put_in_force(conn, "2026-11", urls, By("operator")))
    client = house.client(cast.globex, "own-globex", token_endpoint_auth_method="none")
    ClientRegistry(cast.globex, house.database(cast.globex), house.installation.feed).update(
        "own-globex", {"first_party": True}, by=By("operator")
    )
    app = App(cast, client)
    answer = app.ask({"username": "terms@example.com", "password": PASSWORD})
    assert (answer.status, answer.json["step"]) == (403, "terms")
    assert answer.json["terms"] == {"version": "2026-11", "url": "https://globex.example/terms"}
    wrong = app.go_on(answer.json["auth_session"], terms="2025-01")
    assert wrong.json["errors"][0]["field"] == "terms"
    assert app.redeem(app.go_on(answer.json["auth_session"], terms="2026-11")).status == 200
    again = app.ask({"username": "terms@example.com", "password": PASSWORD})
    assert again.status == 200


def test_no_consent_is_asked(cast: Cast, app: App) -> None:
    """First-Party Apps §9.1: the application and the server are one to the person; on the pages consent is asked as ever."""
    assert app.ask(ADA, scope="openid profile email").status == 200
    browser = cast.browser()
    page = browser.follow(browser.authorize(app.client, verifier="v" * 43))
    page = browser.follow(browser.submit(page, **ADA))
    assert "consent-approve" in page.text


def test_what_only_a_page_can_ask(cast: Cast, app: App) -> None:
    """First-Party Apps §5.2.2.1.1: 403 redirect_to_web, without a request_uri; a request that allows no page says so too."""
    cast.house.installation.provisioning.change_settings(cast.acme, {"signup": "on"})
    answer = app.ask({}, prompt="create")
    assert (answer.status, answer.json["error"]) == (403, "redirect_to_web")
    assert "request_uri" not in answer.json
    assert app.ask({}, prompt="none").json["error"] == "login_required"


def test_the_parameters_of_the_authorization_endpoint(cast: Cast, app: App) -> None:
    """First-Party Apps §4.1: its parameters and extensions hold here: PKCE, resource, nonce, max_age, claims, and their errors."""
    service = "http://localhost:8000/uflow"
    tokens = app.redeem(app.ask(ADA, resource=service, nonce="n-1", max_age="0")).json
    assert decoded(tokens["access_token"])[1]["aud"] == service
    claims = decoded(tokens["id_token"])[1]
    assert claims["nonce"] == "n-1"
    assert "auth_time" in claims
    for wrong, error in (
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"prompt": "nonsense"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"id_token_hint": "x"}, "invalid_request"),
        ({"scope": "x" * 20000}, "invalid_request"),
    ):
        answer = app.ask(ADA, **wrong)
        assert (answer.status, answer.json["error"]) == (400, error), wrong


def test_a_hint_at_somebody_else(cast: Cast, app: App) -> None:
    """OpenID Connect Core §3.1.2.1: who signs in as another person than id_token_hint says gets no code."""
    cast.house.user(cast.acme, "bob@example.com")
    hint = app.redeem(app.ask(ADA)).json["id_token"]
    answer = app.ask({"username": "bob@example.com", "password": PASSWORD}, id_token_hint=hint)
    assert (answer.status, answer.json["errors"][0]["field"]) == (403, "username")
    assert app.ask(ADA, id_token_hint=hint).status == 200


def test_signed_request_objects(cast: Cast) -> None:
    """RFC 9101 §4: the parameters may come signed; what a person typed stands beside them."""
    client = first_party(cast, "own-jar", token_endpoint_auth_method="none", jwks={"keys": [cast.key.public_jwk]})
    app = App(cast, client)
    signed = cast.key.sign(
        {
            "iss": "own-jar",
            "aud": cast.acme.issuer,
            "iat": now(),
            "exp": now() + 60,
            "client_id": "own-jar",
            "response_type": "code",
            "scope": "openid",
            "nonce": "signed",
            "code_challenge": challenge(app.verifier),
            "code_challenge_method": "S256",
        },
        typ="oauth-authz-req+jwt",
    )
    answer = client.post("/challenge", {"request": signed, **ADA})
    assert decoded(app.redeem(answer).json["id_token"])[1]["nonce"] == "signed"


def test_the_session_is_the_persons_to_see_and_to_end(cast: Cast, app: App) -> None:
    """ASVS 7.4.2: a sign-in by program is a session like any other: ended, its grants and an auth_session under way are worthless."""
    cast.house.user(cast.acme, "eve@example.com", must_change=True)
    auth_session = app.ask({"username": "eve@example.com", "password": PASSWORD}).json["auth_session"]
    table = db.metadatas["tenant"].tables["sessions"]
    user_id = cast.house.user_id(cast.acme, "eve@example.com")
    database = cast.house.database(cast.acme)
    with database.reading() as conn:
        found = conn.execute(select(table).where(table.c.user_id == user_id)).one()
    assert found.ended_at is None
    database.writing(lambda conn: conn.execute(table.update().where(table.c.id == found.id).values(ended_at=now())))
    answer = app.go_on(auth_session, new_password="a quite different horse battery")
    assert (answer.status, answer.json["step"]) == (403, "login"), "who it is has to be shown anew"


def test_signing_out_by_program(any_cast: Cast) -> None:
    """ASVS 7.4.1: who revokes the refresh token of a sign-in by program ends its session, which nothing else could use; a browser's stays."""
    app = App(any_cast, first_party(any_cast, "leaver", token_endpoint_auth_method="none"))
    table = db.metadatas["tenant"].tables["sessions"]

    def open_ones() -> int:
        with any_cast.house.database(any_cast.acme).reading() as conn:
            return len(conn.execute(select(table).where(table.c.ended_at.is_(None))).all())

    browser = any_cast.browser()
    verifier = "v" * 43
    page = browser.follow(browser.authorize(app.client, verifier=verifier))
    page = browser.follow(browser.submit(page, **ADA))
    code = browser.follow(browser.submit(page, action="approve")).params["code"]
    before = open_ones()
    tokens = app.redeem(app.ask(ADA)).json
    assert open_ones() == before + 1
    assert app.client.post("/revoke", {"token": tokens["refresh_token"]}).status == 200
    assert open_ones() == before
    assert app.client.userinfo(tokens["access_token"]).status == 401
    own = app.client.redeem({"code": code, "verifier": verifier}).json
    assert app.client.post("/revoke", {"token": own["refresh_token"]}).status == 200
    assert open_ones() == before


def test_a_redirect_uri_does_not_matter(app: App) -> None:
    """First-Party Apps §6: it is no parameter here, so nothing is compared at the token endpoint either."""
    answer = app.ask(ADA, redirect_uri=CALLBACK)
    assert app.redeem(answer).status == 200


def test_discovery(cast: Cast) -> None:
    """First-Party Apps §8: the metadata name the endpoint."""
    found = discovery(cast.house, cast.acme)
    assert found["authorization_challenge_endpoint"] == f"{cast.acme.issuer}/challenge"
    also = cast.house.get(cast.acme, "/.well-known/oauth-authorization-server").json
    assert also["authorization_challenge_endpoint"] == found["authorization_challenge_endpoint"]


def test_cookies_are_never_looked_at(cast: Cast, app: App) -> None:
    """RFC 9700 §4.7: a page elsewhere that posts with somebody's cookies gets nothing of their session, and changes none of it."""
    browser = cast.browser()
    browser.sign_in(cast.public)
    cookies = "; ".join(f"{name[-1]}={value}" for name, value in browser.cookies.items())
    form = {"client_id": app.client.client_id, "scope": "openid", "code_challenge": challenge("v" * 43)}
    answer = cast.house.post(
        cast.acme, "/challenge", form | {"code_challenge_method": "S256"}, headers={"cookie": cookies}
    )
    assert (answer.status, answer.json["step"]) == (403, "login")
    again = app.client.post(
        "/challenge", {"auth_session": answer.json["auth_session"], **ADA}, headers={"cookie": cookies}
    )
    assert again.status == 200
    assert not again.header("set-cookie")
    page = browser.authorize(cast.public, verifier="v" * 43)
    assert "code" in page.params, "the browser's own session is as it was"


def test_two_at_once_get_one_code(any_cast: Cast) -> None:
    """RFC 6749 §4.1.2: of requests that finish an auth_session at the same time, one is answered with the code."""
    app = App(any_cast, first_party(any_cast, "racer", token_endpoint_auth_method="none"))
    any_cast.house.user(any_cast.acme, "racer@example.com", must_change=False)
    auth_session = app.ask({}).json["auth_session"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: app.go_on(auth_session, **ADA), range(4)))
    assert sum(each.status == 200 for each in answers) == 1
    assert {each.json.get("error") for each in answers if each.status != 200} <= {
        "invalid_session",
        "temporarily_unavailable",
    }
