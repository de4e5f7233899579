"""Every artefact that a tenant gives out or keeps: how to get one at tenant A, how it works there, what B says to it.

A new artefact joins by a row in :data:`ARTEFACTS`; ``test_isolation.py`` fails as long as a table or feature has none.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import account_artefacts as account
import branding_artefacts as branding
import jose_artefacts as jose
import link_artefacts as mailed
import logout_artefacts as leaving
import oidc_artefacts as oidc
import program_artefacts as by_program
import registration_artefacts as joining
import signup_artefacts as people
from cast import SigningKey, asserted
from house import CALLBACK, Answer, Browser, Grant, House, RelyingParty, basic, decoded
from serving import rows, scalar

from idp.access.bindings import Bindings, Wanted
from idp.access.conditions import Context
from idp.access.granting import Granter
from idp.access.groups import Groups
from idp.access.policy import Subject, permitted
from idp.access.roles import Roles
from idp.clock import now
from idp.identity.accounts import By
from idp.keys.signer import TenantKeys
from idp.web import cookies

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.tenancy.tenant import Tenant

PASSWORDS = {"acme": "the password of ada at acme", "globex": "another one, of ada at globex"}
EVERYTHING = "openid profile email offline_access"


@dataclass
class Side:
    """One tenant with its own client `rp`, its client `signed` (with the same key on both sides) and its own ada."""

    house: House
    tenant: Tenant
    rp: RelyingParty
    signed: RelyingParty
    key: SigningKey

    def browser(self) -> Browser:
        return self.house.browser(self.tenant)

    def signed_in(self) -> Browser:
        """A browser in which ada has signed in, and consented."""
        browser = self.browser()
        browser.sign_in(self.rp, password=PASSWORDS[self.tenant.slug], scope=EVERYTHING)
        return browser

    def grant(self, **params: str) -> Grant:
        return self.browser().sign_in(self.rp, password=PASSWORDS[self.tenant.slug], **{"scope": EVERYTHING, **params})

    def tokens(self) -> dict[str, Any]:
        answer = self.rp.redeem(self.grant())
        assert answer.status == 200, answer.text
        return answer.json

    @property
    def keys(self) -> TenantKeys:
        with self.house.database(self.tenant).reading() as conn:
            return TenantKeys.load(conn, self.house.installation.envelope, self.tenant.id)

    def cookie(self, kind: str) -> str:
        return cookies.cookie_name(kind, self.tenant.slug, secure=False)

    def count(self, statement: str, *given: Any) -> int:
        return int(scalar(self.tenant.database_url, statement, *given))


@dataclass
class World:
    """Two tenants that are alike in every name: client ids, e-mail addresses, scopes, keys of clients."""

    a: Side
    b: Side


def make_world(house: House) -> World:
    """Furnish a house."""
    key = SigningKey.new("ES256", "the-key")
    sides = []
    for slug in ("acme", "globex"):
        tenant = house.installation.provisioning.create(slug, slug.title(), None, {"registration": "token"})
        house.user(tenant, password=PASSWORDS[slug])
        signed = house.client(
            tenant, "signed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
        )
        sides.append(Side(house, tenant, house.client(tenant), signed, key))
    return World(*sides)


def has_code(answer: Answer) -> bool:
    return answer.status in (302, 303) and "code" in answer.params


def error_of(answer: Answer) -> str:
    """The error of a JSON answer or of a redirect; the status of a page."""
    if answer.status in (302, 303):
        return answer.params.get("error", f"redirect to {answer.location}")
    return str(answer.json.get("error")) if answer.text.startswith("{") else str(answer.status)


@dataclass(frozen=True)
class Artefact:
    """One kind of thing.

    ``make(a, b)`` gets one at A; ``refused(b, it)`` presents it at B and asserts that B does not know it; ``works(a, it)``
    is the control, run afterwards: the same thing works at A, so B has neither used it up nor judged it by accident.
    """

    name: str
    make: Callable[[Side, Side], Any]
    refused: Callable[[Side, Any], None]
    works: Callable[[Side, Any], None]
    tables: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


# -- what a client holds --------------------------------------------------------------------------------------------------


def _code_refused(b: Side, grant: Grant) -> None:
    answer = b.rp.redeem(grant)
    assert (answer.status, error_of(answer)) == (400, "invalid_grant")


def _code_works(a: Side, grant: Grant) -> None:
    assert a.rp.redeem(grant).status == 200


def _access_token_refused(b: Side, token: str) -> None:
    assert b.rp.userinfo(token).status == 401
    assert b.rp.introspect(token) == {"active": False}
    assert b.rp.post("/revoke", {"token": token, "token_type_hint": "access_token"}).status == 200
    assert b.rp.post("/token", {"grant_type": "refresh_token", "refresh_token": token}).status == 400


def _access_token_works(a: Side, token: str) -> None:
    assert a.rp.userinfo(token).status == 200
    assert a.rp.introspect(token)["active"] is True


def _refresh_token_refused(b: Side, token: str) -> None:
    answer = b.rp.refresh(token)
    assert (answer.status, error_of(answer)) == (400, "invalid_grant")
    assert b.rp.introspect(token) == {"active": False}
    assert b.rp.post("/revoke", {"token": token}).status == 200


def _refresh_token_works(a: Side, token: str) -> None:
    assert a.rp.introspect(token)["active"] is True
    assert a.rp.refresh(token).status == 200


def _hint_refused(b: Side, made: tuple[Browser, str]) -> None:
    answer = b.signed_in().authorize(b.rp, verifier="v" * 43, prompt="none", id_token_hint=made[1])
    assert error_of(answer) == "invalid_request"


def _hint_works(a: Side, made: tuple[Browser, str]) -> None:
    assert has_code(made[0].authorize(a.rp, verifier="v" * 43, prompt="none", scope=EVERYTHING, id_token_hint=made[1]))


def _id_token(a: Side, _b: Side) -> tuple[Browser, str]:
    browser = a.browser()
    tokens = a.rp.redeem(browser.sign_in(a.rp, password=PASSWORDS["acme"], scope=EVERYTHING)).json
    return browser, tokens["id_token"]


def _logout_hint_refused(b: Side, made: tuple[Browser, str]) -> None:
    live = b.signed_in()
    answer = live.get(
        f"{b.tenant.base_path}/logout?id_token_hint={made[1]}&post_logout_redirect_uri=https://rp.example/bye"
    )
    assert answer.status == 400
    assert has_code(live.authorize(b.rp, verifier="v" * 43, prompt="none", scope=EVERYTHING)), "B's session has ended"


def _logout_hint_works(a: Side, made: tuple[Browser, str]) -> None:
    answer = made[0].get(
        f"{a.tenant.base_path}/logout?id_token_hint={made[1]}&post_logout_redirect_uri=https://rp.example/bye"
    )
    assert (answer.status, answer.location) == (303, "https://rp.example/bye")
    assert error_of(made[0].authorize(a.rp, verifier="v" * 43, prompt="none")) == "login_required"


def _secret_refused(b: Side, auth: dict[str, str]) -> None:
    for path, form in (
        ("/token", {"grant_type": "client_credentials"}),
        ("/introspect", {"token": "x"}),
        ("/revoke", {"token": "x"}),
    ):
        answer = b.house.post(b.tenant, path, form, headers=auth)
        assert (answer.status, error_of(answer)) == (401, "invalid_client")


def _secret_works(a: Side, auth: dict[str, str]) -> None:
    assert a.house.post(a.tenant, "/token", {"grant_type": "client_credentials"}, headers=auth).status == 200


def _credentials(side: Side, form: dict[str, str]) -> Answer:
    return side.house.post(side.tenant, "/token", {"grant_type": "client_credentials", **form})


def _assertion_refused(b: Side, form: dict[str, str]) -> None:
    answer = _credentials(b, form)
    assert (answer.status, error_of(answer)) == (401, "invalid_client")


def _assertion_works(a: Side, form: dict[str, str]) -> None:
    assert _credentials(a, form).status == 200
    assert _credentials(a, form).status == 401, "an assertion worked twice"


def _spent_jti(a: Side, _b: Side) -> str:
    jti = secrets.token_urlsafe(12)
    assert _credentials(a, asserted(a.signed, a.key, jti=jti)).status == 200
    return jti


def _spent_jti_unknown(b: Side, jti: str) -> None:
    assert _credentials(b, asserted(b.signed, b.key, jti=jti)).status == 200


def _spent_jti_known(a: Side, jti: str) -> None:
    assert _credentials(a, asserted(a.signed, a.key, jti=jti)).status == 401


def _revoked_jti(a: Side, _b: Side) -> tuple[str, dict[str, Any]]:
    token = a.rp.post("/token", {"grant_type": "client_credentials"}).json["access_token"]
    assert a.rp.post("/revoke", {"token": token}).status == 200
    return token, decoded(token)[1]


def _revoked_jti_unknown(b: Side, made: tuple[str, dict[str, Any]]) -> None:
    twin = b.keys.sign({**made[1], "iss": b.tenant.issuer, "aud": b.tenant.issuer}, alg="ES256", typ="at+jwt")
    assert b.rp.introspect(twin)["active"] is True


def _revoked_jti_known(a: Side, made: tuple[str, dict[str, Any]]) -> None:
    assert a.rp.introspect(made[0]) == {"active": False}


# -- what signs, and what is signed by hand --------------------------------------------------------------------------------


def _claims(issuer: str) -> dict[str, Any]:
    at = now()
    return {
        "iss": issuer,
        "aud": issuer,
        "sub": "rp",
        "client_id": "rp",
        "iat": at,
        "exp": at + 60,
        "jti": secrets.token_hex(8),
    }


def _signed_by_a(a: Side, b: Side) -> dict[str, str]:
    """Tokens that A's own key signed, one in B's name: what an evil operator of A can make."""
    in_b_s_name = a.keys.sign(_claims(b.tenant.issuer), alg="ES256", typ="at+jwt")
    header, payload, signature = in_b_s_name.split(".")
    renamed = json.dumps({**json.loads(base64.urlsafe_b64decode(header + "==")), "kid": b.keys.active_kid("ES256")})
    return {
        "own": a.keys.sign(_claims(a.tenant.issuer), alg="ES256", typ="at+jwt"),
        "in B's name": in_b_s_name,
        "in B's name, with B's kid": f"{base64.urlsafe_b64encode(renamed.encode()).rstrip(b'=').decode()}.{payload}.{signature}",
    }


def _key_refused(b: Side, tokens: dict[str, str]) -> None:
    for name, token in tokens.items():
        assert b.rp.introspect(token) == {"active": False}, name
        assert b.rp.userinfo(token).status == 401, name
    kids = {key["kid"] for key in b.house.get(b.tenant, "/jwks").json["keys"]}
    assert not kids & {decoded(tokens["own"])[0]["kid"]}


def _key_works(a: Side, tokens: dict[str, str]) -> None:
    assert a.rp.introspect(tokens["own"])["active"] is True
    kids = {key["kid"] for key in a.house.get(a.tenant, "/jwks").json["keys"]}
    assert decoded(tokens["own"])[0]["kid"] in kids


def _grant_id(a: Side, _b: Side) -> dict[str, Any]:
    return {**_claims(""), **decoded(a.tokens()["access_token"])[1]}


def _with_grant(side: Side, claims: dict[str, Any]) -> str:
    return side.keys.sign({**claims, "iss": side.tenant.issuer, "aud": side.tenant.issuer}, alg="ES256", typ="at+jwt")


def _grant_refused(b: Side, claims: dict[str, Any]) -> None:
    token = _with_grant(b, claims)
    assert b.rp.introspect(token) == {"active": False}
    assert b.rp.userinfo(token).status == 401


def _grant_works(a: Side, claims: dict[str, Any]) -> None:
    assert a.rp.userinfo(_with_grant(a, claims)).status == 200


# -- what a browser holds ----------------------------------------------------------------------------------------------------


def _session_refused(b: Side, secret: str) -> None:
    browser = b.browser()
    browser.cookies = {b.cookie("s"): secret, "s-acme": secret}
    assert error_of(browser.authorize(b.rp, verifier="v" * 43, prompt="none")) == "login_required"


def _session_works(a: Side, secret: str) -> None:
    browser = a.browser()
    browser.cookies = {a.cookie("s"): secret}
    assert has_code(browser.authorize(a.rp, verifier="v" * 43, prompt="none", scope=EVERYTHING))


def _interaction(a: Side, _b: Side) -> tuple[str, str]:
    browser = a.browser()
    page = browser.follow(browser.authorize(a.rp, verifier="v" * 43))
    return browser.cookies[a.cookie("b")], page.form[0].partition("interaction=")[2]


def _interaction_refused(b: Side, made: tuple[str, str]) -> None:
    browser = b.browser()
    browser.cookies = {b.cookie("b"): made[0]}
    for path in ("/login", "/consent", "/continue"):
        page = browser.get(f"{b.tenant.base_path}{path}?interaction={made[1]}")
        assert page.status in (400, 404, 410), (path, page.status)
        assert 'id="login-submit"' not in page.text


def _interaction_works(a: Side, made: tuple[str, str]) -> None:
    browser = a.browser()
    browser.cookies = {a.cookie("b"): made[0]}
    assert 'id="login-submit"' in browser.get(f"{a.tenant.base_path}/login?interaction={made[1]}").text


def _form_token(a: Side, _b: Side) -> tuple[Browser, Answer]:
    browser = a.browser()
    return browser, browser.follow(browser.authorize(a.rp, verifier="v" * 43))


def _form_token_refused(b: Side, made: tuple[Browser, Answer]) -> None:
    browser = b.browser()
    browser.cookies = {b.cookie("b"): made[0].cookies["b-acme"]}  # even in what calls itself the same browser
    page = browser.follow(browser.authorize(b.rp, verifier="v" * 43))
    answer = browser.submit(
        page, csrf=made[1].form[1]["csrf"], username="ada@example.com", password=PASSWORDS["globex"]
    )
    assert answer.status == 403
    assert b.cookie("s") not in browser.cookies


def _form_token_works(a: Side, made: tuple[Browser, Answer]) -> None:
    answer = made[0].submit(made[1], username="ada@example.com", password=PASSWORDS["acme"])
    assert answer.status == 303
    assert a.cookie("s") in made[0].cookies


def _asks_for_consent(side: Side) -> bool:
    browser = side.browser()
    page = browser.follow(browser.authorize(side.rp, verifier="v" * 43, scope="openid address phone"))
    page = browser.follow(browser.submit(page, username="ada@example.com", password=PASSWORDS[side.tenant.slug]))
    return 'id="consent-approve"' in page.text


def _consent(a: Side, _b: Side) -> None:
    a.grant(scope="openid address phone")


def _consent_unknown(b: Side, _it: None) -> None:
    assert _asks_for_consent(b)


def _consent_known(a: Side, _it: None) -> None:
    assert not _asks_for_consent(a)


# -- what a person holds, and what is counted ------------------------------------------------------------------------------


def _signs_in(side: Side, username: str, password: str) -> bool:
    browser = side.browser()
    page = browser.follow(browser.authorize(side.rp, verifier="v" * 43))
    return browser.submit(page, username=username, password=password).status == 303


def _password_refused(b: Side, password: str) -> None:
    assert not _signs_in(b, "ada@example.com", password)


def _password_works(a: Side, password: str) -> None:
    assert _signs_in(a, "ada@example.com", password)


def _only_user(a: Side, _b: Side) -> str:
    name = f"{secrets.token_hex(4)}@example.com"
    a.house.user(a.tenant, name, "a password for both of us")
    return name


def _only_user_refused(b: Side, name: str) -> None:
    assert not _signs_in(b, name, "a password for both of us")


def _only_user_works(a: Side, name: str) -> None:
    assert _signs_in(a, name, "a password for both of us")


def _locked(a: Side, b: Side) -> str:
    name = f"{secrets.token_hex(4)}@example.com"
    for side in (a, b):
        side.house.user(side.tenant, name, "a password for both of us")
    browser = a.browser()
    page = browser.follow(browser.authorize(a.rp, verifier="v" * 43))
    for _ in range(11):
        browser.submit(page, username=name, password="wrong")
    return name


def _lock_unknown(b: Side, name: str) -> None:
    assert _signs_in(b, name, "a password for both of us")


def _lock_known(a: Side, name: str) -> None:
    assert not _signs_in(a, name, "a password for both of us")


def _client_of_one(a: Side, _b: Side) -> RelyingParty:
    return a.house.client(a.tenant, f"only-{secrets.token_hex(4)}", redirect_uris=["https://only-a.example/cb"])


def _client_refused(b: Side, client: RelyingParty) -> None:
    answer = b.browser().authorize(client, redirect_uri="https://only-a.example/cb", verifier="v" * 43)
    assert answer.status == 400, "an unknown client is told so on a page, never by a redirect"
    # A's redirect URI, at B's client of the same name
    answer = b.browser().authorize(b.rp, redirect_uri="https://only-a.example/cb", verifier="v" * 43)
    assert (answer.status, answer.header("location")) == (400, None)
    assert b.house.post(b.tenant, "/token", {"grant_type": "client_credentials"}, headers=client.auth).status == 401


def _client_works(a: Side, client: RelyingParty) -> None:
    assert a.browser().authorize(client, redirect_uri="https://only-a.example/cb", verifier="v" * 43).status == 303
    assert client.post("/token", {"grant_type": "client_credentials"}).status == 200


OPERATOR = Granter(By("operator"))


def _role(a: Side, _b: Side) -> str:
    role = f"role-{secrets.token_hex(3)}"
    database, user = a.house.database(a.tenant), a.house.user_id(a.tenant)
    permissions = Roles(database)
    permissions.create_permission(f"{role}:use", "", by=OPERATOR.by)
    permissions.create(role, "", [f"{role}:use"], granter=OPERATOR)
    group = Groups(database).create(role, granter=OPERATOR)
    Groups(database).add(group.id, [user], granter=OPERATOR)
    Bindings(database).create(Wanted("group", group.id, role), granter=OPERATOR)
    return role


def _may_use(side: Side, role: str) -> bool:
    subject = Subject("user", side.house.user_id(side.tenant))
    with side.house.database(side.tenant).reading() as conn:
        return permitted(conn, subject, f"{role}:use", context=Context(now())).allowed


def _role_unknown(b: Side, role: str) -> None:
    assert not _may_use(b, role)
    assert b.count("SELECT count(*) FROM role_bindings WHERE role = ?", role) == 0
    assert b.count("SELECT count(*) FROM groups WHERE name = ?", role) == 0


def _role_known(a: Side, role: str) -> None:
    assert _may_use(a, role)


def _decides(side: Side, role: str, token: str) -> Answer:
    body = {"subject": {"type": "user", "id": side.house.user_id(side.tenant)}, "action": {"name": "use"}}
    body["resource"] = {"type": role, "id": "1"}
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    url = f"{side.tenant.base_path}/access/v1/evaluation"
    return side.house.send("POST", url, body=json.dumps(body).encode(), headers=headers, host=side.tenant.host)


def _point(a: Side, b: Side) -> tuple[str, str]:
    """A role that somebody holds at A, and a token of A's that may ask about it."""
    client = a.house.client(a.tenant, f"pep-{secrets.token_hex(3)}", scope="policy:check")
    Bindings(a.house.database(a.tenant)).create(Wanted("client", client.client_id, "tenant-admin"), granter=OPERATOR)
    return _role(a, b), client.post("/token", {"grant_type": "client_credentials"}).json["access_token"]


