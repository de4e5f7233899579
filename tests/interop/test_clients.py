"""openid-client, oauth4webapi and Authlib's client against the served product, a feature a test: the matrix of docs/interop.md."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from clients import Refused, client
from house import decoded
from matrix import CANNOT, showed
from world import RP, SCOPE, World, furnish, new_key, publish_successors

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
NAMES = ("openid-client", "oauth4webapi", "authlib")


def able(feature: str) -> pytest.MarkDecorator:
    """Run a test for each client that has the feature."""
    return pytest.mark.parametrize("name", [name for name in NAMES if (name, feature) not in CANNOT])


@contextmanager
def started(name: str, world: World, kind: str = "basic", **more: Any) -> Iterator[Any]:
    """A client that has read the discovery document."""
    made = client(name, world.running.authority.file)
    try:
        made.metadata = made.discover(**{**world.given[kind], **more})
        yield made
    finally:
        made.close()


def sign_in(rp: Any, world: World, **parameters: str) -> dict[str, Any]:
    """Sign Ada in: the client begins, she signs in and consents, the client finishes."""
    return dict(rp.finish(**answer_of(rp, world, **parameters)))


def answer_of(rp: Any, world: World, **parameters: str) -> dict[str, Any]:
    """The authorization response that the person brings back."""
    stop = world.person().open(rp.begin(**{"scope": SCOPE, **parameters}), stop_at=RP)
    assert stop.url.startswith(f"{RP}/cb"), stop.text[:2000]
    return {"url": stop.url, **({"form": stop.form} if stop.form is not None else {})}


@able("discovery")
def test_discovery(name: str, tls: World) -> None:
    """OpenID Connect Discovery §4.3, RFC 8414 §3.3: the client reads the document and finds itself at the right issuer."""
    with started(name, tls) as rp:
        assert rp.metadata["issuer"] == tls.tenant.issuer
        assert rp.metadata["code_challenge_methods_supported"] == ["S256"]
    if name == "oauth4webapi":
        with started(name, tls, algorithm="oauth2") as rp:  # RFC 8414 §3.1: well-known before the issuer's path
            assert rp.metadata["issuer"] == tls.tenant.issuer
    showed(name, "discovery")


@able("code")
def test_code_with_pkce(name: str, tls: World) -> None:
    """RFC 6749 §4.1, RFC 7636 §4.6: a person signs in and consents, the client redeems the code with its verifier."""
    with started(name, tls) as rp:
        tokens = sign_in(rp, tls)
        assert tokens["token_type"].lower() == "bearer"
        assert tokens["refresh_token"]
    showed(name, "code")


@able("code_http")
def test_code_over_plain_http(name: str, plain: World) -> None:
    """RFC 8252 §8.3: the same on loopback without TLS, as on a developer's machine."""
    with started(name, plain) as rp:
        assert sign_in(rp, plain)["claims"]["iss"] == plain.tenant.issuer
    showed(name, "code_http")


@able("id_token")
def test_id_token(name: str, tls: World) -> None:
    """OIDC Core §3.1.3.7: the client accepts signature, iss, aud, exp and nonce; an answer to another request's nonce it refuses."""
    with started(name, tls) as rp:
        claims = sign_in(rp, tls)["claims"]
        assert claims["aud"] in ("basic", ["basic"])
        assert {"sub", "nonce", "auth_time", "at_hash", "exp", "iat"} <= claims.keys()
        tampered = re.sub(r"nonce=[^&]*", "nonce=of-another-request", rp.begin(scope=SCOPE))
        answer = tls.person().open(tampered, stop_at=RP).url
        with pytest.raises(Refused):
            rp.finish(url=answer)
    showed(name, "id_token")


@able("rotation")
def test_key_rotation(name: str, tls: World) -> None:
    """OIDC Core §10.1.1: keys are rotated between two sign-ins of one client that has cached the old key set."""
    world = furnish(tls.running, f"rotating-{name}")
    publish_successors(tls.running, world.tenant)
    with started(name, world) as rp:
        first = decoded(sign_in(rp, world)["id_token"])[0]["kid"]
        assert world.running.idp("keys", "rotate", world.tenant.slug, "--now")
        until = time.monotonic() + 10
        while decoded(sign_in(rp, world)["id_token"])[0]["kid"] == first:
            assert time.monotonic() < until, "the workers do not learn of the new key"
    showed(name, "rotation")


@able("iss")
def test_issuer_in_the_answer(name: str, tls: World) -> None:
    """RFC 9207 §2.4: the answer names its issuer; the client refuses one that names another, or none."""
    with started(name, tls) as rp:
        assert rp.metadata["authorization_response_iss_parameter_supported"] is True
        good = answer_of(rp, tls)["url"]
        assert "&iss=" in good
        for bad in (good.partition("&iss=")[0], good.replace("&iss=https", "&iss=https%3A%2F%2Fevil.example%2F%3F")):
            with pytest.raises(Refused):
                rp.finish(url=bad)
        assert rp.finish(url=good)["claims"]["iss"] == tls.tenant.issuer
    showed(name, "iss")


