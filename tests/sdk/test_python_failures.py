"""The Python SDK when servers and networks fail, and the steps of a sign-in that this server does not ask: in front of a scripted server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from scripted import Asked, Says, Scripted, problem, tokens

import authsec
from authsec import AsyncAuthSecClient, AuthSecClient, Retries
from authsec.calls import Call
from authsec.flow import Request, Token
from authsec.retries import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = Retries(times=3, longest=2.0, first=0.01)
GROUPS = "/uflow/tenants/acme/groups"
ONE = f"{GROUPS}/1"
FAR = "Mon, 01 Jan 2024 00:00:00 +99999999999999"  # a time zone that no clock has


@pytest.fixture
def client(scripted: Scripted) -> Iterator[AuthSecClient]:
    with AuthSecClient(scripted.url, tenant="acme", access_token="t", retries=QUICK) as made:
        yield made


@pytest.fixture
def signed_in(scripted: Scripted) -> Iterator[AuthSecClient]:
    scripted.is_issuer()
    with AuthSecClient(scripted.url, tenant="acme", retries=QUICK) as made:
        made.login("ada@acme.example", "secret")
        yield made


# -- retries ------------------------------------------------------------------------------------------------------------


def test_too_many_requests_are_waited_for(client: AuthSecClient, scripted: Scripted) -> None:
    """RFC 9110 §10.2.3, Interfaces §6: 429 is tried again after Retry-After, whatever the method, with the same request."""
    late = problem(429, "too_many_requests", headers={"retry-after": "1"})
    scripted.says(ONE, late, Says(body={"id": "1"}))
    assert client.groups.update("1", name="x") == {"id": "1"}
    assert [each.body for each in scripted.asked] == [b'{"name":"x"}'] * 2
    scripted.says(ONE, problem(429, "too_many_requests", headers={"retry-after": "90"}))
    with pytest.raises(authsec.TooManyRequests) as refused:
        client.groups.get("1")
    assert refused.value.retry_after == 90
    assert scripted.times(ONE) == 3, "who must wait longer than is allowed is told at once"


@pytest.mark.parametrize("failure", [Says(503), Says(502, b"<html>"), Says(body=None)], ids=["503", "502", "hang up"])
def test_passing_failures(client: AuthSecClient, scripted: Scripted, failure: Says) -> None:
    """RFC 9110 §9.2.2, Interfaces §6: what is harmless to do twice is tried again; anything else is not."""
    scripted.says(ONE, failure, failure, Says(body={"id": "1"}))
    assert client.groups.get("1") == {"id": "1"}
    scripted.says(GROUPS, failure, Says(201, {"id": "1"}))
    client.groups.create(name="x")
    keys = {each.headers["idempotency-key"] for each in scripted.asked if each.method == "POST"}
    assert len(keys) == 1, "the repeated create is the same one"
    scripted.says(ONE, failure, Says(body={"id": "1"}))
    with pytest.raises((authsec.ServerError, authsec.ConnectionFailed)):
        client.groups.update("1", name="x")
    assert [each.method for each in scripted.asked].count("PATCH") == 1


def test_it_gives_up(client: AuthSecClient, scripted: Scripted) -> None:
    """Interfaces §6: after the last attempt the refusal stands, also where something in between has answered."""
    scripted.says(ONE, Says(502, b"<html>", {"x-correlation-id": "ABC"}))
    with pytest.raises(authsec.ServerError) as refused:
        client.groups.get("1")
    assert (refused.value.status, refused.value.code, refused.value.request_id) == (502, "", "ABC")
    assert scripted.times(ONE) == 4


def test_nobody_there() -> None:
    """Interfaces §6: no server is a ConnectionFailed with its reason."""
    client = AuthSecClient("http://127.0.0.1:9", access_token="t", retries=Retries(times=1, first=0.01))
    with pytest.raises(authsec.ConnectionFailed) as failed:
        client.groups.list()
    assert isinstance(failed.value.__cause__, httpx.ConnectError)


def test_no_redirect_is_followed(client: AuthSecClient, scripted: Scripted) -> None:
    """RFC 6750 §5.2: a token is not carried to another address by a redirect."""
    scripted.says(ONE, Says(302, headers={"location": f"{scripted.url}/elsewhere"}))
    with pytest.raises(authsec.ApiError):
        client.groups.get("1")
    assert scripted.times("/elsewhere") == 0


def test_answers_that_are_none(client: AuthSecClient, scripted: Scripted) -> None:
    """Interfaces §6: what is no JSON object is not passed on as one; unknown members and values are."""
    packed = {"content-encoding": "gzip"}
    for says in (
        *(Says(body=body) for body in (b"", b"[]", b"nonsense", b"[" * 100_000)),
        Says(body=b"x", headers=packed),
    ):
        scripted.says(ONE, says)
        with pytest.raises(authsec.UnexpectedAnswer):
            client.groups.get("1")
    for page in ({}, {"items": None}):
        scripted.says(GROUPS, Says(body=page))
        with pytest.raises(authsec.UnexpectedAnswer):
            list(client.groups.iterate())
    for errors in (["x"], {"a": 1}, 5, [None]):
        scripted.says(ONE, Says(400, {"errors": errors}))
        with pytest.raises(authsec.InvalidRequest) as refused:
            client.groups.get("1")
        assert refused.value.errors == ()
    scripted.says(ONE, Says(body={"id": "1", "colour": "blue"}))
    assert client.groups.get("1") == {"id": "1", "colour": "blue"}


def test_a_list_in_a_circle(client: AuthSecClient, scripted: Scripted) -> None:
    """Interfaces §5: a cursor that leads to itself ends the iteration instead of going on for ever."""
    scripted.says(GROUPS, Says(body={"items": [{"id": "1"}], "next": "c"}))
    with pytest.raises(authsec.UnexpectedAnswer):
        list(client.groups.iterate())
    assert scripted.times(GROUPS) == 2


def test_lines_that_break_off(client: AuthSecClient, scripted: Scripted) -> None:
    """RFC 9112 §8, Interfaces §6: half an export is not taken for a whole one; a line that is no object is refused."""
    where = "/uflow/tenants/acme/audit-events/export"
    scripted.says(where, Says(body=b'{"id": "1"}\n{"id": "2"}\n', headers={"x-length": "99"}))
    got = []
    with pytest.raises(authsec.ConnectionFailed):
        got.extend(client.audit.export_events())
    scripted.says(where, Says(body=b'{"id": "1"}\nnonsense\n'))
    with pytest.raises(authsec.UnexpectedAnswer):
        list(client.audit.export_events())
    scripted.says(where, Says(503), Says(body=b'{"id": "1"}\n{"id": "2"}\n'))
    assert [event["id"] for event in client.audit.export_events()] == ["1", "2"]


def test_what_is_sent(client: AuthSecClient, scripted: Scripted) -> None:
    """Interfaces §6: who asks is named; parameters that are left out are not sent; truth is spelled as in JSON."""
    scripted.says("/uflow/tenants/acme/roles", Says(body={"items": []}))
    client.roles.list(is_built_in=True, sort="-name")
    asked = scripted.asked[0]
    assert asked.path == "/uflow/tenants/acme/roles?is_built_in=true&sort=-name"
    assert asked.headers["user-agent"].startswith(f"authsec-sdk-python/{authsec.__version__} ")
    assert asked.headers["authorization"] == "Bearer t"


def test_retry_after_in_both_forms() -> None:
    """RFC 9110 §10.2.3: seconds or a date; nonsense counts as nothing."""
    assert retry_after({"retry-after": "17"}) == 17
    assert retry_after({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}) == 0
    assert (retry_after({"retry-after": "Fri, 31 Dec 2199 23:59:59 GMT"}) or 0) > 1e9
    assert [retry_after({"retry-after": text}) for text in ("", "soon", "-1", "1.5", FAR)] == [None] * 5
    assert retry_after({"retry-after": "00000000005"}) == 5
    assert (retry_after({"retry-after": "9" * 5000}) or 0) >= 1e9


# -- signing in ---------------------------------------------------------------------------------------------------------


def test_the_requests_of_a_sign_in(signed_in: AuthSecClient, scripted: Scripted) -> None:
    """First-Party Apps §5.1, RFC 7636 §4, RFC 8707 §2: PKCE with S256, all services, no password at the token endpoint."""
    challenge, redeemed = (each.form for each in scripted.asked if each.method == "POST")
    assert challenge["client_id"] == redeemed["client_id"] == "authsec-sdk"
    assert (challenge["username"], challenge["password"]) == ("ada@acme.example", "secret")
    assert challenge["scope"] == "openid authsec"
    assert challenge["code_challenge_method"] == "S256"
    body = next(each.body for each in scripted.asked if each.path.endswith("/challenge"))
    assert body.count(b"resource=") == len(signin_services())
    assert redeemed["grant_type"] == "authorization_code"
    assert len(redeemed["code_verifier"]) == 64
    assert "secret" not in str(redeemed)
    assert "redirect_uri" not in redeemed
    assert signed_in.is_signed_in


def signin_services() -> tuple[str, ...]:
    from authsec._generated.resources import SERVICES

    return SERVICES


def test_a_second_factor(scripted: Scripted) -> None:
    """First-Party Apps §5.2.2.1, Interfaces §6: MFA is an error of its own with the methods, and a way to go on."""
    issuer = scripted.is_issuer()
    needs = {"error": "insufficient_authorization", "auth_session": "as_1", "fields": ["code"], "step": "mfa"}
    wrong = [{"field": "code", "detail": "The code is not right"}]
    scripted.says(
        "/t/acme/challenge",
        Says(403, {**needs, "methods": ["totp", "webauthn"]}),
        Says(403, {**needs, "auth_session": "as_2", "methods": ["totp"], "errors": wrong}),
        Says(body={"authorization_code": "code-1"}),
    )
    client = AuthSecClient(scripted.url, tenant="acme")
    with pytest.raises(authsec.MfaRequired) as needed:
        client.login("ada@acme.example", "secret")
    assert needed.value.methods == ("totp", "webauthn")
    assert needed.value.auth_session == "as_1"
    with pytest.raises(authsec.MfaRequired, match="The code is not right"):
        client.continue_login(code="000000")
    client.continue_login(code="123456")
    assert client.is_signed_in
    forms = [each.form for each in scripted.asked if each.path == "/t/acme/challenge"]
    assert forms[2] == {"client_id": "authsec-sdk", "auth_session": "as_2", "code": "123456"}
    with pytest.raises(authsec.SignInError, match="login"):
        client.continue_login(code="123456")
    assert issuer


@pytest.mark.parametrize(
    ("says", "error", "text"),
    [
        (Says(403, {"error": "redirect_to_web"}), authsec.WebSignInRequired, "browser"),
        (Says(400, {"error": "invalid_session", "error_description": "It ended."}), authsec.SignInRefused, "It ended"),
        (Says(401, {"error": "invalid_client"}), authsec.SignInRefused, "invalid_client"),
        (Says(429, {"error": "too_many_requests"}, {"retry-after": "99"}), authsec.TooManyRequests, "429"),
        (Says(503, {"error": "temporarily_unavailable"}, {"retry-after": "9"}), authsec.SignInRefused, "503"),
        (Says(500, b"<html>"), authsec.ServerError, "500"),
        (Says(200, {}), authsec.UnexpectedAnswer, "code"),
        (Says(403, {"error": "insufficient_authorization", "step": "login"}), authsec.SignInRefused, "insufficient"),
    ],
)
def test_sign_ins_that_fail(scripted: Scripted, says: Says, error: type[Exception], text: str) -> None:
    """First-Party Apps §5.2.2, Interfaces §6: each refusal of a sign-in is an error of its own, and nobody is signed in."""
    scripted.is_issuer()
    scripted.says("/t/acme/challenge", says)
    client = AuthSecClient(scripted.url, tenant="acme")
    with pytest.raises(error, match=text):
        client.login("ada@acme.example", "secret")
    assert not client.is_signed_in
    assert scripted.times("/t/acme/challenge") == 1, "a password is not sent twice"


def test_the_web_address(scripted: Scripted) -> None:
    """First-Party Apps §5.2.2.1.1, RFC 9126 §4: a pushed request is shown as the address to open."""
    issuer = scripted.is_issuer()
    scripted.says("/t/acme/challenge", Says(403, {"error": "redirect_to_web", "request_uri": "urn:x:1"}))
    with pytest.raises(authsec.WebSignInRequired) as needed:
        AuthSecClient(scripted.url, tenant="acme").login("ada@acme.example", "secret")
    assert needed.value.uri == f"{issuer}/authorize?client_id=authsec-sdk&request_uri=urn%3Ax%3A1"


def test_another_issuer_gets_no_password(scripted: Scripted) -> None:
    """RFC 8414 §3.3, RFC 9207: metadata of another issuer, or addresses without TLS, are not believed."""
    issuer = scripted.is_issuer()
    where = "/t/acme/.well-known/oauth-authorization-server"
    good = {f"{name}_endpoint": issuer for name in ("authorization_challenge", "token", "revocation", "authorization")}
    for document, error in (
        ({**good, "issuer": f"{issuer}x"}, authsec.UnexpectedAnswer),
        ({"issuer": issuer}, authsec.UnexpectedAnswer),
        ({**good, "issuer": issuer, "authorization_challenge_endpoint": "http://id.example.com/c"}, ValueError),
    ):
        scripted.says(where, Says(body=document))
        with pytest.raises(error):
            AuthSecClient(scripted.url, tenant="acme").login("ada@acme.example", "secret")
    assert not [each for each in scripted.asked if each.method == "POST"]


# -- renewing -----------------------------------------------------------------------------------------------------------


def due(client: AuthSecClient) -> None:
    session = client._connection.session
    assert session is not None
    session.renew_at = 0


def test_one_renewal_for_many(signed_in: AuthSecClient, scripted: Scripted) -> None:
    """RFC 9700 §4.14.2, Interfaces §6: however many callers wait, the refresh token is used once."""
    scripted.says("/t/acme/token", Says(body=tokens(2)))
    scripted.says(GROUPS, Says(body={"items": []}))
    due(signed_in)
    before = scripted.times("/t/acme/token")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: signed_in.groups.list(), range(16)))
    assert scripted.times("/t/acme/token") == before + 1
    assert {each.headers["authorization"] for each in scripted.asked if each.path == GROUPS} == {"Bearer access-2"}


def test_a_lost_answer_is_asked_for_again(signed_in: AuthSecClient, scripted: Scripted) -> None:
    """RFC 9700 §4.14.2: a renewal whose answer was lost is repeated with the same token, within the server's grace."""
    scripted.says("/t/acme/token", Says(body=None), Says(body=tokens(2)))
    scripted.says(GROUPS, Says(body={"items": []}))
    due(signed_in)
    signed_in.groups.list()
    used = [each.form.get("refresh_token") for each in scripted.asked if each.path == "/t/acme/token"]
    assert used == [None, "refresh-1", "refresh-1"]
    due(signed_in)
    signed_in.groups.list()
    assert scripted.asked[-2].form["refresh_token"] == "refresh-2"


