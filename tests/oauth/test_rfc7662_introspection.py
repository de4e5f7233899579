"""Token introspection (RFC 7662): a confidential client asks about its own tokens; of others it learns nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cast import asserted, discovery, without
from house import PASSWORD, decoded
from refusals import harmless, refused
from sqlalchemy import update

from idp.clock import now, shifted
from idp.store.tenant.clients import clients
from idp.store.tenant.users import users

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant

DEAD = {"active": False}


def test_advertised(cast: Cast) -> None:
    """RFC 8414 §2: the endpoint and how clients authenticate there; not as public clients."""
    found = discovery(cast.house, cast.acme)
    assert found["introspection_endpoint"] == f"{cast.acme.issuer}/introspect"
    assert found["introspection_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ]


def test_absent_when_disabled(house: House, acme: Tenant, rp: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8414 §2: without its row there is neither endpoint nor advertisement."""
    without(monkeypatch, house, "introspection")
    assert not [name for name in discovery(house, acme) if name.startswith("introspection")]
    assert rp.post("/introspect", {"token": "x"}).status == 404


@pytest.mark.parametrize("kind", ["basic", "post", "signed"])
def test_an_access_token(any_cast: Cast, kind: str) -> None:
    """RFC 7662 §2.2: what the token is, as its own claims say; never cached."""
    client = getattr(any_cast, kind)
    tokens = any_cast.tokens(client, scope="openid email")
    extra = asserted(client, any_cast.key) if kind == "signed" else {}
    answer = client.post("/introspect", {"token": tokens["access_token"], **extra})
    claims = decoded(tokens["access_token"])[1]
    assert answer.status == 200
    assert answer.header("cache-control") == "no-store"
    assert answer.json == {
        "active": True,
        "token_type": "Bearer",
        "username": "ada@example.com",
        **{
            name: claims[name]
            for name in ("iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "auth_time", "acr", "amr")
        },
    }
    assert answer.json["scope"] == "openid email"


def test_a_refresh_token(any_cast: Cast) -> None:
    """RFC 7662 §2.2: a refresh token is described too, and has no token_type of an access token."""
    tokens = any_cast.tokens(any_cast.basic, scope="openid offline_access")
    found = any_cast.basic.introspect(tokens["refresh_token"])
    assert set(found) == {"active", "iss", "sub", "client_id", "scope", "username", "iat", "exp"}
    assert (found["active"], found["client_id"], found["scope"]) == (True, "basic", "openid offline_access")
    assert found["sub"] == decoded(tokens["access_token"])[1]["sub"]
    assert found["exp"] > now() + 86400


def test_a_clients_own_token(cast: Cast) -> None:
    """RFC 7662 §2.2: a client's token for itself is about no person."""
    token = cast.basic.post("/token", {"grant_type": "client_credentials"}).json["access_token"]
    found = cast.basic.introspect(token)
    assert found["active"] is True
    assert found["sub"] == "basic"
    assert not {"username", "auth_time", "acr", "amr"} & found.keys()


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nobody-knows", ""])
def test_s044_a_wrong_hint_changes_nothing(cast: Cast, hint: str) -> None:
    """RFC 7662 §2.1, S044: the server looks at all kinds, whatever the hint."""
    tokens = cast.tokens(cast.basic)
    for kind in ("access_token", "refresh_token"):
        assert cast.basic.introspect(tokens[kind], token_type_hint=hint)["active"] is True


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_s044_the_token_of_another_client(any_cast: Cast, kind: str) -> None:
    """RFC 7662 §4, S044: the very answer of a token that never was."""
    token = any_cast.tokens(any_cast.basic)[kind]
    for other in (any_cast.post, any_cast.lax, any_cast.foreign):
        answer = other.post("/introspect", {"token": token})
        nothing = other.post("/introspect", {"token": "rt_" + "x" * 43})
        assert (answer.status, answer.headers, answer.body) == (nothing.status, nothing.headers, nothing.body)
        assert answer.json == DEAD


def test_s044_who_asks_authenticates(cast: Cast) -> None:
    """RFC 7662 §2.1, S044: 401 without credentials, for a public client, and for a bearer token in their place."""
    token = cast.tokens(cast.basic)["access_token"]
    public = cast.tokens(cast.public)["access_token"]
    refused(cast.house, cast.public.post("/introspect", {"token": public}), 401, "invalid_client", withheld=[public])
    refused(cast.house, cast.house.post(cast.acme, "/introspect", {"token": token}), 401, "invalid_client")
    bearer = {"authorization": f"Bearer {token}"}
    refused(
        cast.house,
        cast.house.post(cast.acme, "/introspect", {"token": token}, headers=bearer),
        401,
        "invalid_client",
        withheld=[token],
    )
    for form in (
        {"token": token, "client_id": "basic"},
        {"token": token, "client_id": "basic", "client_secret": "wrong"},
    ):
        refused(cast.house, cast.house.post(cast.acme, "/introspect", form), 401, "invalid_client", withheld=[token])


@pytest.mark.parametrize("token", ["x", "a.b.c", "ü", "rt_", "ac_" + "A" * 43, "x" * 16000, "'; --", "{}", "null", "."])
def test_a_token_that_is_none(any_cast: Cast, token: str) -> None:
    """RFC 7662 §2.2: active false and nothing else."""
    answer = any_cast.basic.post("/introspect", {"token": token})
    harmless(answer)
    assert (answer.status, answer.json) == (200, DEAD)


def test_an_id_token_is_no_token_here(cast: Cast) -> None:
    """RFC 7662 §2.1, RFC 8725 §3.12, S035: access and refresh tokens only; neither an ID token nor a code."""
    grant = cast.grant(cast.basic)
    assert cast.basic.introspect(grant.code) == DEAD
    tokens = cast.basic.redeem(grant).json
    assert cast.basic.introspect(tokens["id_token"]) == DEAD


@pytest.mark.parametrize("form", [{}, {"token": ""}])
def test_the_token_is_required(cast: Cast, form: dict[str, str]) -> None:
    """RFC 7662 §2.1: invalid_request without the token."""
    refused(cast.house, cast.basic.post("/introspect", form), 400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post(cast: Cast, method: str) -> None:
    """RFC 7662 §2.1, §4: POST, so that no token stands in an address."""
    answer = cast.house.send(method, f"{cast.acme.base_path}/introspect?token=x", headers=cast.basic.auth)
    refused(cast.house, answer, 405, "method_not_allowed")


def test_expired(cast: Cast) -> None:
    """RFC 7662 §2.2: active says whether it has expired, to the second."""
    tokens = cast.tokens(cast.basic)
    exp = decoded(tokens["access_token"])[1]["exp"]
    with shifted(exp - now() - 3):
        assert cast.basic.introspect(tokens["access_token"])["active"] is True
    with shifted(exp - now()):
        assert cast.basic.introspect(tokens["access_token"]) == DEAD
        assert cast.basic.introspect(tokens["refresh_token"])["active"] is True


def test_s045_after_rotation(cast: Cast) -> None:
    """RFC 7662 §2.2, S045: a rotated refresh token is not active, its successor is."""
    first = cast.tokens(cast.basic)
    second = cast.basic.refresh(first["refresh_token"]).json
    assert cast.basic.introspect(first["refresh_token"]) == DEAD
    assert cast.basic.introspect(second["refresh_token"])["active"] is True


def test_s045_after_logout(any_cast: Cast) -> None:
    """RFC 7662 §2.2, S045: at once; a grant with offline_access lives on (Back-Channel Logout §2.7)."""
    browser = any_cast.browser()
    online = any_cast.basic.redeem(browser.sign_in(any_cast.basic)).json
    offline = any_cast.basic.redeem(browser.sign_in(any_cast.basic, scope="openid offline_access")).json
    browser.submit(browser.get(f"{any_cast.acme.base_path}/logout"), action="logout")
    for kind in ("access_token", "refresh_token"):
        assert any_cast.basic.introspect(online[kind]) == DEAD
        assert any_cast.basic.introspect(offline[kind])["active"] is True


def test_s045_user_disabled(any_cast: Cast) -> None:
    """RFC 7662 §2.2, S045: a disabled person's tokens are dead, offline ones too."""
    user_id = any_cast.house.user(any_cast.acme, "s045@example.com")
    grant = any_cast.browser().sign_in(any_cast.basic, username="s045@example.com", scope="openid offline_access")
    tokens = any_cast.basic.redeem(grant).json
    change = update(users).where(users.c.id == user_id)
    any_cast.house.database(any_cast.acme).writing(lambda conn: conn.execute(change.values(state="disabled")))
    _all_dead(any_cast.basic, tokens)


def test_s045_user_deleted(any_cast: Cast) -> None:
    """RFC 7662 §2.2, S045: nobody's tokens are dead."""
    from idp.store.tenant import users as store

    user_id = any_cast.house.user(any_cast.acme, "s045-gone@example.com")
    grant = any_cast.browser().sign_in(any_cast.basic, username="s045-gone@example.com")
    tokens = any_cast.basic.redeem(grant).json
    any_cast.house.database(any_cast.acme).writing(lambda conn: store.delete(conn, user_id))
    _all_dead(any_cast.basic, tokens)


def test_s045_password_changed(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """RFC 7662 §2.2, S045 (ASVS 7.4.3): a changed password ends sessions and tokens where the tenant says so, by default."""
    from idp.identity import accounts

    browser = house.browser(acme)
    tokens = rp.redeem(browser.sign_in(rp, scope="openid offline_access")).json
    accounts.set_password(
        house.database(acme),
        house.installation.services.hasher,
        acme,
        accounts.find_user(house.database(acme), "ada@example.com"),
        PASSWORD + " and more",
        by=accounts.By("operator"),
    )
    _all_dead(rp, tokens)
    assert browser.authorize(rp, verifier="v" * 43, prompt="none").params["error"] == "login_required"


def test_s045_client_disabled(cast: Cast) -> None:
    """RFC 7662 §2.1, S045: a disabled client asks nothing; at once at the worker that disabled it."""
    client = cast.house.client(cast.acme, "s045")
    tokens = cast.tokens(client)
    with cast.house.installation.feed.announced(cast.acme.id, "client", "s045"):
        change = update(clients).where(clients.c.client_id == "s045")
        cast.house.database(cast.acme).writing(lambda conn: conn.execute(change.values(state="disabled")))
    refused(cast.house, client.post("/introspect", {"token": tokens["access_token"]}), 401, "invalid_client")
    assert client.userinfo(tokens["access_token"]).status == 401


def test_s045_tenant_suspended(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """RFC 7662 §2.1, S045: a suspended tenant answers nothing, and takes up where it was when it is active again."""
    tokens = rp.redeem(house.browser(acme).sign_in(rp)).json
    house.installation.provisioning.suspend(acme)
    assert rp.post("/introspect", {"token": tokens["access_token"]}).status == 404
    assert rp.userinfo(tokens["access_token"]).status == 404


def test_s045_consent_withdrawn(cast: Cast) -> None:
    """RFC 7662 §2.2, S045: the grants to that client are dead, those to another are not."""
    from idp.store.tenant import grants

    mine, other = cast.tokens(cast.basic), cast.tokens(cast.post)
    user_id = cast.house.user_id(cast.acme)
    cast.house.database(cast.acme).writing(
        lambda conn: grants.revoke_of_user(conn, user_id, "consent_withdrawn", client_id="basic")
    )
    _all_dead(cast.basic, mine)
    assert cast.post.introspect(other["access_token"])["active"] is True


def _all_dead(client: RelyingParty, tokens: dict[str, Any]) -> None:
    for kind in ("access_token", "refresh_token"):
        assert client.introspect(tokens[kind]) == DEAD
    assert client.userinfo(tokens["access_token"]).status == 401
