"""Back-channel logout (OpenID Connect Back-Channel Logout 1.0): every end of a session before its time reaches its applications."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from cast import discovery, without
from certificates import Authority
from databases import environment
from encryption import new_key, opened, public, verified
from house import House, decoded
from joserfc import jwt
from joserfc.jwk import KeySet
from receivers import Receivers
from refusals import error_page, events, refused
from registering import WEB, manage, register
from serving import together

from idp import clock, work
from idp.errors import Invalid
from idp.flow import session
from idp.identity import accounts, session_end
from idp.identity.accounts import By
from idp.jobs.outbox import outbox_job
from idp.keys import rotation
from idp.oauth.client_metadata import validate
from idp.oauth.clients import ClientRegistry
from idp.oidc.backchannel_logout import logout_token
from idp.outbound import FetchRefused
from idp.store.tenant import clients, outbox, session_clients, users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from house import Answer, Browser, RelyingParty

    from idp.tenancy.tenant import Tenant

EVENT = "http://schemas.openid.net/event/backchannel-logout"
OPERATOR = By("operator")


@dataclass
class World:
    """A house whose applications can be reached."""

    house: House
    acme: Tenant
    receivers: Receivers

    def app(self, name: str, tenant: Tenant | None = None, **metadata: Any) -> RelyingParty:
        """An application that wants to be told."""
        given = {"backchannel_logout_uri": self.receivers.uri(name), "backchannel_logout_session_required": True}
        return self.house.client(tenant or self.acme, name, **{**given, **metadata})

    def signed_in(self, *apps: RelyingParty, browser: Browser | None = None, **more: Any) -> tuple[Browser, list[Any]]:
        """A browser that is signed in at applications, with the claims of their ID tokens."""
        browser = browser or self.house.browser(apps[0].tenant)
        tokens = [app.redeem(browser.sign_in(app, **more)).json["id_token"] for app in apps]
        return browser, tokens

    def deliver(self, later: int = 0) -> None:
        """What a worker does."""
        with clock.shifted(later):
            work.worker(self.house.installation).run_due()

    def messages(self, tenant: Tenant | None = None) -> list[Any]:
        """The outbox, the first message first."""
        with self.house.database(tenant or self.acme).reading() as conn:
            return list(outbox.list_some(conn, outbox.STATES))[::-1]

    def ledger(self, message: Any) -> list[str | None]:
        """The outcomes of a message's attempts."""
        with self.house.database(self.acme).reading() as conn:
            return [attempt.outcome for attempt in outbox.attempts_of(conn, message.id)]


@contextmanager
def made(kind: str, folder: Path) -> Iterator[World]:
    """A world on a kind of database."""
    receivers = Receivers(Authority(folder / "ca"))
    with environment(kind) as environ:
        trusted = {"IDP_CA_BUNDLE": str(folder / "ca" / "ca.pem"), "IDP_ALLOWED_PRIVATE_HOSTS": "localhost"}
        house = House(folder / "var", **environ, **trusted)
        kept = {"allowed_client_profiles": "strict,oidc", "rate_limits": "off", "registration": "open"}
        yield World(house, house.tenant("acme", **kept), receivers)
        house.close()
    receivers.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world on SQLite."""
    with made("sqlite", tmp_path) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world on each kind of database."""
    with made(request.param, tmp_path) as found:
        yield found


def logout(browser: Browser, **params: str) -> Answer:
    """Sign out at the end session endpoint, and confirm where that is asked."""
    answer = browser.get(f"{browser.tenant.base_path}/logout?{urlencode(params)}")
    return browser.submit(answer, action="logout") if 'id="logout-confirm"' in answer.text else answer


# -- what is said about it -------------------------------------------------------------------------------------------