@able("userinfo")
def test_userinfo(name: str, tls: World) -> None:
    """OIDC Core §5.3.2: claims of the granted scopes, about the subject of the ID token."""
    with started(name, tls) as rp:
        tokens = sign_in(rp, tls)
        found = rp.userinfo(access_token=tokens["access_token"], sub=tokens["claims"]["sub"])
        assert (found["email"], found["name"]) == ("ada@example.com", "Ada Lovelace")
        assert "phone_number" not in found
    showed(name, "userinfo")


@able("refresh")
def test_refresh(name: str, tls: World) -> None:
    """RFC 6749 §6, OIDC Core §12.2: new tokens, a new refresh token, an ID token about the same sign-in."""
    with started(name, tls) as rp:
        tokens = sign_in(rp, tls)
        first = rp.refresh(refresh_token=tokens["refresh_token"])
        second = rp.refresh(refresh_token=first["refresh_token"])
        assert len({each["refresh_token"] for each in (tokens, first, second)}) == 3
        assert decoded(second["id_token"])[1]["auth_time"] == tokens["claims"]["auth_time"]
        assert rp.userinfo(access_token=second["access_token"], sub=tokens["claims"]["sub"])["name"] == "Ada Lovelace"
    showed(name, "refresh")


@able("grace")
def test_refresh_token_sent_twice_at_once(name: str, tls: World) -> None:
    """RFC 9700 §4.14.2: within the grace the same refresh token gets the same successor, so that a lost answer loses no session."""
    with started(name, tls) as rp:
        token = sign_in(rp, tls)["refresh_token"]
        first, again = rp.refresh(refresh_token=token), rp.refresh(refresh_token=token)
        assert first["refresh_token"] == again["refresh_token"]
        assert rp.refresh(refresh_token=again["refresh_token"])["access_token"]
    showed(name, "grace")


@able("reuse")
def test_refresh_token_reused(name: str, tls: World) -> None:
    """RFC 9700 §4.14.2: after the grace a reuse is refused and ends the family; the client reports ``invalid_grant``."""
    with started(name, tls) as rp:
        token = sign_in(rp, tls)["refresh_token"]
        newest = rp.refresh(refresh_token=token)["refresh_token"]
        tls.running.sql(tls.tenant, "UPDATE refresh_tokens SET used_at = used_at - 60 WHERE used_at IS NOT NULL")
        for each in (token, newest):
            with pytest.raises(Refused) as refusal:
                rp.refresh(refresh_token=each)
            assert refusal.value.error == "invalid_grant"
    showed(name, "reuse")


@able("introspection")
def test_introspection(name: str, tls: World) -> None:
    """RFC 7662 §2.2: an access token and a refresh token of the client's own are active, and say of whom; rubbish is not."""
    with started(name, tls) as rp:
        tokens = sign_in(rp, tls)
        found = rp.introspect(token=tokens["access_token"])
        assert (found["active"], found["sub"], found["client_id"], found["username"]) == (
            True,
            tokens["claims"]["sub"],
            "basic",
            "ada@example.com",
        )
        assert rp.introspect(token=tokens["refresh_token"])["active"] is True
        assert rp.introspect(token="rubbish") == {"active": False}
    showed(name, "introspection")


@able("revocation")
def test_revocation(name: str, tls: World) -> None:
    """RFC 7009 §2.1: a revoked refresh token takes its family and its access token along; revoking it again is fine."""
    with started(name, tls) as rp:
        tokens = sign_in(rp, tls)
        rp.revoke(token=tokens["refresh_token"])
        rp.revoke(token=tokens["refresh_token"])
        assert rp.introspect(token=tokens["access_token"]) == {"active": False}
        with pytest.raises(Refused) as refusal:
            rp.refresh(refresh_token=tokens["refresh_token"])
        assert refusal.value.error == "invalid_grant"
    showed(name, "revocation")


@pytest.mark.parametrize("kind", ["basic", "post", "private_key_jwt", "private_key_jwt_oidc"])
@pytest.mark.parametrize("name", NAMES)
def test_client_authentication(name: str, kind: str, tls: World) -> None:
    """OIDC Core §9, RFC 7523 §2.2: each method at the token, introspection and revocation endpoint; a wrong credential nowhere."""
    if (name, kind) in CANNOT:
        with started(name, tls, kind) as rp, pytest.raises(Refused) as refusal:
            rp.client_credentials(scope="api")
        assert refusal.value.error == "invalid_client"  # the profile asks for the issuer as audience (RFC 7523bis)
        return
    with started(name, tls, kind) as rp:
        tokens = sign_in(rp, tls)
        assert rp.refresh(refresh_token=tokens["refresh_token"])["access_token"]
        assert rp.introspect(token=tokens["access_token"])["active"] is True
        rp.revoke(token=tokens["access_token"])
    wrong = {"secret": "wrong"} if kind in ("basic", "post") else {"key": new_key()[0]}
    with started(name, tls, kind, **wrong) as rp, pytest.raises(Refused) as refusal:
        rp.client_credentials(scope="api")
    # The Node libraries report a 401 as what RFC 9110 §11.6.1 calls it, a challenge.
    assert refusal.value.error == "invalid_client" or refusal.value.code == "OAUTH_WWW_AUTHENTICATE_CHALLENGE"
    showed(name, kind)


