"""The token endpoint and the authorization code grant (RFC 6749 §3.2, §4.1.3, §5): one code, one client, one time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cast import asserted, discovery, without
from house import CALLBACK, decoded
from refusals import events, harmless, refused

from idp.clock import shifted

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant


def test_advertised(cast: Cast) -> None:
    """RFC 8414 §2: the endpoint, its grant types and client authentication methods are in discovery."""
    found = discovery(cast.house, cast.acme)
    assert found["token_endpoint"] == f"{cast.acme.issuer}/token"
    assert found["grant_types_supported"] == [
        "implicit",
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]
    assert found["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
        "none",
    ]


def test_absent_when_disabled(house: House, acme: Tenant, rp: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6749 §5.2: a grant without its row in the table of features is not supported, and not advertised."""
    grant = house.browser(acme).sign_in(rp)
    without(monkeypatch, house, "authorization_code")
    assert "authorization_code" not in discovery(house, acme)["grant_types_supported"]
    refused(house, rp.redeem(grant), 400, "unsupported_grant_type")


@pytest.mark.parametrize("kind", ["basic", "post", "public", "signed", "lax"])
def test_a_code_becomes_tokens(any_cast: Cast, kind: str) -> None:
    """RFC 6749 §4.1.4, §5.1: the token response, stored nowhere on its way; for each way to authenticate (§2.3)."""
    client = getattr(any_cast, kind)
    extra = asserted(client, any_cast.key) if kind == "signed" else {}
    answer = client.redeem(any_cast.grant(client, scope="openid email"), **extra)
    assert answer.status == 200, answer.text
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token"}
    assert (answer.json["token_type"], answer.json["expires_in"], answer.json["scope"]) == (
        "Bearer",
        3600,
        "openid email",
    )
    assert answer.header("cache-control") == "no-store"
    assert answer.header("pragma") == "no-cache"
    assert answer.header("content-type") == "application/json"


def test_no_refresh_token_for_a_client_that_did_not_register_for_it(cast: Cast) -> None:
    """RFC 6749 §1.5: a refresh token is issued to a client that registered the grant type."""
    client = cast.house.client(cast.acme, "once-only", grant_types=["authorization_code"])
    assert "refresh_token" not in cast.tokens(client)


