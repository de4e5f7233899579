"""Refresh tokens (RFC 6749 §6; RFC 9700 §4.14.2): rotation, reuse detection, the family, and the grace for a lost answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from cast import asserted, discovery, without
from house import decoded
from refusals import events, record_of, refused
from sqlalchemy import select, update

from idp.clock import shifted
from idp.store.tenant.clients import clients
from idp.store.tenant.refresh_tokens import refresh_tokens
from idp.store.tenant.users import users
from idp.tokens.refresh import GRACE

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant


def test_advertised(cast: Cast) -> None:
    """RFC 8414 §2: in grant_types_supported, and offline_access in scopes_supported."""
    found = discovery(cast.house, cast.acme)
    assert "refresh_token" in found["grant_types_supported"]
    assert "offline_access" in found["scopes_supported"]


def test_absent_when_disabled(house: House, acme: Tenant, rp: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6749 §5.2: without its row the grant is neither advertised nor supported."""
    token = rp.redeem(house.browser(acme).sign_in(rp)).json["refresh_token"]
    without(monkeypatch, house, "refresh_token")
    assert "refresh_token" not in discovery(house, acme)["grant_types_supported"]
    refused(house, rp.refresh(token), 400, "unsupported_grant_type")


@pytest.mark.parametrize("kind", ["basic", "public"])
def test_rotation(any_cast: Cast, kind: str) -> None:
    """RFC 9700 §4.14.2: each use gives a new refresh token; RFC 6749 §6: of the same scope."""
    client = getattr(any_cast, kind)
    first = any_cast.tokens(client, scope="openid email offline_access")
    second = client.refresh(first["refresh_token"])
    assert second.status == 200, second.text
    assert set(second.json) == {"access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token"}
    assert second.json["refresh_token"] != first["refresh_token"]
    assert second.json["access_token"] != first["access_token"]
    assert second.json["scope"] == first["scope"]
    assert second.header("cache-control") == "no-store"
    assert client.refresh(second.json["refresh_token"]).status == 200
    assert events(any_cast.house, any_cast.acme, "token.refreshed")[-1].client_id == kind


def test_a_refreshed_id_token(cast: Cast) -> None:
    """OpenID Connect Core §12.2: the same iss, sub, aud and auth_time, a new iat, and no nonce."""
    first = cast.tokens(cast.basic)
    with shifted(100):
        second = cast.basic.refresh(first["refresh_token"]).json
    before, after = decoded(first["id_token"])[1], decoded(second["id_token"])[1]
    assert all(before[name] == after[name] for name in ("iss", "sub", "aud", "auth_time", "sid", "acr", "amr"))
    assert after["iat"] >= before["iat"] + 100
    assert "nonce" not in after


def test_grace_gives_the_same_successor(any_cast: Cast) -> None:
    """RFC 9700 §4.14.2: a client that lost the answer asks again and gets the same successor, within ten seconds."""
    client = any_cast.basic
    first = any_cast.tokens(client)
    second = client.refresh(first["refresh_token"], scope="openid").json
    assert second["scope"] == "openid"
    for later, scope in ((0, "openid"), (GRACE - 1, ""), (GRACE - 1, "openid profile")):
        with shifted(later):
            answer = client.refresh(first["refresh_token"], **({"scope": scope} if scope else {}))
        assert answer.status == 200
        again = answer.json
        assert again.keys() == second.keys()
        # What was asked for the first time counts: no other scope is had by asking again.
        assert (again["refresh_token"], again["scope"]) == (second["refresh_token"], "openid")
        assert client.userinfo(again["access_token"]).json == client.userinfo(second["access_token"]).json
    assert client.refresh(second["refresh_token"]).status == 200, "the successor is alive"


def test_grace_is_for_the_same_client(cast: Cast) -> None:
    """RFC 9700 §4.14.2: within the grace too a token is its client's only, and trying changes nothing."""
    first = cast.tokens(cast.basic)
    second = cast.basic.refresh(first["refresh_token"]).json
    for thief in (cast.post, cast.public):
        refused(
            cast.house,
            thief.refresh(first["refresh_token"]),
            400,
            "invalid_grant",
            withheld=[second["access_token"], second["refresh_token"]],
        )
    assert cast.basic.introspect(second["refresh_token"])["active"] is True


def test_the_kept_answer_is_no_use_to_who_reads_the_database(cast: Cast) -> None:
    """RFC 9700 §4.14.2: what is kept for the grace is sealed under the token that was presented."""
    first = cast.tokens(cast.basic)
    second = cast.basic.refresh(first["refresh_token"]).json
    with cast.house.database(cast.acme).reading() as conn:
        rows = repr(conn.execute(select(refresh_tokens)).all())
    for secret in (first["refresh_token"], second["refresh_token"], second["access_token"]):
        assert secret not in rows