def test_a_renewal_that_fails_does_no_harm(signed_in: AuthSecClient, scripted: Scripted) -> None:
    """Interfaces §6: tokens are renewed early, so that a server that is away for a moment does not matter."""
    scripted.says(GROUPS, Says(body={"items": []}))
    due(signed_in)
    for says in (Says(503), Says(403, b"<html>who are you?"), problem(429, "x", headers={"retry-after": "90"})):
        scripted.says("/t/acme/token", says)
        signed_in.groups.list()
    assert scripted.asked[-1].headers["authorization"] == "Bearer access-1"


def test_a_refused_token_is_renewed_once(signed_in: AuthSecClient, scripted: Scripted) -> None:
    """RFC 6750 §3.1: 401 renews and repeats; a second 401 stands."""
    scripted.says("/t/acme/token", Says(body=tokens(2)))
    scripted.says(GROUPS, problem(401, "invalid_token"))
    with pytest.raises(authsec.NotAuthenticated):
        signed_in.groups.list()
    sent = [each.headers["authorization"] for each in scripted.asked if each.path == GROUPS]
    assert sent == ["Bearer access-1", "Bearer access-2"]


def test_an_ended_session_asks_no_more(signed_in: AuthSecClient, scripted: Scripted) -> None:
    """RFC 6749 §5.2, Interfaces §6: when a refresh token was refused, callers are told so without another question."""
    scripted.says("/t/acme/token", Says(400, {"error": "invalid_grant"}))
    due(signed_in)
    before = scripted.times("/t/acme/token")
    for _ in range(3):
        with pytest.raises(authsec.SessionEnded):
            signed_in.groups.list()
    assert scripted.times("/t/acme/token") == before + 1