def test_no_id_token_without_openid(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: without the scope openid it is plain OAuth."""
    assert "id_token" not in cast.tokens(cast.basic, scope="api")


def test_the_issue_is_an_event(cast: Cast) -> None:
    """RFC 6749 §10.5: what was issued to whom is recorded, the tokens are not."""
    tokens = cast.tokens(cast.basic)
    found = events(cast.house, cast.acme, "token.issued")[-1]
    assert (found.client_id, found.outcome, found.details["grant_type"]) == ("basic", "success", "authorization_code")
    assert tokens["access_token"] not in repr(found)


def test_a_code_works_once_and_a_second_use_kills_the_family(any_cast: Cast) -> None:
    """RFC 6749 §4.1.2, S019: used again a code is refused, and what it brought is revoked, refreshed tokens too."""
    client = any_cast.basic
    grant = any_cast.grant(client, scope="openid offline_access")
    first = client.redeem(grant).json
    second = client.refresh(first["refresh_token"]).json
    assert client.introspect(first["access_token"])["active"] is True
    record = refused(any_cast.house, client.redeem(grant), 400, "invalid_grant", withheld=[grant.code, client.secret])
    assert record["check"] == "code"
    assert "used before" in record["reason"]
    for token in (first["access_token"], second["access_token"], second["refresh_token"]):
        assert client.introspect(token) == {"active": False}
    assert client.userinfo(second["access_token"]).status == 401
    refused(any_cast.house, client.refresh(second["refresh_token"]), 400, "invalid_grant")
    assert events(any_cast.house, any_cast.acme, "code.reused")[-1].outcome == "failure"


@pytest.mark.parametrize("seconds", [30, 59, 61, 3000])
def test_a_second_use_is_seen_later_too(cast: Cast, seconds: int) -> None:
    """RFC 6749 §4.1.2, S019 (conformance oidcc-codereuse-30seconds): the memory of a code outlives the code."""
    grant = cast.grant(cast.basic)
    tokens = cast.basic.redeem(grant).json
    with shifted(seconds):
        refused(cast.house, cast.basic.redeem(grant), 400, "invalid_grant")
        assert cast.basic.introspect(tokens["access_token"]) == {"active": False}


def test_a_second_use_after_a_restart(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """RFC 6749 §4.1.2: what is spent is spent in the database."""
    grant = house.browser(acme).sign_in(rp)
    tokens = rp.redeem(grant).json
    house.restart()
    refused(house, rp.redeem(grant), 400, "invalid_grant")
    assert rp.introspect(tokens["access_token"]) == {"active": False}


def test_s020_another_client_neither_gets_nor_burns_a_code(any_cast: Cast) -> None:
    """RFC 6749 §4.1.3, S020: a code is its client's; whoever else presents it changes nothing."""
    grant = any_cast.grant(any_cast.basic)
    for thief in (any_cast.post, any_cast.public, any_cast.lax):
        record = refused(any_cast.house, thief.redeem(grant), 400, "invalid_grant")
        assert record["registered"] == ["basic"]
    stolen = {**asserted(any_cast.signed, any_cast.key)}
    refused(any_cast.house, any_cast.signed.redeem(grant, **stolen), 400, "invalid_grant")
    assert any_cast.basic.redeem(grant).status == 200


def test_s020_another_client_does_not_revoke_by_a_used_code(cast: Cast) -> None:
    """RFC 6749 §4.1.3: a used code in the hands of another client is no reuse, so nobody can kill another's grant with it."""
    grant = cast.grant(cast.basic)
    tokens = cast.basic.redeem(grant).json
    refused(cast.house, cast.public.redeem(grant), 400, "invalid_grant")
    assert cast.basic.introspect(tokens["access_token"])["active"] is True


def test_s020_a_code_of_another_tenant_is_unknown(cast: Cast) -> None:
    """RFC 6749 §4.1.3, S020: client_id and address of another tenant, and its code, mean nothing here; it is not burned."""
    grant = cast.grant(cast.basic)
    refused(cast.house, cast.foreign.redeem(grant), 400, "invalid_grant")
    assert cast.basic.redeem(grant).status == 200


def test_s020_client_id_in_the_body_is_the_authenticated_one(cast: Cast) -> None:
    """RFC 6749 §3.2.1, S020: two identities in one request are none."""
    grant = cast.grant(cast.basic)
    refused(cast.house, cast.basic.redeem(grant, client_id="public"), 401, "invalid_client")
    refused(
        cast.house,
        cast.signed.redeem(grant, **asserted(cast.signed, cast.key), client_id="basic"),
        401,
        "invalid_client",
    )
    assert cast.basic.redeem(grant, client_id="basic").status == 200


@pytest.mark.parametrize(
    "sent", [None, "", "https://rp.example/other", CALLBACK + "/", CALLBACK.upper(), CALLBACK + "?", CALLBACK + "#"]
)
def test_s021_the_redirect_uri_is_repeated(cast: Cast, sent: str | None) -> None:
    """RFC 6749 §4.1.3, S021: identical to the one of the authorization request."""
    grant = cast.grant(cast.basic)
    form = {"grant_type": "authorization_code", "code": grant.code, "code_verifier": grant.verifier}
    if sent is not None:
        form["redirect_uri"] = sent
    record = refused(cast.house, cast.basic.post("/token", form), 400, "invalid_grant")
    assert record["check"] == "redirect_uri"
    assert cast.basic.redeem(grant).status == 200


@pytest.mark.parametrize(("seconds", "status"), [(58, 200), (60, 400), (61, 400), (86400, 400)])
def test_s022_a_code_lives_sixty_seconds(cast: Cast, seconds: int, status: int) -> None:
    """RFC 6749 §4.1.2, S022 (FAPI 2.0 §5.3.2.1): a code of 60 s is refused."""
    grant = cast.grant(cast.basic)
    with shifted(seconds):
        answer = cast.basic.redeem(grant)
    if status == 200:
        assert answer.status == 200
    else:
        refused(cast.house, answer, status, "invalid_grant")


def test_a_code_dies_with_its_session(cast: Cast) -> None:
    """RFC 6749 §4.1.2: who signs out before the code is redeemed has taken it back."""
    browser = cast.browser()
    grant = browser.sign_in(cast.basic)
    page = browser.get(f"{cast.acme.base_path}/logout")
    browser.submit(page, action="logout")
    refused(cast.house, cast.basic.redeem(grant), 400, "invalid_grant")


def test_a_code_dies_with_its_user(cast: Cast) -> None:
    """RFC 6749 §4.1.2: a disabled person's code is worth nothing."""
    from sqlalchemy import update

    from idp.store.tenant.users import users

    user_id = cast.house.user(cast.acme, "gone@example.com")
    grant = cast.browser().sign_in(cast.basic, username="gone@example.com")
    cast.house.database(cast.acme).writing(
        lambda conn: conn.execute(update(users).where(users.c.id == user_id).values(state="disabled"))
    )
    refused(cast.house, cast.basic.redeem(grant), 400, "invalid_grant")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        (
            {"grant_type": "password", "username": "ada@example.com", "password": "correct horse battery staple"},
            "unsupported_grant_type",
        ),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "x"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "x"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"}, "unauthorized_client"),
        ({"grant_type": "Authorization_Code"}, "unsupported_grant_type"),
        ({"grant_type": 'x"y\\z'}, "unsupported_grant_type"),
        ({"grant_type": "ü" * 1000}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": ""}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "ac_" + "A" * 43}, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "ü"}, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "x" * 16000}, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "x" * 17000}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "a\x00b"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "rt_nothing"}, "invalid_grant"),
    ],
)
def test_s029_what_is_not_served_is_refused(any_cast: Cast, form: dict[str, str], error: str) -> None:
    """RFC 6749 §5.2, RFC 9700 §2.4, S029: no password grant, no implicit; each fault its own error."""
    refused(
        any_cast.house,
        any_cast.basic.post("/token", form),
        400,
        error,
        withheld=["correct horse", any_cast.basic.secret],
    )


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token", "client_credentials"])
def test_s029_a_grant_the_client_did_not_register(cast: Cast, grant_type: str) -> None:
    """RFC 6749 §5.2, S029: unauthorized_client."""
    others = {
        "authorization_code": ["client_credentials"],
        "refresh_token": ["authorization_code"],
        "client_credentials": ["authorization_code"],
    }
    uris = {} if grant_type == "authorization_code" else {"redirect_uris": [CALLBACK]}
    metadata = {"grant_types": others[grant_type], "redirect_uris": [], **uris}
    client = cast.house.client(cast.acme, f"not-{grant_type}", **metadata)
    form = {"grant_type": grant_type, "code": "x", "refresh_token": "x", "redirect_uri": CALLBACK}
    refused(cast.house, client.post("/token", form), 400, "unauthorized_client")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_s029_only_post(cast: Cast, method: str) -> None:
    """RFC 6749 §3.2, S029: the client must use POST."""
    answer = cast.house.send(
        method, f"{cast.acme.base_path}/token?grant_type=client_credentials", headers=cast.basic.auth
    )
    refused(cast.house, answer, 405, "method_not_allowed")
    assert answer.header("allow") == "POST"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"grant_type": "client_credentials"}'),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n--x--\r\n',
        ),
        ("text/plain", b"grant_type=client_credentials"),
        (None, b"grant_type=client_credentials"),
        ("application/x-www-form-urlencoded", b"grant_type=client_credentials&%ff=1"),
        ("application/x-www-form-urlencoded", b"grant_type=client_credentials&a=%zz"),
        ("application/x-www-form-urlencoded", b"\xff\xfe"),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 1500)),
    ],
)
def test_s029_only_a_form(cast: Cast, content_type: str | None, body: bytes) -> None:
    """RFC 6749 §4.1.3, Appendix B, S029: application/x-www-form-urlencoded in UTF-8, nothing else."""
    headers = {**cast.basic.auth, **({"content-type": content_type} if content_type else {})}
    answer = cast.house.send("POST", f"{cast.acme.base_path}/token", headers=headers, body=body)
    refused(cast.house, answer, 400, "invalid_request")