@pytest.mark.parametrize("seconds", [GRACE + 1, 3600])
def test_s048_reuse_after_the_grace_kills_the_family(any_cast: Cast, seconds: int) -> None:
    """RFC 9700 §4.14.2, S048: two parties hold the token, so nobody keeps anything that came of it."""
    client = any_cast.basic
    first = any_cast.tokens(client, scope="openid offline_access")
    second = client.refresh(first["refresh_token"]).json
    third = client.refresh(second["refresh_token"]).json
    with shifted(seconds):
        record = refused(
            any_cast.house,
            client.refresh(first["refresh_token"]),
            400,
            "invalid_grant",
            withheld=[third["refresh_token"]],
        )
        assert record["spec"] == "RFC 9700 §4.14.2"
        for token in (second["refresh_token"], third["refresh_token"]):
            refused(any_cast.house, client.refresh(token), 400, "invalid_grant")
    for token in (first["access_token"], third["access_token"], third["refresh_token"]):
        assert client.introspect(token) == {"active": False}
    assert client.userinfo(third["access_token"]).status == 401
    assert events(any_cast.house, any_cast.acme, "refresh_token.reused")[-1].outcome == "failure"


def test_s049_reuse_is_seen_after_a_restart(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """RFC 9700 §4.14.2, S049: what is spent is spent in the database, in the grace (S047) and after it."""
    first = rp.redeem(house.browser(acme).sign_in(rp)).json
    second = rp.refresh(first["refresh_token"]).json
    house.restart()
    assert rp.refresh(first["refresh_token"]).json["refresh_token"] == second["refresh_token"]
    with shifted(GRACE + 1):
        refused(house, rp.refresh(first["refresh_token"]), 400, "invalid_grant")
        refused(house, rp.refresh(second["refresh_token"]), 400, "invalid_grant")


def test_another_clients_reuse_does_not_kill_the_family(cast: Cast) -> None:
    """RFC 6749 §6: nobody revokes another client's grant by presenting its spent token."""
    first = cast.tokens(cast.basic)
    second = cast.basic.refresh(first["refresh_token"]).json
    with shifted(GRACE + 1):
        refused(cast.house, cast.public.refresh(first["refresh_token"]), 400, "invalid_grant")
        assert cast.basic.refresh(second["refresh_token"]).status == 200


def test_a_family_does_not_kill_another(cast: Cast) -> None:
    """RFC 9700 §4.14.2: two sign-ins are two families."""
    one, two = cast.tokens(cast.basic), cast.tokens(cast.basic)
    cast.basic.refresh(one["refresh_token"])
    with shifted(GRACE + 1):
        refused(cast.house, cast.basic.refresh(one["refresh_token"]), 400, "invalid_grant")
        assert cast.basic.refresh(two["refresh_token"]).status == 200


def test_s050_a_refresh_token_is_its_clients(any_cast: Cast) -> None:
    """RFC 6749 §6, S050: bound to the client, which authenticates; of another tenant it is unknown."""
    token = any_cast.tokens(any_cast.basic)["refresh_token"]
    for thief in (any_cast.post, any_cast.public, any_cast.lax, any_cast.foreign):
        refused(any_cast.house, thief.refresh(token), 400, "invalid_grant", withheld=[token])
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "basic"}
    refused(any_cast.house, any_cast.house.post(any_cast.acme, "/token", form), 401, "invalid_client")
    assert any_cast.basic.refresh(token).status == 200
    signed = any_cast.tokens(any_cast.signed)["refresh_token"]
    refused(any_cast.house, any_cast.signed.refresh(signed), 401, "invalid_client")
    assert any_cast.signed.refresh(signed, **asserted(any_cast.signed, any_cast.key)).status == 200


@pytest.mark.parametrize("scope", ["openid admin", "openid email profile", "admin", 'openid "', "ümläut"])
def test_s032_never_more_than_was_granted(cast: Cast, scope: str) -> None:
    """RFC 6749 §6, S032: invalid_scope, and the token is not spent."""
    token = cast.tokens(cast.basic, scope="openid email")["refresh_token"]
    refused(cast.house, cast.basic.refresh(token, scope=scope), 400, "invalid_scope")
    assert cast.basic.refresh(token).status == 200


def test_less_than_was_granted_for_one_access_token(cast: Cast) -> None:
    """RFC 6749 §6: a narrower scope is for this access token; the refresh token keeps what was granted."""
    first = cast.tokens(cast.basic, scope="openid email profile")
    narrow = cast.basic.refresh(first["refresh_token"], scope="openid email").json
    assert narrow["scope"] == decoded(narrow["access_token"])[1]["scope"] == "openid email"
    assert set(cast.basic.userinfo(narrow["access_token"]).json) == {"sub", "email", "email_verified"}
    assert cast.basic.refresh(narrow["refresh_token"]).json["scope"] == "openid email profile"
    plain = cast.basic.refresh(cast.tokens(cast.basic, scope="openid api")["refresh_token"], scope="api").json
    assert "id_token" not in plain