def test_advertised(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.1: both members of discovery."""
    document = discovery(world.house, world.acme)
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True


def test_absent_when_disabled(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenID Connect Back-Channel Logout §2.1: without its row it is not advertised."""
    without(monkeypatch, house, "backchannel_logout")
    assert not [name for name in discovery(house, acme) if name.startswith("backchannel_logout")]


def test_registered_and_shown(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.2: both members are registered, read back, replaced and removed."""
    asked = {
        "backchannel_logout_uri": "https://rp.example/bcl?tenant=1",
        "backchannel_logout_session_required": True,
    }
    document = register(world.house, world.acme, WEB | asked).json
    assert document.items() >= asked.items()
    client_id, token = document["client_id"], document["registration_access_token"]
    replaced = manage(world.house, world.acme, "PUT", client_id, token, WEB | {"client_id": client_id}).json
    assert not asked.keys() & replaced.keys()


@pytest.mark.parametrize(
    "uri",
    [
        "https://rp.example/bcl#fragment",
        "https://rp.example/bcl#",
        "/bcl",
        "rp.example/bcl",
        "ftp://rp.example/bcl",
        "javascript:alert(1)",
        "https://user@rp.example/bcl",
        "https://rp.example /bcl",
        "https:///bcl",
        "",
        7,
        ["https://rp.example/bcl"],
        "https://rp.example/" + "a" * 2000,
    ],
)
def test_an_address_that_cannot_be_registered(world: World, uri: Any) -> None:
    """OpenID Connect Back-Channel Logout §2.2: absolute, https, without a fragment."""
    asked = WEB | {"backchannel_logout_uri": uri}
    refused(world.house, register(world.house, world.acme, asked), 400, "invalid_client_metadata")
    with pytest.raises(Invalid, match="backchannel_logout_uri"):
        validate(asked, "strict", ("ES256", "RS256"))


@pytest.mark.parametrize(
    "uri",
    [
        "http://rp.example/bcl",
        "https://127.0.0.1/bcl",
        "https://[::1]/",
        "https://169.254.169.254/",
        "https://10.0.0.1/",
    ],
)
def test_s097_an_address_inside_is_refused_at_registration(world: World, uri: str) -> None:
    """S097, OpenID Connect Back-Channel Logout §2.2: neither plain HTTP nor a private address, unless the operator allows the host."""
    answer = register(world.house, world.acme, WEB | {"backchannel_logout_uri": uri})
    refused(world.house, answer, 400, "invalid_client_metadata")
    services = world.house.installation.services
    registry = ClientRegistry(
        world.acme, world.house.database(world.acme), world.house.installation.feed, services.outbound
    )
    with pytest.raises(Invalid, match="backchannel_logout_uri"):
        registry.create(WEB | {"backchannel_logout_uri": uri}, by=OPERATOR)
    allowed = WEB | {"backchannel_logout_uri": "http://localhost:1/bcl"}
    assert registry.create(allowed, by=OPERATOR).document()["backchannel_logout_uri"] == "http://localhost:1/bcl"


@pytest.mark.parametrize("value", ["true", 1, "yes", []])
def test_session_required_is_a_boolean(world: World, value: Any) -> None:
    """OpenID Connect Back-Channel Logout §2.2: backchannel_logout_session_required is true or false."""
    answer = register(world.house, world.acme, WEB | {"backchannel_logout_session_required": value})
    refused(world.house, answer, 400, "invalid_client_metadata")


# -- the token ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", [None, "ES256"])
def test_the_logout_token(any_world: World, alg: str | None) -> None:
    """OpenID Connect Back-Channel Logout §2.4, §2.5, §2.6: exactly these claims, typ logout+jwt, signed as the client's ID tokens are."""
    world = any_world
    app = world.app("app", **({"id_token_signed_response_alg": alg} if alg else {}))
    browser, (hint,) = world.signed_in(app)
    id_header, id_claims = decoded(hint)
    logout(browser, id_token_hint=hint)
    world.deliver()
    (told,) = world.receivers.of("app")
    assert told.media_type == "application/x-www-form-urlencoded"
    keys = KeySet.import_key_set(world.house.get(world.acme, "/jwks").json)
    found = jwt.decode(told.token, keys, algorithms=["RS256", "ES256"])
    assert found.header["typ"] == "logout+jwt"
    assert found.header["alg"] == id_header["alg"] == (alg or "RS256")
    claims = found.claims
    assert claims.keys() == {"iss", "sub", "aud", "iat", "exp", "jti", "sid", "events"}
    assert (claims["iss"], claims["aud"]) == (world.acme.issuer, "app")
    assert (claims["sub"], claims["sid"]) == (id_claims["sub"], id_claims["sid"])
    assert claims["events"] == {EVENT: {}}
    assert 0 < claims["exp"] - claims["iat"] <= 120
    assert abs(claims["iat"] - clock.now()) < 10
    assert len(claims["jti"]) >= 20


def test_it_is_encrypted_as_id_tokens_are(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.4, §2.6: who registered encrypted ID tokens gets encrypted logout tokens; else none."""
    key = new_key("ECDH-ES")
    app = world.app("app", id_token_encrypted_response_alg="ECDH-ES", jwks=public(key))
    gone = world.app("gone", id_token_encrypted_response_alg="ECDH-ES", jwks=public(key))
    browser, _ = world.signed_in(app, gone)
    with world.house.installation.feed.announced(world.acme.id, "client", "gone"):
        metadata = {**gone.metadata, "jwks_uri": "https://127.0.0.1:1/jwks"}
        del metadata["jwks"]
        world.house.database(world.acme).writing(lambda conn: clients.change(conn, "gone", metadata=metadata))
    logout(browser)
    world.deliver()
    (told,) = world.receivers.of("app")
    header, inner = opened(told.token, key, "ECDH-ES", "A128CBC-HS256")
    assert header["cty"] == "JWT"
    assert verified(world.house, world.acme, inner, "RS256")[1]["events"] == {EVENT: {}}
    assert not world.receivers.of("gone"), "nothing is sent in clear instead"


def test_an_application_that_another_tab_signs_in_to_meanwhile(any_world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.5: told at once, too, though there was nobody to tell when the logout began."""
    world = any_world
    app, quiet = world.app("app"), world.house.client(world.acme, "quiet")
    browser = world.house.browser(world.acme)
    browser.sign_in(quiet)
    server = world.house.installation.servers.get(world.acme)
    live = session.find(server, browser.cookies["s-acme"])
    assert live is not None
    with session.ending(server, live):
        browser.sign_in(app)
        server.write(lambda conn: session_end.end(conn, live.id, live.user_id, "logout"))
    world.deliver()
    assert world.receivers.of("app")


def test_what_waits_is_not_told_in_another_sector(world: World) -> None:
    """OpenID Connect Core §8.1, S108: a logout that could not be told is not told by a subject of the host that a client moved to."""
    moving = world.app("moving", subject_type="pairwise")
    browser, (hint,) = world.signed_in(moving)
    world.receivers.answers["/moving"] = 500
    logout(browser, id_token_hint=hint)
    world.deliver()
    world.receivers.answers["/moving"] = 200
    registry = ClientRegistry(world.acme, world.house.database(world.acme), world.house.installation.feed)
    with clock.shifted(2):
        registry.update("moving", {"redirect_uris": ["https://victim.example/cb"]}, by=OPERATOR)
    world.deliver(60)
    (told,) = world.receivers.of("moving")
    assert told.claims["sub"] == decoded(hint)[1]["sub"]
    (message,) = world.messages()
    assert message.state == "dead"


def test_the_subject_is_the_clients(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.4, Core §8.1: the sub by which this client knows the person; after a deletion too."""
    apps = [world.app("public"), world.app("pair", subject_type="pairwise")]
    _, hints = world.signed_in(*apps)
    known = {decoded(hint)[1]["aud"]: decoded(hint)[1]["sub"] for hint in hints}
    assert known["public"] != known["pair"]
    accounts.delete_user(world.house.database(world.acme), world.house.user_id(world.acme), by=OPERATOR)
    world.deliver()
    assert {told.claims["aud"]: told.claims["sub"] for told in world.receivers.told} == known


def test_it_is_signed_when_it_is_sent(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.6: with the keys of that moment, however long the message waited."""
    app = world.app("app")
    browser, (hint,) = world.signed_in(app)
    logout(browser, id_token_hint=hint)
    database, installation = world.house.database(world.acme), world.house.installation
    with installation.feed.announced(world.acme.id, "config"):
        rotation.rotate_now(database, installation.envelope, world.acme.id, work.key_policy(world.acme))
    world.deliver(3600)
    (told,) = world.receivers.of("app")
    assert decoded(told.token)[0]["kid"] != decoded(hint)[0]["kid"]
    assert told.claims["iat"] >= clock.now() + 3590


def test_a_logout_token_is_good_for_nothing_else(world: World) -> None:
    """RFC 8725 §3.11, OpenID Connect Back-Channel Logout §4: neither a hint nor an access token; and no ID token is a logout token."""
    app = world.app("app")
    browser, (hint,) = world.signed_in(app)
    _, claims = decoded(hint)
    server = world.house.installation.servers.get(world.acme)
    client = server.query_client("app")
    assert client is not None
    token = logout_token(server, client, claims["sid"], claims["sub"])
    error_page(world.house, browser.get(f"{world.acme.base_path}/logout?{urlencode({'id_token_hint': token})}"))
    assert app.userinfo(token).status == 401
    assert app.introspect(token) == {"active": False}
    assert browser.authorize(app, verifier="v" * 43, prompt="none", id_token_hint=token).params["error"]
    assert "nonce" not in decoded(token)[1]
    assert decoded(hint)[0]["typ"] != decoded(token)[0]["typ"]
    world.deliver()
    assert world.receivers.told == []


# -- who is told -----------------------------------------------------------------------------------------------------


def test_every_application_of_the_session_and_no_other(any_world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.3: one browser session ends at every application it signed in to, once each."""
    world = any_world
    apps = [world.app(f"app{number}") for number in range(5)]
    silent = world.house.client(world.acme, "silent")
    elsewhere = world.app("elsewhere")
    other_tenant = world.house.tenant("globex", rate_limits="off")
    foreign = world.app("foreign", other_tenant)
    world.house.user(world.acme, "bob@example.com")
    browser, hints = world.signed_in(*apps, silent)
    world.signed_in(apps[0], browser=browser)  # again: still once
    _, (other,) = world.signed_in(elsewhere)  # the same person in another browser
    world.signed_in(apps[1], username="bob@example.com")
    browser.tenant = other_tenant
    world.signed_in(foreign, browser=browser)
    browser.tenant = world.acme
    logout(browser, id_token_hint=hints[0])
    world.deliver()
    assert sorted(told.path for told in world.receivers.told) == sorted(f"/app{number}" for number in range(5))
    assert {told.claims["sid"] for told in world.receivers.told} == {decoded(hints[0])[1]["sid"]}
    assert {told.claims["aud"] for told in world.receivers.told} == {app.client_id for app in apps}
    assert decoded(other)[1]["sid"] not in {told.claims["sid"] for told in world.receivers.told}
    world.deliver(7200)
    assert len(world.receivers.told) == 5


def _by_hint(_world: World, browser: Browser, hint: str) -> None:
    logout(browser, id_token_hint=hint)


def _by_confirmation(_world: World, browser: Browser, _hint: str) -> None:
    logout(browser)


def _by_another_person(world: World, browser: Browser, _hint: str) -> None:
    world.house.installation.provisioning.change_settings(world.acme, {"accounts_in_browser": "1"})
    world.house.user(world.acme, "bob@example.com")
    browser.sign_in(world.house.client(world.acme, "quiet"), username="bob@example.com", prompt="login")


def _by_password(world: World, _browser: Browser, _hint: str) -> None:
    installation, database = world.house.installation, world.house.database(world.acme)
    user = accounts.find_user(database, "ada@example.com")
    accounts.set_password(
        database, installation.services.hasher, world.acme, user, "another fine phrase 7", by=OPERATOR
    )


def _by_disabling(world: World, _browser: Browser, _hint: str) -> None:
    accounts.disable_user(world.house.database(world.acme), world.house.user_id(world.acme), by=OPERATOR)


def _by_deletion(world: World, _browser: Browser, _hint: str) -> None:
    accounts.delete_user(world.house.database(world.acme), world.house.user_id(world.acme), by=OPERATOR)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (_by_hint, "logout"),
        (_by_confirmation, "logout"),
        (_by_another_person, "another_user_signed_in"),
        (_by_password, "password_changed"),
        (_by_disabling, "user_disabled"),
        (_by_deletion, "user_deleted"),
    ],
)
def test_every_early_end_is_told(any_world: World, end: Callable[..., None], reason: str) -> None:
    """OpenID Connect Back-Channel Logout §2.3, S045: however a session ends before its time, its applications learn of it at once."""
    world = any_world
    app = world.app("app")
    browser, (hint,) = world.signed_in(app)
    end(world, browser, hint)
    assert [message.payload["reason"] for message in world.messages()] == [reason]
    world.deliver()
    (told,) = world.receivers.of("app")
    _, claims = decoded(hint)
    assert (told.claims["sid"], told.claims["sub"]) == (claims["sid"], claims["sub"])


def test_changing_ones_own_password_tells_the_others(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.3: the session in which somebody sits goes on, those elsewhere end."""
    app = world.app("app")
    browser, (mine,) = world.signed_in(app)
    _, (elsewhere,) = world.signed_in(app)
    database = world.house.database(world.acme)
    database.writing(lambda conn: users.change(conn, world.house.user_id(world.acme), must_change_password=True))
    page = browser.follow(browser.authorize(app, verifier="v" * 43))
    answer = browser.submit(page, new_password="quite another phrase 8", confirm_password="quite another phrase 8")
    assert "code" in browser.follow(answer).params
    world.deliver()
    (told,) = world.receivers.of("app")
    assert told.claims["sid"] == decoded(elsewhere)[1]["sid"] != decoded(mine)[1]["sid"]


def test_what_is_no_end_is_told_to_nobody(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.3: a renewed sign-in, a stay at the confirmation and a session's own end tell nobody."""
    app = world.app("app")
    browser, (hint,) = world.signed_in(app)
    browser.sign_in(app, prompt="login")
    browser.get(f"{world.acme.base_path}/logout")
    with clock.shifted(8 * 86400):
        assert browser.authorize(app, verifier="v" * 43, prompt="none").params["error"] == "login_required"
        browser.sign_in(app)
    assert world.messages() == []
    error_page(world.house, browser.get(f"{world.acme.base_path}/logout?{urlencode({'id_token_hint': hint + 'x'})}"))
    assert world.messages() == []


def test_grants_without_offline_access_end(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.7: their refresh tokens are revoked; those with offline_access go on."""
    app = world.app("app")
    browser = world.house.browser(world.acme)
    online = app.redeem(browser.sign_in(app)).json
    offline = app.redeem(browser.sign_in(app, scope="openid offline_access", prompt="consent")).json
    logout(browser, id_token_hint=online["id_token"])
    assert app.refresh(online["refresh_token"]).json["error"] == "invalid_grant"
    assert app.introspect(online["access_token"]) == {"active": False}
    assert app.refresh(offline["refresh_token"]).status == 200


def test_the_end_of_a_session_and_its_messages_are_one(any_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §4: a logout that fails tells nobody, and one that is done has its messages."""
    world = any_world
    app = world.app("app")
    browser, (hint,) = world.signed_in(app)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr("idp.audit.audit_events.add", broken)
        assert logout(browser, id_token_hint=hint).status == 500
    assert world.messages() == []
    assert "code" in browser.authorize(app, verifier="v" * 43, prompt="none").params
    logout(browser, id_token_hint=hint)
    assert len(world.messages()) == 1


def test_a_sign_in_during_the_logout_is_told_or_refused(any_world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.3: whoever got a code from a session that ends at this moment is among those told."""
    world = any_world
    outcomes = set()
    first, late = world.app("first"), world.app("late")
    world.signed_in(first, late)  # consents are remembered
    for _ in range(25):
        browser, (hint,) = world.signed_in(first)
        twin = world.house.browser(world.acme)
        twin.cookies = dict(browser.cookies)
        sid = decoded(hint)[1]["sid"]

        def act(number: int, browser: Browser = browser, twin: Browser = twin, hint: str = hint) -> Answer:
            if number:
                return logout(browser, id_token_hint=hint)
            return twin.authorize(late, verifier="v" * 43, prompt="none")

        answer, left = together(2, act)
        assert left.status == 200
        told = {message.target for message in world.messages() if message.payload["sid"] == sid}
        has_code = answer.status == 303 and "code" in answer.params
        assert told == ({"first", "late"} if has_code else {"first"})
        outcomes.add(has_code)
    assert outcomes  # both happen most of the time, which nobody can promise


# -- how they answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204])
def test_delivered(world: World, status: int) -> None:
    """OpenID Connect Back-Channel Logout §2.8: 200, and the 204 that some frameworks make of it."""
    world.receivers.answers["/app"] = status
    browser, (hint,) = world.signed_in(world.app("app"))
    logout(browser, id_token_hint=hint)
    world.deliver()
    (message,) = world.messages()
    assert (message.state, world.ledger(message)) == ("delivered", [str(status)])


def _refuses(http: BaseHTTPRequestHandler) -> None:
    body = b'{"error": "invalid_request", "error_description": "<script>alert(1)</script>"}'
    http.send_response(400)
    http.send_header("content-type", "application/json")
    http.send_header("content-length", str(len(body)))
    http.end_headers()
    http.wfile.write(body)


def test_a_400_is_final(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.8: the application says that it failed: a dead letter with its error code, no retry."""
    world.receivers.answers["/app"] = _refuses
    browser, (hint,) = world.signed_in(world.app("app"))
    logout(browser, id_token_hint=hint)
    world.deliver()
    world.deliver(7200)
    (message,) = world.messages()
    assert message.state == "dead"
    assert message.last_error == "the application refused it: 400 invalid_request"
    assert len(world.receivers.of("app")) == 1
    (event,) = events(world.house, world.acme, "outbox.dead")
    assert event.details["target"] == "app"


@pytest.mark.parametrize("status", [500, 502, 503, 429, 404, 401, 302])
def test_s097_other_answers_are_tried_again_with_a_token_of_their_own(world: World, status: int) -> None:
    """S097, OpenID Connect Back-Channel Logout §2.5: a server in trouble gets another token, with another jti, later."""
    world.receivers.answers["/app"] = status
    browser, (hint,) = world.signed_in(world.app("app"))
    logout(browser, id_token_hint=hint)
    world.deliver()
    assert [message.state for message in world.messages()] == ["waiting"]
    world.receivers.answers["/app"] = 200
    world.deliver(60)
    (message,) = world.messages()
    assert (message.state, world.ledger(message)) == ("delivered", [f"the answer is {status}", "200"])
    first, second = world.receivers.of("app")
    assert first.claims["jti"] != second.claims["jti"]
    assert second.claims["iat"] >= first.claims["iat"] + 50


def _redirects(http: BaseHTTPRequestHandler) -> None:
    http.send_response(307)
    http.send_header("location", "/elsewhere")
    http.send_header("content-length", "0")
    http.end_headers()


def _drips(http: BaseHTTPRequestHandler) -> None:
    http.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")
    for _ in range(60):
        time.sleep(0.2)
        http.wfile.write(b"x")


def test_s097_redirects_and_slow_answers(world: World) -> None:
    """S097, security rule 8: no redirect is followed, and an answer that drips ends after five seconds."""
    world.receivers.answers |= {"/redirects": _redirects, "/drips": _drips}
    browser, (hint, _) = world.signed_in(world.app("redirects"), world.app("drips"))
    logout(browser, id_token_hint=hint)
    began = time.monotonic()
    world.deliver()
    assert time.monotonic() - began < 9
    assert {message.target: message.last_error for message in world.messages()} == {
        "redirects": "the answer is 307",
        "drips": "no complete answer within 5 seconds",
    }
    assert world.receivers.of("elsewhere") == []


@pytest.mark.parametrize("uri", ["https://127.0.0.1:9/bcl", "https://169.254.169.254/bcl", "http://rp.example/bcl"])
def test_s097_an_address_inside_is_not_reached(world: World, uri: str) -> None:
    """S097, security rule 8: even if it got into the registration, a private address gets no token; the operator reads why."""
    browser, (hint,) = world.signed_in(world.app("app", backchannel_logout_uri=uri))
    with pytest.raises(FetchRefused):
        world.house.installation.services.outbound.check(uri)
    logout(browser, id_token_hint=hint)
    world.deliver()
    (message,) = world.messages()
    assert message.state == "dead"
    assert "the address is" in message.last_error
    assert world.receivers.told == []


# -- what happens meanwhile --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["disabled", "deleted", "made anew", "without an address", "moved"])
def test_the_client_changes_meanwhile(world: World, what: str) -> None:
    """OpenID Connect Back-Channel Logout §2.5: who is gone is told nothing, and that is recorded; who moved is told there."""
    browser, (hint,) = world.signed_in(world.app("app"))
    registry = ClientRegistry(world.acme, world.house.database(world.acme), world.house.installation.feed)
    logout(browser, id_token_hint=hint)
    if what == "disabled":
        registry.disable("app", by=OPERATOR)
    elif what in ("deleted", "made anew"):
        registry.delete("app", by=OPERATOR)
        with clock.shifted(30):
            if what == "made anew":
                world.app("app")
    else:
        uri = world.receivers.uri("moved") if what == "moved" else None
        registry.update("app", {"backchannel_logout_uri": uri}, by=OPERATOR)
    world.deliver(60)
    (message,) = world.messages()
    if what == "moved":
        assert message.state == "delivered"
        assert [told.path for told in world.receivers.told] == ["/moved"]
    else:
        assert message.state == "dead"
        assert "meanwhile" in message.last_error
        assert world.receivers.told == []


def test_a_deleted_client_leaves_no_session_to_another_of_its_name(world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.3: who registers under a former client's id learns of none of its sessions."""
    app = world.app("app")
    browser, _ = world.signed_in(app)
    registry = ClientRegistry(world.acme, world.house.database(world.acme), world.house.installation.feed)
    registry.delete("app", by=OPERATOR)
    world.app("app")
    logout(browser)
    assert world.messages() == []


def test_signing_in_is_noted_once(any_world: World) -> None:
    """OpenID Connect Back-Channel Logout §2.3: which applications a session signed in to is kept with the session."""
    world = any_world
    app = world.app("app")
    browser, (hint,) = world.signed_in(app)
    world.signed_in(app, browser=browser)
    with world.house.database(world.acme).reading() as conn:
        found = conn.execute(session_clients.session_clients.select()).all()
    assert [(row.session_id, row.client_id) for row in found] == [(decoded(hint)[1]["sid"], "app")]


def test_the_worker_knows_the_kind() -> None:
    """Architecture §4: delivery is a job of its own lane, so that a slow application holds up no other work."""
    assert outbox_job({}).lane == "delivery"
