"""Tenant isolation of the protocol's artefacts (RFC 9068 §4, S037): what acme issued is nothing at globex, and nobody can tell it from nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cast import SigningKey, asserted
from house import CALLBACK, challenge, decoded
from refusals import error_page, harmless, refused, sent_back
from sqlalchemy import select

from idp.store.db import db

if TYPE_CHECKING:
    from collections.abc import Callable

    from cast import Cast
    from house import Answer, House

    from idp.tenancy.tenant import Tenant

VERIFIER = "v" * 43


@dataclass(frozen=True)
class Case:
    """One artefact at one endpoint: how it is presented, the same with an invented one, and that it still works at home."""

    present: Callable[[Cast, str], Answer]
    invented: str
    artefact: Callable[[Cast], str]
    works: Callable[[Cast, str], bool]


def _token(kind: str) -> Callable[[Cast], str]:
    return lambda cast: str(cast.tokens(cast.basic)[kind])


CASES = {
    "access token at userinfo": Case(
        lambda c, v: c.foreign.userinfo(v),
        "a.b.c",
        _token("access_token"),
        lambda c, v: c.basic.userinfo(v).status == 200,
    ),
    "access token at introspection": Case(
        lambda c, v: c.foreign.post("/introspect", {"token": v}),
        "a.b.c",
        _token("access_token"),
        lambda c, v: bool(c.basic.introspect(v)["active"]),
    ),
    "refresh token at introspection": Case(
        lambda c, v: c.foreign.post("/introspect", {"token": v}),
        "rt_" + "x" * 43,
        _token("refresh_token"),
        lambda c, v: bool(c.basic.introspect(v)["active"]),
    ),
    "access token at revocation": Case(
        lambda c, v: c.foreign.post("/revoke", {"token": v}),
        "a.b.c",
        _token("access_token"),
        lambda c, v: bool(c.basic.introspect(v)["active"]),
    ),
    "refresh token at revocation": Case(
        lambda c, v: c.foreign.post("/revoke", {"token": v}),
        "rt_" + "x" * 43,
        _token("refresh_token"),
        lambda c, v: bool(c.basic.introspect(v)["active"]),
    ),
    "refresh token at token": Case(
        lambda c, v: c.foreign.refresh(v),
        "rt_" + "x" * 43,
        _token("refresh_token"),
        lambda c, v: c.basic.refresh(v).status == 200,
    ),
    "code at token": Case(
        lambda c, v: c.foreign.redeem({"code": v, "verifier": VERIFIER}),
        "ac_" + "x" * 43,
        lambda c: c.grant(c.basic, code_challenge=challenge(VERIFIER)).code,
        lambda c, v: c.basic.redeem({"code": v, "verifier": VERIFIER}).status == 200,
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_s037_nothing_and_not_to_be_told_from_nothing(any_cast: Cast, name: str) -> None:
    """RFC 9068 §4, RFC 7662 §4, S037: the answer to another tenant's artefact is that to an invented one; nothing is written."""
    case = CASES[name]
    artefact = case.artefact(any_cast)
    before = {tenant.slug: _rows(any_cast.house, tenant) for tenant in (any_cast.acme, any_cast.globex)}
    foreign, invented = case.present(any_cast, artefact), case.present(any_cast, case.invented)
    harmless(foreign, [artefact])
    assert _told(foreign) == _told(invented)
    assert {tenant.slug: _rows(any_cast.house, tenant) for tenant in (any_cast.acme, any_cast.globex)} == before
    assert case.works(any_cast, artefact), "it still works at home"


def test_s037_credentials_of_a_client(any_cast: Cast) -> None:
    """RFC 6749 §2.3, S037: the same client_id at both tenants are two clients; secret and assertion are each one's own."""
    form = {"grant_type": "client_credentials"}
    refused(
        any_cast.house,
        any_cast.house.post(any_cast.globex, "/token", form, headers=any_cast.basic.auth),
        401,
        "invalid_client",
    )
    key = SigningKey.new("ES256")
    twin = any_cast.house.client(
        any_cast.globex, "signed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
    )
    fields = asserted(any_cast.signed, any_cast.key)
    refused(any_cast.house, any_cast.house.post(any_cast.globex, "/token", {**form, **fields}), 401, "invalid_client")
    refused(
        any_cast.house,
        any_cast.house.post(any_cast.acme, "/token", {**form, **asserted(twin, key)}),
        401,
        "invalid_client",
    )
    assert any_cast.signed.post("/token", {**form, **fields}).status == 200