def test_s051_idle_and_absolute_end(house: House) -> None:
    """RFC 9700 §4.14.2, S051: a token that is not used dies; a family ends, and rotation does not put that off."""
    tenant = house.tenant("acme", access_token_lifetime="60", refresh_token_idle_lifetime="1000", grant_lifetime="2500")
    rp = house.client(tenant)
    idle = rp.redeem(house.browser(tenant).sign_in(rp)).json["refresh_token"]
    token = rp.redeem(house.browser(tenant).sign_in(rp)).json["refresh_token"]
    with shifted(1001):
        refused(house, rp.refresh(idle), 400, "invalid_grant")
    for seconds in (900, 1800, 2400):
        with shifted(seconds):
            token = rp.refresh(token).json["refresh_token"]
    with shifted(2501):
        refused(house, rp.refresh(token), 400, "invalid_grant")
        assert rp.introspect(token) == {"active": False}


def test_s051_the_grace_ends_with_the_family(house: House) -> None:
    """RFC 9700 §4.14.2, S051: asking again within the grace gives nothing when the family has ended meanwhile."""
    rp = house.client(
        house.tenant("acme", access_token_lifetime="60", refresh_token_idle_lifetime="2500", grant_lifetime="2500")
    )
    first = rp.redeem(house.browser(rp.tenant).sign_in(rp)).json["refresh_token"]
    with shifted(2498):
        assert rp.refresh(first).status == 200
    with shifted(2501):
        refused(house, rp.refresh(first), 400, "invalid_grant")


def test_a_disabled_person_refreshes_nothing(cast: Cast) -> None:
    """RFC 6749 §6, S045: not even within the grace."""
    user_id = cast.house.user(cast.acme, "off@example.com")
    first = cast.basic.redeem(cast.browser().sign_in(cast.basic, username="off@example.com")).json
    second = cast.basic.refresh(first["refresh_token"]).json
    cast.house.database(cast.acme).writing(
        lambda conn: conn.execute(update(users).where(users.c.id == user_id).values(state="disabled"))
    )
    for token in (first["refresh_token"], second["refresh_token"]):
        refused(cast.house, cast.basic.refresh(token), 400, "invalid_grant")
    assert cast.basic.introspect(second["access_token"]) == {"active": False}


def test_a_disabled_client_refreshes_nothing(cast: Cast) -> None:
    """RFC 6749 §6, S045: at once at the worker that disabled it."""
    client = cast.house.client(cast.acme, "to-disable")
    tokens = cast.tokens(client)
    with cast.house.installation.feed.announced(cast.acme.id, "client", client.client_id):
        cast.house.database(cast.acme).writing(
            lambda conn: conn.execute(
                update(clients).where(clients.c.client_id == client.client_id).values(state="disabled")
            )
        )
    refused(cast.house, client.refresh(tokens["refresh_token"]), 401, "invalid_client")
    assert client.userinfo(tokens["access_token"]).status == 401


def test_logout_ends_what_is_not_offline(cast: Cast) -> None:
    """OpenID Connect Back-Channel Logout §2.7, S045: with offline_access a grant lives on, without it ends with the session."""
    browser = cast.browser()
    online = cast.basic.redeem(browser.sign_in(cast.basic)).json
    offline = cast.basic.redeem(browser.sign_in(cast.basic, scope="openid offline_access")).json
    browser.submit(browser.get(f"{cast.acme.base_path}/logout"), action="logout")
    refused(cast.house, cast.basic.refresh(online["refresh_token"]), 400, "invalid_grant")
    assert cast.basic.introspect(online["access_token"]) == {"active": False}
    assert cast.basic.introspect(offline["access_token"])["active"] is True
    assert cast.basic.refresh(offline["refresh_token"]).status == 200


def test_s047_fifty_at_once_get_one_successor(any_cast: Cast) -> None:
    """RFC 9700 §4.14.2, S047: within the grace all get the same successor; never are there two live heads."""
    client = any_cast.basic
    token = any_cast.tokens(client)["refresh_token"]
    answers = _at_once(50, lambda: client.refresh(token))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1
    with any_cast.house.database(any_cast.acme).reading() as conn:
        live = conn.execute(select(refresh_tokens.c.grant_id).where(refresh_tokens.c.used_at.is_(None))).scalars().all()
    assert len(live) == len(set(live)), "a family has two live heads"
    assert client.refresh(answers[0].json["refresh_token"]).status == 200


def test_s018_fifty_at_once_redeem_one_code(any_cast: Cast) -> None:
    """RFC 6749 §4.1.2, S018: one gets tokens, and because others tried they are revoked."""
    client = any_cast.basic
    grant = any_cast.grant(client)
    answers = _at_once(50, lambda: client.redeem(grant))
    won = [answer for answer in answers if answer.status == 200]
    assert len(won) == 1
    lost = [answer for answer in answers if answer.status != 200]
    assert {(answer.status, answer.json["error"]) for answer in lost} == {(400, "invalid_grant")}
    assert all(record_of(any_cast.house, answer.json["correlation_id"]) for answer in lost)
    for token in (won[0].json["access_token"], won[0].json["refresh_token"]):
        assert client.introspect(token) == {"active": False}


def _at_once(count: int, call):
    barrier = Barrier(count)

    def one(_number: int):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
