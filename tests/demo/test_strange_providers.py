"""The demo application in front of an identity provider that answers wrongly: a page that says so, never a sign-in, never a 500."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from demo_world import Person, demo_application
from strange_provider import OTHER_KEY, strange_provider

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def provider():
    with strange_provider() as served:
        yield served


@pytest.fixture
def demo(provider):
    with demo_application(None, issuer=provider.issuer, registered=False, client_id="demo") as served:
        yield served


@pytest.fixture
def person(demo):
    return Person(demo.url)


def finish(person, provider):
    """Go through a sign-in as far as the callback."""
    answer = person.get("/sign-in", allow_redirects=False)
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    provider.claims.setdefault("nonce", asked["nonce"][0])
    return person.get(
        "/callback", params={"code": "planted-code-0123456789", "state": asked["state"][0], "iss": provider.issuer}
    )


def code_of(page) -> str:
    found = re.search(r'id="error-code">(.*?)</', page.text)
    return unescape(found[1]) if found else ""


def test_control_a_right_provider_signs_in(demo, provider, person):
    """Positive control: with nothing changed the sign-in succeeds, an opaque access token is said to be one."""
    page = finish(person, provider)
    assert (page.status_code, page.url) == (200, f"{demo.url}/")
    assert "RS256 signature checked" in page.text
    assert "It is opaque" in page.text
    assert "Refresh token" not in page.text


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>not here</html>",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"issuer": 5}',
        b"\xff\xfe",
        b"[" * 50_000,
        {"issuer": "https://evil.example"},
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_wrong_discovery_document_begins_nothing(provider, person, document):
    """OpenID Connect Discovery §4.3: a document that is none, or names another issuer, sends nobody anywhere."""
    provider.say(DISCOVERY, document)
    page = person.get("/sign-in")
    assert page.status_code == 502
    assert code_of(page) in ("issuer_mismatch", "unexpected_answer")


@pytest.mark.parametrize("suffix", ["/", "/t/other", "?"])
def test_a_document_that_is_right_but_for_the_issuer_begins_nothing(provider, person, suffix):
    """OpenID Connect Discovery §4.3: the issuer is compared as text; nobody is sent to endpoints of another one."""
    provider.say(DISCOVERY, provider.metadata() | {"issuer": provider.issuer + suffix})
    page = person.get("/sign-in")
    assert (page.status_code, code_of(page)) == (502, "issuer_mismatch")
    assert provider.issuer + suffix in page.text


@pytest.mark.parametrize("missing", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_a_document_without_an_endpoint(provider, person, missing):
    """OpenID Connect Discovery §3: what is missing ends in a page; without userinfo the person is signed in all the same."""
    provider.say(DISCOVERY, {name: value for name, value in provider.metadata().items() if name != missing})
    if missing == "authorization_endpoint":
        assert person.get("/sign-in").status_code == 502
        return
    page = finish(person, provider)
    assert page.status_code == (200 if missing == "userinfo_endpoint" else 502)
    assert ("You are signed in, but not all went well" in page.text) is (missing == "userinfo_endpoint")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": ["demo", "another-client"]},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"nonce": "of-another-sign-in"},
        {"nonce": None},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
    ids=repr,
)
def test_an_id_token_with_a_wrong_claim_signs_nobody_in(demo, provider, person, changes):
    """OpenID Connect Core §3.1.3.7, §3.1.3.8: iss, aud, exp, iat, nonce and at_hash are checked."""
    provider.claims = dict(changes)
    page = finish(person, provider)
    assert page.status_code == 502
    assert "The ID token was not accepted" in page.text
    assert demo.visits[-1].tokens is None


def test_an_id_token_signed_by_somebody_else_signs_nobody_in(demo, provider, person):
    """OpenID Connect Core §3.1.3.7 no. 6: the same kid, another key."""
    provider.key = OTHER_KEY
    page = finish(person, provider)
    assert "The ID token was not accepted" in page.text
    assert demo.visits[-1].tokens is None


def test_an_unsigned_id_token_signs_nobody_in(demo, provider, person):
    """RFC 8725 §2.1: alg none is no signature."""
    signed = provider.id_token()
    provider.say(
        "/token",
        {"access_token": "x" * 40, "token_type": "Bearer", "id_token": f"eyJhbGciOiJub25lIn0.{signed.split('.')[1]}."},
    )
    page = finish(person, provider)
    assert page.status_code == 502
    assert demo.visits[-1].tokens is None


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (200, {"token_type": "Bearer"}),
        (200, {"access_token": "x" * 40, "token_type": "Bearer"}),
        (200, {"access_token": 5, "token_type": "Bearer", "id_token": 5}),
        (200, {"access_token": "x" * 40, "token_type": "Bearer", "id_token": "a.b.c"}),
        (200, []),
        (200, b"<html>"),
        (500, b"<html>secret-planted</html>"),
        (400, {"error": {"nested": 1}}),
        (400, {"error": "invalid_grant", "error_description": 5}),
        (400, {"error": "<script>alert(1)</script>", "error_description": "<img src=x onerror=alert(1)>"}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_strange_token_response_is_a_page(demo, provider, person, status, document):
    """RFC 6749 §5.1, §5.2: whatever comes, nobody is signed in and nothing of it is taken for HTML."""
    provider.say("/token", document, status)
    page = finish(person, provider)
    assert page.status_code in (400, 502)
    assert demo.visits[-1].tokens is None
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "secret-planted" not in page.text


def test_credentials_follow_no_redirect(provider, person):
    """RFC 9700 §4.12 in spirit: a redirect of the token endpoint takes code and secret nowhere."""
    provider.say("/token", b"", 307, location=f"{provider.issuer}/elsewhere")
    page = finish(person, provider)
    assert page.status_code == 502
    assert "/elsewhere" not in [path for _, path, _ in provider.asked]


def test_userinfo_about_somebody_else_is_not_used(demo, provider, person):
    """OpenID Connect Core §5.3.2: the sub has to be that of the ID token."""
    provider.say("/userinfo", {"sub": "u2", "name": "Mallory"})
    page = finish(person, provider)
    assert "Userinfo is about somebody else" in page.text
    assert demo.visits[-1].tokens.userinfo is None
    assert "<bdi>Mallory" not in page.text


def test_a_refresh_never_changes_whom_it_is_about(demo, provider, person):
    """OpenID Connect Core §12.2: another sub in the new ID token throws the new tokens away."""
    right = provider.right

    def with_refresh_token(path):
        return right(path) | ({"refresh_token": "refresh-token-0123456789abcdefghij"} if path == "/token" else {})

    provider.right = with_refresh_token
    finish(person, provider)
    before = demo.visits[-1].tokens
    provider.claims |= {"sub": "u2", "nonce": None}
    page = person.post("/refresh")
    assert code_of(page) == "wrong_subject"
    assert demo.visits[-1].tokens is before


@pytest.mark.parametrize("answer", [b"", b"[]", {"active": "yes"}, {}])
def test_a_strange_introspection_is_a_page(provider, person, answer):
    """RFC 7662 §2.2: active is a boolean; anything else is no answer."""
    finish(person, provider)
    provider.say("/introspection", answer)
    page = person.post("/introspect", {"token": "access"})
    assert (page.status_code, code_of(page)) == (502, "unexpected_answer")


def test_hostile_values_are_text(provider, person):
    """ASVS 1.2: claims, error texts and HTTP fields are shown, not run."""
    provider.claims = {
        "name": "<script>alert(1)</script>",
        "<b>": "\u202e<i>",
        "exp": 10**30,
        "deep": {"a": [{"b": "<u>"}]},
    }
    provider.say("/userinfo", {"sub": "u1", "name": "<script>alert(2)</script>"}, x_evil="<script>alert(3)</script>")
    page = finish(person, provider)
    assert page.status_code == 200
    assert "&lt;script&gt;alert(2)" in page.text
    assert re.search(r"<script|<b>|<i>|<u>", page.text) is None
