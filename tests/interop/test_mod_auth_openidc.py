"""Apache's mod_auth_openidc against the served product: as a relying party for people, and as a resource server for programs."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import apache
import pytest
import requests
from apache import Apache
from house import basic, decoded
from matrix import showed
from world import publish_successors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from person import Person, Stop
    from world import World

pytestmark = pytest.mark.slow
NAME = "mod_auth_openidc"


@pytest.fixture(scope="session")
def httpd(tls: World) -> Iterator[Apache]:
    """Apache in front of an application, at a tenant of its own."""
    tenant = tls.running.tenant("apache", allowed_client_profiles="strict,oidc")
    with apache.started(tls.running, tenant) as made:
        yield made


@pytest.fixture
def person(tls: World) -> Person:
    return tls.person()


def sign_in(httpd: Apache, person: Person, kind: str = "basic") -> dict[str, Any]:
    """Open the application, sign in and consent on the way; returns the headers the application was sent."""
    person.seen.clear()
    stop = person.open(f"{httpd.at[kind]}/page")
    assert stop.url == f"{httpd.at[kind]}/page", (stop, httpd.errors)
    assert stop.status == 200, (stop.text, httpd.errors)
    return dict(json.loads(stop.text))


def session_of(httpd: Apache, person: Person, kind: str = "basic") -> dict[str, Any]:
    """What the module says of the session (its info hook)."""
    return dict(json.loads(person.open(f"{httpd.at[kind]}/callback?info=json").text))


def refresh(httpd: Apache, person: Person, token: str) -> Stop:
    back = quote(f"{httpd.at['basic']}/page", safe="")
    return person.open(f"{httpd.at['basic']}/callback?refresh={back}&access_token={token}")


def show(httpd: Apache, feature: str) -> None:
    showed(NAME, feature, client_version=httpd.version)


def test_sign_in(httpd: Apache, person: Person) -> None:
    """OIDC Core §3.1, RFC 7636 §4: discovery, code with PKCE, a validated ID token and userinfo, before the application is reached."""
    headers = sign_in(httpd, person)
    assert person.seen == ["login-submit", "consent-approve"]
    assert (headers["oidc_claim_iss"], headers["oidc_claim_aud"]) == (httpd.tenant.issuer, "basic")
    assert (headers["oidc_claim_email"], headers["oidc_claim_name"]) == ("ada@example.com", "Ada Lovelace")
    found = session_of(httpd, person)
    assert found["userinfo"]["sub"] == found["id_token"]["sub"] == headers["oidc_claim_sub"]
    assert {"nonce", "at_hash", "auth_time"} <= found["id_token"].keys()
    for feature in ("discovery", "code", "id_token", "userinfo", "basic"):
        show(httpd, feature)


def test_sign_in_over_plain_http(plain: World) -> None:
    """RFC 8252 §8.3: the same on loopback without TLS."""
    with apache.started(plain.running, plain.running.tenant("apache", allowed_client_profiles="strict,oidc")) as httpd:
        assert sign_in(httpd, plain.person())["oidc_claim_iss"] == httpd.tenant.issuer
        show(httpd, "code_http")


def test_issuer_in_the_answer(httpd: Apache, person: Person) -> None:
    """RFC 9207 §2.4: an answer that names another issuer is refused; the true one is accepted."""
    callback = f"{httpd.at['basic']}/callback"
    good = person.open(f"{httpd.at['basic']}/page", stop_at=callback).url
    mixed_up = person.open(good.replace("&iss=https", "&iss=https%3A%2F%2Fevil.example%2F%3F"))
    assert mixed_up.url.startswith(callback)
    assert "Error in handling response type" in mixed_up.text
    assert sign_in(httpd, person)["oidc_claim_sub"]
    show(httpd, "iss")


@pytest.mark.parametrize(
    ("kind", "features"), [("post", ("post", "form_post")), ("jwt", ("private_key_jwt_oidc",)), ("public", ("public",))]
)
def test_other_ways(httpd: Apache, person: Person, kind: str, features: tuple[str, ...]) -> None:
    """OIDC Core §9, OAuth 2.0 Form Post Response Mode §2: client_secret_post with form_post, private_key_jwt, none."""
    assert sign_in(httpd, person, kind)["oidc_claim_aud"] == kind
    assert ("form-post-submit" in person.seen) == (kind == "post")
    for feature in features:
        show(httpd, feature)


def test_refresh(httpd: Apache, person: Person) -> None:
    """RFC 6749 §6: the module asks for a new access token when the application wants one, and keeps the new refresh token."""
    sign_in(httpd, person)
    before = session_of(httpd, person)
    for _ in range(2):
        assert refresh(httpd, person, session_of(httpd, person)["access_token"]).url == f"{httpd.at['basic']}/page"
    after = session_of(httpd, person)
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"] != before["refresh_token"]
    show(httpd, "refresh")


def test_refreshed_by_many_requests_at_once(httpd: Apache, person: Person) -> None:
    """RFC 9700 §4.14.2: a page loads eight things at once, and the module refreshes for each; all succeed and the family lives on."""
    sign_in(httpd, person)
    tokens = {session_of(httpd, person)["refresh_token"]}
    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            stops = list(pool.map(lambda n: person.copy().open(f"{httpd.at['basic']}/fresh?{n}"), range(8)))
        assert [stop.status for stop in stops] == [200] * 8, httpd.errors
        assert "invalid_grant" not in httpd.errors
        tokens.add(session_of(httpd, person)["refresh_token"])
    assert len(tokens) == 4
    # Of several that it saved last, the module may keep one whose successor is used already; the family lives all the same.
    assert _as_client(httpd, "/introspect", {"token": session_of(httpd, person)["access_token"]})["active"] is True
    assert person.open(f"{httpd.at['basic']}/fresh").status == 200
    assert "invalid_grant" not in httpd.errors
    show(httpd, "grace")


def test_refresh_token_reused(httpd: Apache, person: Person, tls: World) -> None:
    """RFC 9700 §4.14.2: somebody else has used the refresh token before; the module's use ends the family, and it says so."""
    sign_in(httpd, person)
    found = session_of(httpd, person)
    stolen = {"grant_type": "refresh_token", "refresh_token": found["refresh_token"]}
    thief = _as_client(httpd, "/token", stolen)
    tls.running.sql(httpd.tenant, "UPDATE refresh_tokens SET used_at = used_at - 60 WHERE used_at IS NOT NULL")
    assert "error_code=refresh_failed" in refresh(httpd, person, found["access_token"]).url
    assert _as_client(httpd, "/introspect", {"token": thief["access_token"]}) == {"active": False}
    show(httpd, "reuse")


