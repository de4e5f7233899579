"""Attacks on client authentication (RFC 6749 §2.3, RFC 9700 §2.5): two methods, the wrong one, and everything a header can hold."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import pytest
from cast import JWT_BEARER, asserted
from house import basic
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import harmless, refused, spooled
from sqlalchemy import update

from idp.clock import now
from idp.store.tenant.clients import clients

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, House, RelyingParty

    from idp.tenancy.tenant import Tenant

ENDPOINTS = ("/token", "/introspect", "/revoke")
FORM = {"grant_type": "client_credentials", "token": "x"}


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("rest", ["right", "wrong"])
def test_s024_more_than_one_method(cast: Cast, path: str, rest: str) -> None:
    """RFC 6749 §2.3, S024: not more than one in a request, even if each is right; neither is looked at."""
    header = cast.basic.auth
    secret = {"client_id": "basic", "client_secret": cast.basic.secret or "" if rest == "right" else "wrong"}
    assertion = asserted(cast.signed, cast.key)
    for form, headers in (
        (secret, header),
        (assertion, header),
        ({**secret, **assertion}, {}),
        ({**secret, **assertion}, header),
    ):
        answer = cast.house.post(cast.acme, path, {**FORM, **form}, headers=headers)
        assert answer.json["error"] in ("invalid_request", "invalid_client")
        refused(cast.house, answer, answer.status, answer.json["error"], withheld=[cast.basic.secret or ""])
        assert answer.status in (400, 401)
    spent = cast.house.post(cast.acme, path, {**FORM, **assertion})
    assert spent.status == 200, "the assertion was not spent by a request that was refused"


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("kind", ["basic", "post", "signed", "lax"])
def test_s025_the_id_alone_is_no_authentication(any_cast: Cast, path: str, kind: str) -> None:
    """RFC 6749 §3.2.1, S025: a confidential client by its id alone, as `none`, or with an empty secret: 401 everywhere."""
    client_id = getattr(any_cast, kind).client_id
    tries = [
        ({"client_id": client_id}, {}),
        ({"client_id": client_id, "client_secret": ""}, {}),
        ({"client_id": client_id, "client_assertion": "", "client_assertion_type": ""}, {}),
        ({"client_id": client_id, "client_assertion_type": JWT_BEARER}, {}),
        ({}, basic(client_id, "")),
        ({"client_id": client_id}, basic(client_id, "")),
        ({}, {"authorization": "Basic " + base64.b64encode(client_id.encode()).decode()}),
    ]
    for form, headers in tries:
        refused(
            any_cast.house,
            any_cast.house.post(any_cast.acme, path, {**FORM, **form}, headers=headers),
            401,
            "invalid_client",
        )


@pytest.mark.parametrize("path", ENDPOINTS)
def test_s025_another_method_than_registered(cast: Cast, path: str) -> None:
    """RFC 7591 §2 (token_endpoint_auth_method), S025: the right secret by the wrong method is refused, each way round."""
    for form, headers in (
        ({"client_id": "basic", "client_secret": cast.basic.secret or ""}, {}),
        ({}, basic("post", cast.post.secret or "")),
        ({}, basic("public", "x")),
        ({"client_id": "public", "client_secret": "x"}, {}),
        ({}, basic("signed", "x")),
        ({"client_id": "signed", "client_secret": "x"}, {}),
    ):
        answer = cast.house.post(cast.acme, path, {**FORM, **form}, headers=headers)
        record = refused(
            cast.house, answer, 401, "invalid_client", withheld=[cast.basic.secret or "", cast.post.secret or ""]
        )
        assert record["check"] == "client_authentication"


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_failure_is_the_same_answer(cast: Cast, path: str) -> None:
    """RFC 9700 §4.13, security rule 7: unknown client, wrong secret, wrong method and a disabled client are told apart by nobody."""
    with cast.house.installation.feed.announced(cast.acme.id, "client", "off"):
        off = cast.house.client(cast.acme, f"off-{path[1:]}")
        change = update(clients).where(clients.c.client_id == off.client_id)
        cast.house.database(cast.acme).writing(lambda conn: conn.execute(change.values(state="disabled")))
    tries = [
        basic("nobody", "x"),
        basic("basic", "x"),
        basic("post", cast.post.secret or ""),
        basic(off.client_id, off.secret or ""),
    ]
    answers = [cast.house.post(cast.acme, path, FORM, headers=headers) for headers in tries]
    assert len({_without_id(answer) for answer in answers}) == 1
    assert all(answer.status == 401 for answer in answers)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "basic",
        "Basic  ",
        "Basic =",
        "Basic ====",
        "Basic !!!!",
        "Basic YQ",
        "Basic YTpi YTpi",
        "Basic YTpi, Basic YTpi",
        "Basic \xff\xfe",
        "Basic ü",
        "Bearer x",
        "Digest username=x",
        "Negotiate x",
        "BasicYTpi",
        "Basic\tYTpi",
        "Basic " + "A" * 100_000,
        "Basic " + base64.b64encode(b"basic").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"basic:").decode(),
        "Basic " + base64.b64encode(b":secret").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic " + base64.b64encode(b"basic:\x00").decode(),
        "Basic " + base64.b64encode(b"ba\x00sic:x").decode(),
        "Basic " + base64.b64encode("bäsic:gehëim ✓".encode()).decode(),
        "Basic " + base64.b64encode(b"basic:%").decode(),
        "Basic " + base64.b64encode(b"basic:%zz").decode(),
        "Basic " + base64.b64encode(b"basic:%ff%fe").decode(),
        "Basic " + base64.b64encode(b"basic:%00").decode(),
        "Basic " + base64.b64encode(b"%00:x").decode(),
        "Basic " + base64.b64encode(b"basic%3Ax").decode(),
        "Basic " + base64.b64encode(b"basic:a\r\nb: c").decode(),
        "Basic " + base64.urlsafe_b64encode(b"basic:\xfb\xef\xff\xfe").decode(),
        "Basic " + base64.b64encode(b"'; DROP TABLE clients --:x").decode(),
        "Basic " + base64.b64encode(b"basic:" + b"x" * 200_000).decode(),
    ],
)
def test_s026_any_basic_header(any_cast: Cast, header: str) -> None:
    """RFC 6749 §2.3.1, RFC 7617 §2, S026: 401 with a challenge that has a realm, never a failure."""
    for path in ENDPOINTS:
        answer = any_cast.house.post(any_cast.acme, path, FORM, headers={"authorization": header})
        refused(any_cast.house, answer, 401, "invalid_client")
        assert answer.header("www-authenticate") == 'Basic realm="client", charset="UTF-8"'


@pytest.mark.parametrize(
    "secret", ["ü", "✓" * 100, "a\x00b", "\x00", "x" * 1_000_000, " ", "\r\n", "'--", "\ufeff", "\U0001f600"]
)
def test_s026_any_secret_in_the_body(any_cast: Cast, secret: str) -> None:
    """RFC 6749 §2.3.1, S026: a wrong secret is wrong, whatever it is made of."""
    answer = any_cast.house.post(any_cast.acme, "/token", {**FORM, "client_id": "post", "client_secret": secret})
    assert answer.status in (400, 401)
    refused(any_cast.house, answer, answer.status, "invalid_client" if answer.status == 401 else "invalid_request")


@pytest.mark.parametrize("secret", ["a:b", "a%b", "a+b", "a b", "ü:✓%", "%3A", "a%2Bb", "&=?"])
def test_s026_a_secret_is_form_encoded(house: House, acme: Tenant, secret: str) -> None:
    """RFC 6749 §2.3.1, Appendix B, S026: both halves are form-encoded; a colon, a percent or a plus in a secret is found again."""
    from idp import opaque

    rp = house.client(acme, "odd: name+%")
    change = update(clients).values(secret_hash=opaque.digest(secret))
    with house.installation.feed.announced(acme.id, "client", rp.client_id):
        house.database(acme).writing(lambda conn: conn.execute(change))
    header = basic(quote_plus(rp.client_id), quote_plus(secret))
    assert house.post(acme, "/token", FORM, headers=header).status == 200
    assert (
        house.post(acme, "/token", FORM, headers=basic(quote_plus(rp.client_id), quote_plus(secret + "x"))).status
        == 401
    )


def test_s026_an_expired_secret(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """RFC 7591 §3.2.1 (client_secret_expires_at), S026: refused from that second on."""
    for expires, status in ((now() + 100, 200), (0, 200), (now(), 401), (now() - 1000, 401), (1, 401)):
        change = update(clients).values(secret_expires_at=expires)
        with house.installation.feed.announced(acme.id, "client", rp.client_id):
            house.database(acme).writing(lambda conn, change=change: conn.execute(change))
        assert rp.post("/token", FORM).status == status, expires


def test_a_secret_of_another_client_or_tenant(cast: Cast) -> None:
    """RFC 6749 §2.3.1, S037: a secret is one client's at one tenant; the same client_id elsewhere is another client."""
    for headers in (basic("basic", cast.lax.secret or ""), basic("basic", cast.foreign.secret or "")):
        refused(cast.house, cast.house.post(cast.acme, "/token", FORM, headers=headers), 401, "invalid_client")