def _point_refused(b: Side, made: tuple[str, str]) -> None:
    assert _decides(b, *made).status == 401


def _point_works(a: Side, made: tuple[str, str]) -> None:
    assert _decides(a, *made).json["decision"] is True


def _event(a: Side, _b: Side) -> str:
    return str(decoded(a.tokens()["access_token"])[1]["grant_id"])


def _event_unknown(b: Side, grant_id: str) -> None:
    assert b.count("SELECT count(*) FROM audit_events WHERE grant_id = ?", grant_id) == 0


def _event_known(a: Side, grant_id: str) -> None:
    kinds = {
        row["kind"] for row in rows(a.tenant.database_url, "SELECT kind FROM audit_events WHERE grant_id = ?", grant_id)
    }
    assert {"authorization.granted", "token.issued"} <= kinds


def _verifier(a: Side, _b: Side) -> tuple[Grant, str]:
    grant = a.grant()
    return grant, grant.verifier


def _verifier_refused(b: Side, made: tuple[Grant, str]) -> None:
    own = b.grant()
    answer = b.rp.redeem({"code": own.code, "verifier": made[1]})
    assert (answer.status, error_of(answer)) == (400, "invalid_grant")


def _verifier_works(a: Side, made: tuple[Grant, str]) -> None:
    assert a.rp.redeem(made[0], redirect_uri=CALLBACK).status == 200