def test_key_rotation(httpd: Apache, tls: World) -> None:
    """OIDC Core §10.1.1: keys are rotated between two sign-ins, while the module has the old key set in its cache."""
    publish_successors(tls.running, httpd.tenant)
    signed_in = tls.person()
    sign_in(httpd, signed_in)
    kid = decoded(_raw_id_token(httpd, signed_in))[0]["kid"]
    tls.running.idp("keys", "rotate", httpd.tenant.slug, "--now")
    until = time.monotonic() + 10
    while True:
        again = tls.person()
        sign_in(httpd, again)
        if decoded(_raw_id_token(httpd, again))[0]["kid"] != kid:
            break
        assert time.monotonic() < until, "the workers do not learn of the new key"
    show(httpd, "rotation")


def test_denied(httpd: Apache, person: Person, tls: World) -> None:
    """RFC 6749 §4.1.2.1: who does not consent does not reach the application; Apache shows a page of its own."""
    tls.running.house.user(httpd.tenant, "bob@example.com")
    person.answers["login-submit"]["username"] = "bob@example.com"
    del person.answers["consent-approve"]
    person.answers["consent-deny"] = {}
    stop = person.open(f"{httpd.at['public']}/page")
    assert stop.url.startswith(f"{httpd.at['public']}/callback"), stop
    assert "error=access_denied" in stop.url
    assert "oidc_claim_sub" not in stop.text
    show(httpd, "denied")


def test_logout_and_revocation(httpd: Apache, person: Person) -> None:
    """OpenID Connect RP-Initiated Logout §2, RFC 7009 §2.1: logging out ends the session here and there, and revokes the tokens."""
    sign_in(httpd, person)
    found = session_of(httpd, person)
    assert _as_client(httpd, "/introspect", {"token": found["access_token"]})["active"] is True
    person.seen.clear()
    stop = person.open(f"{httpd.at['basic']}/callback?logout={quote(httpd.at['basic'] + '/bye', safe='')}")
    assert stop.url.partition("?")[0] == f"{httpd.at['basic']}/bye", stop
    assert person.seen == []
    for token in (found["access_token"], found["refresh_token"]):
        assert _as_client(httpd, "/introspect", {"token": token}) == {"active": False}
    sign_in(httpd, person)
    assert person.seen == ["login-submit"]  # the session is gone, the consent is remembered
    show(httpd, "revocation")
    show(httpd, "logout")


def test_resource_server(httpd: Apache, person: Person) -> None:
    """RFC 7662 §2.2, RFC 9068 §4: Apache guards an API by introspection, and by the signature of the access token."""
    sign_in(httpd, person)
    token = session_of(httpd, person)["access_token"]
    for kind, feature in (("introspecting", "introspection"), ("verifying", "jwt_access_token")):
        called = requests.get(f"{httpd.at[kind]}/api", headers={"authorization": f"Bearer {token}"}, timeout=30)
        assert called.status_code == 200, (called.text, httpd.errors)
        assert called.json()["oidc_claim_client_id"] == "basic"
        for wrong in ({"authorization": f"Bearer {token[:-4]}AAAA"}, {"authorization": "Bearer rubbish"}, {}):
            assert requests.get(f"{httpd.at[kind]}/api", headers=wrong, timeout=30).status_code == 401
        show(httpd, feature)


def _raw_id_token(httpd: Apache, person: Person) -> str:
    """The ID token as it was sent: the logout request carries it as its hint."""
    logout = f"{httpd.at['basic']}/callback?logout={quote(httpd.at['basic'] + '/bye', safe='')}"
    stop = person.open(logout, stop_at=f"{httpd.tenant.issuer}/logout")
    return stop.url.partition("id_token_hint=")[2].partition("&")[0]


def _as_client(httpd: Apache, path: str, form: dict[str, str]) -> dict[str, Any]:
    answer = requests.post(
        httpd.tenant.issuer + path,
        data=form,
        headers=basic("basic", httpd.secrets["basic"]),
        verify=str(httpd.running.authority.file),
        timeout=30,
    )
    return dict(answer.json())