def test_secrets_stay_out_of_the_records(cast: Cast) -> None:
    """RFC 6749 §10, security rule 9: neither a right nor a wrong credential is written down."""
    form = {"client_id": "post", "client_secret": "planted-secret-in-the-body"}
    cast.house.post(cast.acme, "/token", {**FORM, **form})
    cast.house.post(cast.acme, "/token", FORM, headers=basic("basic", "planted-secret-in-the-header"))
    cast.house.post(
        cast.acme, "/token", {"grant_type": "planted-grant", "code": "planted-code"}, headers=cast.basic.auth
    )
    fields = asserted(cast.signed, cast.key, aud="https://wrong.example")
    cast.house.post(cast.acme, "/token", {**FORM, **fields})
    written = repr(spooled(cast.house))
    assert "planted-grant" in written
    for secret in (
        "planted-secret",
        "planted-code",
        fields["client_assertion"],
        cast.basic.secret or "",
        cast.post.secret or "",
    ):
        assert secret not in written


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["Basic ", "basic ", "Basic", ""]))
def test_any_bytes_in_the_header(cast: Cast, raw: bytes, scheme: str) -> None:
    """RFC 7617 §2: any credentials are refused, never a failure."""
    for value in (base64.b64encode(raw).decode(), raw.decode("latin-1")):
        answer = cast.house.post(cast.acme, "/token", FORM, headers={"authorization": scheme + value})
        harmless(answer)
        assert answer.status in (400, 401)


def _without_id(answer: Answer) -> tuple[object, ...]:
    body = {name: value for name, value in answer.json.items() if name != "correlation_id"}
    return answer.status, tuple(answer.headers), tuple(body.items())


def test_only_who_used_the_header_is_challenged(any_cast: Cast) -> None:
    """RFC 6749 §5.2: the challenge belongs to the Authorization header; credentials in the body get 401 and the error alone."""
    form = {**FORM, "client_id": "post", "client_secret": "wrong"}
    for path in ENDPOINTS:
        answer = any_cast.house.post(any_cast.acme, path, form)
        refused(any_cast.house, answer, 401, "invalid_client")
        assert answer.header("www-authenticate") is None
