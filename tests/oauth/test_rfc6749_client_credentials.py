"""The client credentials grant (RFC 6749 §4.4): a client for itself, and never for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cast import asserted, discovery, without
from house import decoded
from refusals import refused, spooled

from idp.oauth.token import may_run_inline
from idp.web.http import Headers, Request

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant

FORM = {"grant_type": "client_credentials"}


def test_advertised(cast: Cast) -> None:
    """RFC 8414 §2: in grant_types_supported."""
    assert "client_credentials" in discovery(cast.house, cast.acme)["grant_types_supported"]


def test_absent_when_disabled(house: House, acme: Tenant, rp: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6749 §5.2: without its row the grant is neither advertised nor supported."""
    without(monkeypatch, house, "client_credentials")
    assert "client_credentials" not in discovery(house, acme)["grant_types_supported"]
    refused(house, rp.post("/token", FORM), 400, "unsupported_grant_type")


@pytest.mark.parametrize("kind", ["basic", "post", "signed"])
def test_a_client_gets_a_token_for_itself(any_cast: Cast, kind: str) -> None:
    """RFC 6749 §4.4.3: an access token and no refresh token; RFC 9068 §2.2: the subject is the client."""
    client = getattr(any_cast, kind)
    extra = asserted(client, any_cast.key) if kind == "signed" else {}
    answer = client.post("/token", {**FORM, **extra})
    assert answer.status == 200, answer.text
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope"}
    header, claims = decoded(answer.json["access_token"])
    assert header["typ"] == "at+jwt"
    assert claims["sub"] == claims["client_id"] == kind
    assert not {"grant_id", "auth_time", "acr", "amr", "sid"} & claims.keys()


def test_the_scope_is_the_clients_own(cast: Cast) -> None:
    """RFC 6749 §3.3: without the parameter all that the client may have for itself; the response says what it is."""
    assert cast.basic.post("/token", FORM).json["scope"] == "api"
    assert cast.basic.post("/token", {**FORM, "scope": "api"}).json["scope"] == "api"
    plain = cast.house.client(cast.acme, "scopeless", scope="openid")
    answer = plain.post("/token", FORM)
    assert answer.status == 200
    assert "scope" not in answer.json


@pytest.mark.parametrize(
    "scope",
    ["openid", "api openid", "openid offline_access", "profile", "email", "admin", "api admin", 'api "', "ümläut"],
)
def test_s032_no_scope_about_a_person_and_none_beyond_the_registered(cast: Cast, scope: str) -> None:
    """RFC 6749 §4.4, S032: invalid_scope for openid and its like, for what is unknown and for what is malformed."""
    refused(cast.house, cast.basic.post("/token", {**FORM, "scope": scope}), 400, "invalid_scope")


def test_public_clients_have_no_credentials(cast: Cast) -> None:
    """RFC 6749 §4.4, §5.2: confidential clients only; a public one is known, but not authorized for this grant type."""
    refused(cast.house, cast.public.post("/token", FORM), 400, "unauthorized_client")


def test_the_issue_is_an_event(cast: Cast) -> None:
    """RFC 6749 §10.5: recorded in the worker's spool, since no row changes; without the token."""
    token = cast.basic.post("/token", FORM).json["access_token"]
    found = [one for one in spooled(cast.house) if one["is"] == "audit" and one["kind"] == "token.issued"][-1]
    assert (found["client_id"], found["outcome"], found["tenant"]) == ("basic", "success", cast.acme.id)
    assert token not in repr(spooled(cast.house))


def test_the_token_is_no_persons(cast: Cast) -> None:
    """OpenID Connect Core §5.3.1: userinfo is about a person; a client's own token has none."""
    token = cast.basic.post("/token", FORM).json["access_token"]
    assert cast.basic.introspect(token)["active"] is True
    answer = cast.basic.userinfo(token)
    refused_as = (answer.status, answer.json["error"])
    assert refused_as == (403, "insufficient_scope")


def test_a_clients_token_can_be_revoked(cast: Cast) -> None:
    """RFC 7009 §2.1: without a grant the token itself is revoked."""
    token = cast.basic.post("/token", FORM).json["access_token"]
    other = cast.basic.post("/token", FORM).json["access_token"]
    assert cast.basic.post("/revoke", {"token": token}).status == 200
    assert cast.basic.introspect(token) == {"active": False}
    assert cast.basic.introspect(other)["active"] is True


@pytest.mark.parametrize(
    ("body", "is_inline"),
    [
        (b"grant_type=client_credentials", True),
        (b"scope=api&grant_type=client%5Fcredentials", True),
        (b"x=grant_type=client_credentials&grant_type=refresh_token", False),
        (b"grant_type=client_credentials&grant_type=refresh_token", False),
        (b"grant_type=client_credentials&client%5Fassertion=x", False),
        (b"grant_type=client_credentials&client_id=other", True),  # refused, and for that nothing is waited for either
        (b"grant_type=%", False),
    ],
)
def test_what_runs_on_the_loop_is_read_as_it_is_answered(any_cast: Cast, body: bytes, is_inline: bool) -> None:
    """Architecture §2, S111: only what surely waits for nothing is answered on the loop, however its body is spelled."""
    server = any_cast.house.installation.servers.get(any_cast.acme)
    server.forget_client(any_cast.basic.client_id)
    headers = Headers.of([("content-type", "application/x-www-form-urlencoded"), *any_cast.basic.auth.items()])
    http = Request("POST", "http", any_cast.acme.host, "/token", "", headers, body)
    if server.database.blocking:
        assert may_run_inline(server, http) is False, "the client is not at hand, and its database would be waited for"
    assert server.query_client(any_cast.basic.client_id)
    assert may_run_inline(server, http) is is_inline
