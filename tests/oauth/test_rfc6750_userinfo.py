"""Bearer tokens at the userinfo endpoint (RFC 6750 §2, §3): how they are presented, and the challenge when they are not good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cast import discovery, without
from refusals import refused
from sqlalchemy import update

from idp.clock import shifted
from idp.store.tenant.users import users

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, House, RelyingParty

    from idp.tenancy.tenant import Tenant

REALM = 'Bearer realm="userinfo"'


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Discovery §3: userinfo_endpoint."""
    assert discovery(cast.house, cast.acme)["userinfo_endpoint"] == f"{cast.acme.issuer}/userinfo"


def test_absent_when_disabled(house: House, acme: Tenant, rp: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenID Connect Discovery §3: without its row there is neither endpoint nor advertisement."""
    token = rp.redeem(house.browser(acme).sign_in(rp)).json["access_token"]
    without(monkeypatch, house, "userinfo")
    assert "userinfo_endpoint" not in discovery(house, acme)
    assert rp.userinfo(token).status == 404


def test_get_and_post(any_cast: Cast) -> None:
    """OpenID Connect Core §5.3.1, RFC 6750 §2.1, §2.2: header by GET and POST, and form field; never cached."""
    token = any_cast.tokens(any_cast.basic)["access_token"]
    get = any_cast.basic.userinfo(token)
    header = any_cast.house.send(
        "POST", f"{any_cast.acme.base_path}/userinfo", headers={"authorization": f"bearer {token}"}
    )
    form = any_cast.house.post(any_cast.acme, "/userinfo", {"access_token": token})
    for answer in (get, header, form):
        assert answer.status == 200, answer.text
        assert answer.header("cache-control") == "no-store"
        assert answer.header("content-type") == "application/json"
    assert get.json == header.json == form.json


def test_without_a_token(cast: Cast) -> None:
    """RFC 6750 §3.1: no error code for who brought no token, only the challenge."""
    for headers in ({}, {"authorization": "Basic abc"}, {"authorization": "DPoP abc"}):
        answer = cast.house.get(cast.acme, "/userinfo", headers=headers)
        refused(cast.house, answer, 401, None)
        assert answer.header("www-authenticate") == REALM


def test_not_in_the_address(cast: Cast) -> None:
    """RFC 9700 §4.3.2, RFC 6750 §2.3: a token in the query is not looked at."""
    token = cast.tokens(cast.basic)["access_token"]
    refused(cast.house, cast.house.get(cast.acme, f"/userinfo?access_token={token}"), 401, None, withheld=[token])


def test_not_in_the_body_of_a_get(cast: Cast) -> None:
    """RFC 6750 §2.2: a form field only with a method whose body means something."""
    token = cast.tokens(cast.basic)["access_token"]
    body = f"access_token={token}".encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    refused(
        cast.house, cast.house.send("GET", f"{cast.acme.base_path}/userinfo", headers=headers, body=body), 401, None
    )


def test_in_one_way_only(cast: Cast) -> None:
    """RFC 6750 §2: not in more than one way; invalid_request."""
    token = cast.tokens(cast.basic)["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    both = cast.house.post(cast.acme, "/userinfo", {"access_token": token}, headers=bearer)
    twice = cast.house.post(cast.acme, "/userinfo", [("access_token", token), ("access_token", token)])
    lines = cast.house.send(
        "GET", f"{cast.acme.base_path}/userinfo", headers=[("authorization", f"Bearer {token}")] * 2
    )
    for answer in (both, twice, lines):
        refused(cast.house, answer, 400, "invalid_request", withheld=[token])
        assert (answer.header("www-authenticate") or "").startswith(f'{REALM}, error="invalid_request"')


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "bearer\t"])
def test_a_header_without_a_token(cast: Cast, value: str) -> None:
    """RFC 6750 §3.1: a malformed header is invalid_request (or no token at all), never a failure of ours."""
    answer = cast.house.get(cast.acme, "/userinfo", headers={"authorization": value})
    assert answer.status in (400, 401)
    refused(cast.house, answer, answer.status, "invalid_request" if answer.status == 400 else None)


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "ü", "a, Bearer b", "x" * 20000, "..", "rt_" + "a" * 43, "null", '"', "a b"]
)
def test_what_is_no_token(cast: Cast, token: str) -> None:
    """RFC 6750 §3.1: invalid_token with a challenge."""
    _invalid(cast, cast.basic.userinfo(token))


def test_expired(cast: Cast) -> None:
    """RFC 6750 §3.1: an expired token is invalid_token, to the second."""
    token = cast.tokens(cast.basic)["access_token"]
    with shifted(3595):
        assert cast.basic.userinfo(token).status == 200
    with shifted(3600):
        _invalid(cast, cast.basic.userinfo(token))


def test_revoked_and_without_a_person(cast: Cast) -> None:
    """RFC 6750 §3.1, RFC 7009 §2.1: revoked, or its person disabled: invalid_token at once."""
    token = cast.tokens(cast.basic)["access_token"]
    cast.basic.post("/revoke", {"token": token})
    _invalid(cast, cast.basic.userinfo(token))
    user_id = cast.house.user(cast.acme, "leaving@example.com")
    token = cast.basic.redeem(cast.browser().sign_in(cast.basic, username="leaving@example.com")).json["access_token"]
    assert cast.basic.userinfo(token).json["sub"] == user_id
    change = update(users).where(users.c.id == user_id)
    cast.house.database(cast.acme).writing(lambda conn: conn.execute(change.values(state="disabled")))
    _invalid(cast, cast.basic.userinfo(token))


def test_another_tenants(cast: Cast) -> None:
    """RFC 9068 §4, S037: issuer and keys are the tenant's own."""
    token = cast.tokens(cast.foreign)["access_token"]
    assert cast.foreign.userinfo(token).status == 200
    _invalid(cast, cast.basic.userinfo(token))


def test_insufficient_scope(cast: Cast) -> None:
    """RFC 6750 §3.1: 403 insufficient_scope for a token without openid."""
    token = cast.tokens(cast.basic, scope="api email")["access_token"]
    answer = cast.basic.userinfo(token)
    refused(cast.house, answer, 403, "insufficient_scope")
    assert 'error="insufficient_scope"' in (answer.header("www-authenticate") or "")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods(cast: Cast, method: str) -> None:
    """OpenID Connect Core §5.3.1: GET and POST."""
    refused(cast.house, cast.house.send(method, f"{cast.acme.base_path}/userinfo"), 405, "method_not_allowed")


def _invalid(cast: Cast, answer: Answer) -> None:
    refused(cast.house, answer, 401, "invalid_token")
    assert (answer.header("www-authenticate") or "").startswith(f'{REALM}, error="invalid_token"')