def test_parameters_come_in_the_body_once(cast: Cast) -> None:
    """RFC 6749 §3.2: once each; §2.3.1: never in the address, where they would be logged."""
    good = [("grant_type", "client_credentials"), ("scope", "api")]
    refused(
        cast.house,
        cast.house.post(cast.acme, "/token", [*good, ("scope", "api")], headers=cast.basic.auth),
        400,
        "invalid_request",
    )
    answer = cast.house.post(cast.acme, f"/token?client_secret={cast.post.secret}", [*good, ("client_id", "post")])
    refused(cast.house, answer, 400, "invalid_request", withheld=[cast.post.secret])
    answer = cast.house.post(cast.acme, "/token", [*good, ("nobody", "knows"), ("empty", "")], headers=cast.basic.auth)
    assert answer.status == 200, "RFC 6749 §3.2: unrecognised parameters are ignored"


def test_tokens_name_the_same_person(cast: Cast) -> None:
    """RFC 9068 §2.2, OpenID Connect Core §2: one subject in both tokens and at userinfo."""
    tokens = cast.tokens(cast.basic)
    access, identity = decoded(tokens["access_token"])[1], decoded(tokens["id_token"])[1]
    assert access["sub"] == identity["sub"] == cast.basic.userinfo(tokens["access_token"]).json["sub"]


def test_a_refused_request_spends_nothing(cast: Cast) -> None:
    """RFC 6749 §4.1.2: a code that could not be redeemed for a fault of the request may be redeemed after it is mended."""
    grant = cast.grant(cast.basic)
    bad = {"authorization": "Basic " + "x" * 10}
    harmless(
        cast.house.post(cast.acme, "/token", {"grant_type": "authorization_code", "code": grant.code}, headers=bad)
    )
    refused(cast.house, cast.basic.redeem(grant, code_verifier="w" * 43), 400, "invalid_grant")
    assert cast.basic.redeem(grant).status == 200