def test_signing_out(signed_in: AuthSecClient, scripted: Scripted) -> None:
    """RFC 7009 §2.1, Interfaces §6: the refresh token is revoked; the tokens are forgotten even where that fails."""
    scripted.says("/t/acme/revoke", Says(500))
    with pytest.raises(authsec.ServerError):
        signed_in.logout()
    assert scripted.asked[-1].form == {"token": "refresh-1", "client_id": "authsec-sdk"}
    assert not signed_in.is_signed_in
    signed_in.logout()


def test_nothing_secret_is_shown(signed_in: AuthSecClient) -> None:
    """ASVS 14.2.4: neither tokens nor passwords stand in what is printed of a client."""
    connection = signed_in._connection
    shown = repr(signed_in) + repr(connection) + repr(connection.session) + repr(vars(connection))
    shown += repr(Token("access-1")) + repr(Call("POST", "/", body={"password": "secret"}))
    shown += repr(Request("POST", "/", {"authorization": "Bearer access-1"}, b"secret", (("password", "secret"),)))
    assert all(each not in shown for each in ("access-1", "refresh-1", "secret"))


def test_a_token_from_a_file(scripted: Scripted) -> None:
    """RFC 6750 §2.1, ASVS 14.2.4: a newline at its end is none of the token's; what cannot be a token is refused without being shown."""
    scripted.says(GROUPS, Says(body={"items": []}))
    AuthSecClient(scripted.url, tenant="acme", access_token="access-1\n").groups.list()
    assert scripted.asked[-1].headers["authorization"] == "Bearer access-1"
    for bad in ("access\n1", "access 1", "äccess", "", "\n"):
        for kind in (AuthSecClient, AsyncAuthSecClient):
            with pytest.raises(ValueError, match="no bearer token") as refused:
                kind(scripted.url, access_token=bad)
            assert "ccess" not in str(refused.value).replace("access_token", "")


def test_the_awaiting_one_renews_once_too(scripted: Scripted) -> None:
    """RFC 9700 §4.14.2, Interfaces §6: tasks that wait share one renewal, which outlives the one that began it."""
    scripted.is_issuer()
    scripted.says(GROUPS, Says(body={"items": []}))

    async def walk() -> None:
        async with AsyncAuthSecClient(scripted.url, tenant="acme", retries=QUICK) as client:
            await client.login("ada@acme.example", "secret")
            session = client._connection.session
            assert session is not None
            session.renew_at = 0
            scripted.says("/t/acme/token", slow)
            tasks = [asyncio.ensure_future(client.groups.list()) for _ in range(10)]
            await asyncio.sleep(0.05)
            tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert session.refresh_token == "refresh-2"

    def slow(asked: Asked) -> Says:
        import time

        time.sleep(0.2)
        assert asked.form["refresh_token"] == "refresh-1"
        return Says(body=tokens(2))

    asyncio.run(walk())
    assert scripted.times("/t/acme/token") == 2