@able("public")
def test_public_client(name: str, tls: World) -> None:
    """RFC 9700 §2.1.1, RFC 8252 §8.1: a public client proves itself by PKCE alone, and refreshes with rotation."""
    with started(name, tls, "public") as rp:
        tokens = sign_in(rp, tls)
        assert rp.refresh(refresh_token=tokens["refresh_token"])["refresh_token"] != tokens["refresh_token"]
    showed(name, "public")


@able("client_credentials")
def test_client_credentials(name: str, tls: World) -> None:
    """RFC 6749 §4.4: a program gets a token for itself, without a refresh token."""
    with started(name, tls) as rp:
        tokens = rp.client_credentials(scope="api")
        assert (tokens["scope"], "refresh_token" in tokens) == ("api", False)
        assert rp.introspect(token=tokens["access_token"])["sub"] == "basic"
    showed(name, "client_credentials")


@able("token_exchange")
def test_token_exchange(name: str, tls: World) -> None:
    """RFC 8693 §2.1, §2.2: a token for somebody else and with less scope, which says who acts; what is too much is refused."""
    kind = "urn:ietf:params:oauth:token-type:access_token"
    with started(name, tls, "exchange") as rp:
        given = {"subject_token": sign_in(rp, tls, scope=f"{SCOPE} api")["access_token"], "subject_token_type": kind}
        tokens = rp.exchange(**given, resource="https://api.example", scope="api")
        assert (tokens["issued_token_type"], tokens["scope"]) == (kind, "api")
        assert "refresh_token" not in tokens
        found = rp.introspect(token=tokens["access_token"])
        assert (found["aud"], found["act"]["sub"]) == ("https://api.example", "exchange")
        with pytest.raises(Refused) as refusal:
            rp.exchange(**given, resource="https://other.example")
        assert refusal.value.error == "invalid_target"
    showed(name, "token_exchange")


@able("form_post")
def test_form_post(name: str, tls: World) -> None:
    """OAuth 2.0 Form Post Response Mode §2: code, state and iss arrive in the body of a POST."""
    with started(name, tls) as rp:
        answer = answer_of(rp, tls, response_mode="form_post")
        assert answer["url"] == f"{RP}/cb"
        assert {"code", "state", "iss"} <= answer["form"].keys()
        assert rp.finish(**answer)["claims"]["sub"]
    showed(name, "form_post")


@able("jwt_access_token")
def test_access_token_at_a_resource(name: str, tls: World) -> None:
    """RFC 9068 §4: a resource checks typ, signature, iss, aud and exp by the published keys; another audience is refused."""
    with started(name, tls) as rp:
        token = sign_in(rp, tls)["access_token"]
        found = rp.resource(access_token=token, audience=tls.tenant.issuer)
        assert (found["client_id"], found["iss"]) == ("basic", tls.tenant.issuer)
        with pytest.raises(Refused):
            rp.resource(access_token=token, audience="https://api.example")
    showed(name, "jwt_access_token")


@able("denied")
def test_denied(name: str, tls: World) -> None:
    """RFC 6749 §4.1.2.1: who does not consent sends the client ``access_denied``, which it passes on."""
    with started(name, tls) as rp:
        person = tls.person()
        del person.answers["consent-approve"]
        person.answers["consent-deny"] = {}
        stop = person.open(rp.begin(scope=SCOPE, prompt="consent"), stop_at=RP)
        with pytest.raises(Refused) as refusal:
            rp.finish(url=stop.url)
        assert refusal.value.error == "access_denied"
    showed(name, "denied")


@able("logout")
def test_logout(name: str, tls: World) -> None:
    """OpenID Connect RP-Initiated Logout §2, §3: with the hint nobody is asked, the session is over, the state comes back."""
    with started(name, tls) as rp:
        person = tls.person()
        tokens = rp.finish(url=person.open(rp.begin(scope="openid"), stop_at=RP).url)
        person.seen.clear()
        stop = person.open(
            rp.logout(id_token=tokens["id_token"], post_logout_redirect_uri=f"{RP}/bye", state="a state"), stop_at=RP
        )
        assert (stop.url, person.seen) == (f"{RP}/bye?state=a+state", [])
        assert "error=login_required" in person.open(rp.begin(scope="openid", prompt="none"), stop_at=RP).url
    showed(name, "logout")