ARTEFACTS = (
    Artefact("code", lambda a, _: a.grant(), _code_refused, _code_works, ("authorization_codes",), ("authorize", "authorization_code", "token")),
    Artefact("code verifier", _verifier, _verifier_refused, _verifier_works, (), ("pkce",)),
    Artefact("access token", lambda a, _: a.tokens()["access_token"], _access_token_refused, _access_token_works, (), ("userinfo", "introspection", "revocation")),
    Artefact("refresh token", lambda a, _: a.tokens()["refresh_token"], _refresh_token_refused, _refresh_token_works, ("refresh_tokens",), ("refresh_token",)),
    Artefact("ID token as hint", _id_token, _hint_refused, _hint_works, (), ("authentication_request",)),
    Artefact("ID token as logout hint", _id_token, _logout_hint_refused, _logout_hint_works, (), ("rp_initiated_logout",)),
    Artefact("client secret", lambda a, _: basic("rp", a.rp.secret or ""), _secret_refused, _secret_works, ("clients",), ("client_credentials",)),
    Artefact("client assertion", lambda a, _: asserted(a.signed, a.key), _assertion_refused, _assertion_works, ("replays",), ("token",)),
    Artefact("request object", jose.request_object, jose.request_object_refused, jose.request_object_works, (), ("request_object",)),
    Artefact("token to be exchanged", jose.exchanged, jose.exchanged_refused, jose.exchanged_works, (), ("token_exchange",)),
    Artefact("hint encrypted to a tenant", jose.encrypted_hint, jose.encrypted_hint_refused, jose.encrypted_hint_works, ("signing_keys",), ("request_object",)),
    Artefact("subject in a claims request", oidc.subject, oidc.subject_refused, oidc.subject_works, ("users",), ("claims_parameter",)),
    Artefact("application to start", oidc.application, oidc.application_refused, oidc.application_works, ("clients",), ("third_party_initiated_login",)),
    Artefact("spent jti", _spent_jti, _spent_jti_unknown, _spent_jti_known, ("replays",)),
    Artefact("revoked jti", _revoked_jti, _revoked_jti_unknown, _revoked_jti_known, ("revoked_tokens",), ("revocation",)),
    Artefact("signing key and kid", _signed_by_a, _key_refused, _key_works, ("signing_keys",), ("discovery",)),
    Artefact("grant id", _grant_id, _grant_refused, _grant_works, ("grants",)),
    Artefact("session cookie", lambda a, _: a.signed_in().cookies[a.cookie("s")], _session_refused, _session_works, ("sessions",), ("pages",)),
    Artefact("accounts beside the current one", branding.account, branding.account_refused, branding.account_works, ("sessions",), ("pages",)),
    Artefact("remembered address", branding.remembered, branding.remembered_refused, branding.remembered_works, (), ("pages",)),
    Artefact("picture of the brand", branding.picture, branding.picture_refused, branding.picture_works, ("assets",), ("pages",)),
    Artefact("applications of a session", leaving.applications, leaving.applications_refused, leaving.applications_work, ("session_clients",), ("frontchannel_logout",)),
    Artefact("message of the outbox", leaving.message, leaving.message_refused, leaving.message_works, ("outbox",), ("backchannel_logout",)),
    Artefact("sign-up with its code", people.sign_up, people.sign_up_refused, people.sign_up_works, ("signups",), ("pages",)),
    Artefact("accepted terms", people.acceptance, people.acceptance_unknown, people.acceptance_known, ("terms", "terms_acceptances"), ("pages",)),
    Artefact("state that an application watches", leaving.state, leaving.state_refused, leaving.state_works, ("sessions",), ("session_management",)),
    Artefact("browser cookie and interaction", _interaction, _interaction_refused, _interaction_works, ("interactions",), ("pages",)),
    Artefact("auth_session of a program", by_program.auth_session, by_program.refused, by_program.works, ("interactions",), ("authorization_challenge",)),
    Artefact("form token", _form_token, _form_token_refused, _form_token_works, ("interactions",), ("pages",)),
    Artefact("link that changes an e-mail address", account.link, account.link_refused, account.link_works, ("one_time_links",), ("account",)),
    Artefact("consent", _consent, _consent_unknown, _consent_known, ("consents",), ("pages",)),
    Artefact("password of the same e-mail", lambda _a, _b: PASSWORDS["acme"], _password_refused, _password_works, ("users",)),
    Artefact("user of one tenant", _only_user, _only_user_refused, _only_user_works, ("users",)),
    Artefact("lock of an account", _locked, _lock_unknown, _lock_known, ("attempts",)),
    Artefact("client of one tenant, its redirect URI", _client_of_one, _client_refused, _client_works, ("clients",), ("authorize",)),
    Artefact("role", _role, _role_unknown, _role_known, ("role_bindings", "roles", "role_permissions", "permissions", "groups", "group_members")),
    Artefact("decision about a role", _point, _point_refused, _point_works, (), ("access_evaluation",)),
    Artefact("links in mails", mailed.tokens, mailed.tokens_refused, mailed.tokens_work, ("one_time_links",), ("pages",)),
    Artefact("initial access token", joining.initial_token, joining.initial_token_refused, joining.initial_token_works, ("initial_access_tokens",), ("registration",)),
    Artefact("registration access token", joining.registration, joining.registration_refused, joining.registration_works, ("clients",), ("registration",)),
    Artefact("audit event", _event, _event_unknown, _event_known, ("audit_events",)),
)  # fmt: skip

# Tables whose rows nobody ever presents; each with the reason.
NOT_PRESENTED = {
    "webhooks": "addresses that are told of events; tests/api/test_guard.py sends each tenant's id to the other",
    "webhook_deliveries": "messages to those addresses; the same test sends their ids",
    "mail_templates": "how a tenant words its mails; operators write it by `idp mail set`",
    "password_history": "hashes of former passwords, compared with by the one who chooses a new one",
    "access_scopes": "which permissions a scope stands for; nobody presents one",
    "texts": "what a tenant's pages say; nobody presents one",
    "outbox_attempts": "the ledger of the outbox, read by operators by `idp outbox show`",
    "audit_checkpoints": "signed with the tenant's key over the tenant's id; tests/audit moves one to another tenant",
    "idempotency_keys": "names for requests, each under a digest of its caller; tests/api sends one to another tenant",
    "refusals": "read by `idp explain` of operators, who see every tenant; drained by tenant (tests/jobs)",
    "tenant_state": "positions of spool files, known to jobs only, and the schema of profiles",
}