def test_s037_session_and_browser(any_cast: Cast) -> None:
    """RFC 6265 §8.6, S037: path tenants share a host; a session of one is nobody at the other, under either name."""
    browser = any_cast.browser()
    browser.sign_in(any_cast.basic)
    stolen = any_cast.browser(any_cast.globex)
    stolen.cookies = {**browser.cookies, "s-globex": browser.cookies["s-acme"], "b-globex": browser.cookies["b-acme"]}
    answer = stolen.authorize(any_cast.foreign, verifier=VERIFIER, prompt="none")
    sent_back(any_cast.house, answer, any_cast.globex, "login_required", to=CALLBACK)


def test_s037_interaction(any_cast: Cast) -> None:
    """RFC 9700 §4.7, S037: an interaction of one tenant is unknown at the other, also with its browser's cookie."""
    browser = any_cast.browser()
    page = browser.follow(browser.authorize(any_cast.basic, verifier=VERIFIER))
    action, fields = page.form
    stolen = any_cast.browser(any_cast.globex)
    stolen.cookies = {"b-globex": browser.cookies["b-acme"]}
    there = action.replace("/t/acme/", "/t/globex/")
    for answer in (
        stolen.get(there),
        stolen.post(there, {**fields, "username": "ada@example.com", "password": "correct horse battery staple"}),
    ):
        harmless(answer)
        assert answer.status == 410


def test_s037_hints(any_cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1, S037: an ID token of another tenant is no hint, at authorize and at logout."""
    hint = any_cast.tokens(any_cast.basic)["id_token"]
    answer = any_cast.browser(any_cast.globex).authorize(any_cast.foreign, verifier=VERIFIER, id_token_hint=hint)
    sent_back(any_cast.house, answer, any_cast.globex, "invalid_request", to=CALLBACK)
    error_page(
        any_cast.house,
        any_cast.browser(any_cast.globex).get(f"{any_cast.globex.base_path}/logout?id_token_hint={hint}"),
    )


def test_s037_keys(any_cast: Cast) -> None:
    """RFC 7517 §4.5, S037: no kid and no key is shared, and each tenant publishes its own."""
    sets = [
        {key["kid"]: key for key in any_cast.house.get(tenant, "/jwks").json["keys"]}
        for tenant in (any_cast.acme, any_cast.globex)
    ]
    assert not sets[0].keys() & sets[1].keys()
    assert decoded(any_cast.tokens(any_cast.basic)["access_token"])[0]["kid"] in sets[0]
    assert decoded(any_cast.tokens(any_cast.foreign)["access_token"])[0]["kid"] in sets[1]


@pytest.mark.parametrize(
    "change", ["{}/", "{}x", "{}%00", "{}/../globex", "{}%2f..%2fglobex", "GLOBEX", "./{}", "{};x", "{} "]
)
def test_s037_an_address_is_one_tenants(cast: Cast, change: str) -> None:
    """RFC 3986 §6, S037: no second spelling of a tenant's address reaches it with another tenant's token."""
    token = cast.tokens(cast.basic)["access_token"]
    answer = cast.house.send(
        "GET", f"/t/{change.format('globex')}/userinfo", headers={"authorization": f"Bearer {token}"}
    )
    harmless(answer)
    assert answer.status in (401, 404)


def _told(answer: Answer) -> tuple[Any, ...]:
    body = {name: value for name, value in answer.json.items() if name != "correlation_id"} if answer.body else {}
    return answer.status, answer.headers, body


def _rows(house: House, tenant: Tenant) -> dict[str, list[str]]:
    with house.database(tenant).reading() as conn:
        return {
            table.name: sorted(map(repr, conn.execute(select(table)).all()))
            for table in db.metadatas["tenant"].sorted_tables
        }
