"""Token revocation (RFC 7009): one's own tokens; for all others the same answer and no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cast import asserted, discovery, without
from refusals import events, harmless, refused

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant


def test_advertised(cast: Cast) -> None:
    """RFC 8414 §2: the endpoint and how clients authenticate there."""
    found = discovery(cast.house, cast.acme)
    assert found["revocation_endpoint"] == f"{cast.acme.issuer}/revoke"
    assert found["revocation_endpoint_auth_methods_supported"] == found["token_endpoint_auth_methods_supported"]


def test_absent_when_disabled(house: House, acme: Tenant, rp: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8414 §2: without its row there is neither endpoint nor advertisement."""
    without(monkeypatch, house, "revocation")
    assert not [name for name in discovery(house, acme) if name.startswith("revocation")]
    assert rp.post("/revoke", {"token": "x"}).status == 404


@pytest.mark.parametrize("kind", ["basic", "post", "public", "signed"])
def test_a_refresh_token_takes_its_grant_along(any_cast: Cast, kind: str) -> None:
    """RFC 7009 §2.1: with the refresh token go the access tokens of the same grant; for each way to authenticate."""
    client = getattr(any_cast, kind)
    tokens = any_cast.tokens(client)
    extra = asserted(client, any_cast.key) if kind == "signed" else {}
    answer = client.post("/revoke", {"token": tokens["refresh_token"], **extra})
    assert (answer.status, answer.json) == (200, {})
    assert answer.header("cache-control") == "no-store"
    assert client.userinfo(tokens["access_token"]).status == 401
    again = asserted(client, any_cast.key) if kind == "signed" else {}
    refused(any_cast.house, client.refresh(tokens["refresh_token"], **again), 400, "invalid_grant")
    event = events(any_cast.house, any_cast.acme, "token.revoked")[-1]
    assert (event.client_id, event.details, event.outcome) == (kind, {"kind": "refresh_token"}, "success")


def test_an_access_token_goes_alone(any_cast: Cast) -> None:
    """RFC 7009 §2.1: only the token that is named; the refresh token makes a new one."""
    client = any_cast.basic
    tokens = any_cast.tokens(client)
    assert client.post("/revoke", {"token": tokens["access_token"]}).status == 200
    assert client.introspect(tokens["access_token"]) == {"active": False}
    assert client.userinfo(tokens["access_token"]).status == 401
    fresh = client.refresh(tokens["refresh_token"]).json
    assert client.userinfo(fresh["access_token"]).status == 200
    event = events(any_cast.house, any_cast.acme, "token.revoked")[-1]
    assert event.details == {"kind": "access_token"}


def test_a_rotated_refresh_token_revokes_too(cast: Cast) -> None:
    """RFC 7009 §2.1: a client that holds an old one may still end the grant."""
    first = cast.tokens(cast.basic)
    second = cast.basic.refresh(first["refresh_token"]).json
    cast.basic.post("/revoke", {"token": first["refresh_token"]})
    assert cast.basic.introspect(second["refresh_token"]) == {"active": False}


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nobody-knows", ""])
def test_s044_a_wrong_hint_changes_nothing(cast: Cast, hint: str) -> None:
    """RFC 7009 §2.1, S044: the hint is a hint."""
    for kind in ("access_token", "refresh_token"):
        tokens = cast.tokens(cast.basic)
        assert cast.basic.post("/revoke", {"token": tokens[kind], "token_type_hint": hint}).status == 200
        assert cast.basic.introspect(tokens[kind]) == {"active": False}


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_s044_the_token_of_another_client(any_cast: Cast, kind: str) -> None:
    """RFC 7009 §2.1, §2.2, S044: 200 as for any token that means nothing here, and the token lives."""
    tokens = any_cast.tokens(any_cast.basic)
    before = len(events(any_cast.house, any_cast.acme, "token.revoked"))
    nothing = any_cast.post.post("/revoke", {"token": "rt_" + "x" * 43})
    for thief in (any_cast.post, any_cast.public, any_cast.foreign, any_cast.lax):
        answer = thief.post("/revoke", {"token": tokens[kind]})
        assert (answer.status, answer.headers, answer.body) == (nothing.status, nothing.headers, nothing.body)
    assert any_cast.basic.introspect(tokens[kind])["active"] is True
    assert len(events(any_cast.house, any_cast.acme, "token.revoked")) == before


@pytest.mark.parametrize("token", ["x", "a.b.c", "ü", "rt_", "ac_" + "A" * 43, "x" * 16000, "'; --", "{}", "null"])
def test_a_token_that_is_none(any_cast: Cast, token: str) -> None:
    """RFC 7009 §2.2: invalid tokens are no error."""
    answer = any_cast.basic.post("/revoke", {"token": token})
    harmless(answer)
    assert answer.status == 200


def test_an_id_token_is_not_revoked(cast: Cast) -> None:
    """RFC 7009 §2: access and refresh tokens; an ID token is neither, and nothing happens to the grant."""
    tokens = cast.tokens(cast.basic)
    assert cast.basic.post("/revoke", {"token": tokens["id_token"]}).status == 200
    assert cast.basic.introspect(tokens["access_token"])["active"] is True


def test_twice_is_as_once(cast: Cast) -> None:
    """RFC 7009 §2.2: who revokes what is revoked has what it wants; one event."""
    tokens = cast.tokens(cast.basic)
    before = len(events(cast.house, cast.acme, "token.revoked"))
    for kind in ("access_token", "access_token", "refresh_token", "refresh_token", "access_token"):
        assert cast.basic.post("/revoke", {"token": tokens[kind]}).status == 200
    assert len(events(cast.house, cast.acme, "token.revoked")) == before + 2


def test_revoked_stays_revoked_after_a_restart(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """RFC 7009 §2: revoked in the database before the answer leaves."""
    tokens = rp.redeem(house.browser(acme).sign_in(rp)).json
    rp.post("/revoke", {"token": tokens["access_token"]})
    house.restart()
    assert rp.introspect(tokens["access_token"]) == {"active": False}
    rp.post("/revoke", {"token": tokens["refresh_token"]})
    house.restart()
    refused(house, rp.refresh(tokens["refresh_token"]), 400, "invalid_grant")


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token_type_hint": "access_token"}])
def test_the_token_is_required(cast: Cast, form: dict[str, str]) -> None:
    """RFC 7009 §2.1: invalid_request without the token."""
    refused(cast.house, cast.basic.post("/revoke", form), 400, "invalid_request")


def test_who_asks_is_known(cast: Cast) -> None:
    """RFC 7009 §2.1: the client's credentials are verified first; a wrong secret learns nothing of the token."""
    token = cast.tokens(cast.basic)["access_token"]
    for form in (
        {"token": token},
        {"token": token, "client_id": "basic"},
        {"token": token, "client_id": "basic", "client_secret": "x"},
    ):
        refused(cast.house, cast.house.post(cast.acme, "/revoke", form), 401, "invalid_client", withheld=[token])
    assert cast.basic.introspect(token)["active"] is True


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post(cast: Cast, method: str) -> None:
    """RFC 7009 §2: POST, and no JSONP (§2.3 is not served)."""
    refused(cast.house, cast.house.send(method, f"{cast.acme.base_path}/revoke?callback=x"), 405, "method_not_allowed")
