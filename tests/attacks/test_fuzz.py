"""Anything at every endpoint of the table of features: an answer of ours, never a failure (RFC 9110 §15.5; security rule 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest
from cast import asserted
from house import CALLBACK, challenge
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import harmless

from idp.features import FEATURES

if TYPE_CHECKING:
    from cast import Cast

ADDRESSES = sorted({(method, one.path) for feature in FEATURES for one in feature.endpoints for method in one.methods})
NAMES = [
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "code_challenge",
    "code_challenge_method",
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "token",
    "token_type_hint",
    "access_token",
    "post_logout_redirect_uri",
    "interaction",
    "csrf",
    "action",
    "username",
    "password",
    "request",
    "request_uri",
    "claims",
]
GOOD = [
    "basic",
    "public",
    CALLBACK,
    "code",
    "form_post",
    "openid email",
    "none",
    "login",
    "0",
    challenge("v" * 43),
    "v" * 43,
    "S256",
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "rt_" + "x" * 43,
    "ac_" + "x" * 43,
    "eyJhbGciOiJFUzI1NiJ9.e30.AA",
    "0" * 32,
    "approve",
    "logout",
]
_values = (
    st.sampled_from(GOOD)
    | st.text(max_size=30)
    | st.sampled_from(["", "\x00", "\r\n", "ü", "\ud800", "\U0010ffff", "%", "'", '"', "{}", "[]", "x" * 20_000])
)
_pairs = st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=8), _values), max_size=10)
_headers = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "authorization",
                "cookie",
                "content-type",
                "origin",
                "accept",
                "sec-fetch-site",
                "if-none-match",
                "user-agent",
                "x-forwarded-host",
                "access-control-request-method",
            ]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
        | st.sampled_from(
            [
                "Basic YmFzaWM6eA==",
                "Bearer x",
                "application/json",
                "application/x-www-form-urlencoded",
                "null",
                "s-acme=x; b-acme=y",
                "=;=;;",
                "text/html;q=x",
                "*",
                "cross-site",
            ]
        ),
    ),
    max_size=5,
)


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@settings(max_examples=60, deadline=None)
@given(query=_pairs, form=_pairs, headers=_headers, raw=st.binary(max_size=40), is_raw=st.booleans())
def test_anything(cast: Cast, method: str, path: str, query, form, headers, raw: bytes, is_raw: bool) -> None:
    """RFC 9110 §15.5, security rule 10: any parameters, headers and bodies are answered below 500."""
    body = raw if is_raw else _encoded(form).encode()
    if not any(name == "content-type" for name, _ in headers):
        headers = [*headers, ("content-type", "application/x-www-form-urlencoded")]
    text = quote(raw) if is_raw else _encoded(query)
    answer = cast.house.send(
        method, f"{cast.acme.base_path}{path}?{text}", headers=headers, body=body if method == "POST" else b""
    )
    harmless(answer)
    assert (answer.header("location") or "/").startswith(("/", CALLBACK, cast.acme.issuer))


@settings(max_examples=250, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), _values, max_size=6))
def test_a_good_authorization_request_with_anything_in_it(cast: Cast, change: dict[str, str]) -> None:
    """RFC 6749 §4.1.2.1: a page, a step of ours, or the registered address; nothing else."""
    good = {
        "response_type": "code",
        "client_id": "basic",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "code_challenge": challenge("v" * 43),
        "code_challenge_method": "S256",
    }
    answer = cast.house.send("GET", f"{cast.acme.base_path}/authorize?{_encoded(list({**good, **change}.items()))}")
    harmless(answer)
    assert (answer.header("location") or f"{CALLBACK}?").startswith((f"{CALLBACK}?", f"{cast.acme.base_path}/login?"))


@settings(max_examples=250, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), _values, max_size=5),
    st.sampled_from(["/token", "/introspect", "/revoke"]),
    st.booleans(),
)
def test_an_authenticated_client_with_anything(cast: Cast, form: dict[str, str], path: str, is_signed: bool) -> None:
    """RFC 6749 §5.2: behind the client's authentication too, anything is a 4xx or an answer."""
    if is_signed:
        answer = cast.house.post(cast.acme, path, {**_sendable(form), **asserted(cast.signed, cast.key)})
    else:
        answer = cast.house.post(cast.acme, path, _sendable(form), headers=cast.basic.auth)
    harmless(answer)
    assert answer.header("cache-control") == "no-store"


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=30)
    | st.sampled_from(
        [
            "/t/acme",
            "/t/acme//token",
            "/t//token",
            "/t/acme/../globex",
            "/static/../setup.cfg",
            "//",
            "/t/acme/static/x",
        ]
    ),
    st.text(max_size=20),
)
def test_any_address(cast: Cast, path: str, host: str) -> None:
    """RFC 9110 §15.5.5: any path at any host is 404 or an answer."""
    from house import Answer

    from idp import opaque
    from idp.web.http import Headers, Request

    request = Request(
        "GET", "http", host, path, "", Headers.of([("host", host)]), b"", "127.0.0.1", opaque.new_correlation_id()
    )
    found = cast.house.router.respond(request)
    harmless(
        Answer(
            found.status, found.headers, found.body if "charset" in (found.header("content-type") or "charset") else b""
        )
    )


def _encoded(pairs: list[tuple[str, str]]) -> str:
    return urlencode(
        [(name.encode("utf-8", "surrogatepass"), value.encode("utf-8", "surrogatepass")) for name, value in pairs]
    )


def _sendable(form: dict[str, str]) -> dict[str, str]:
    return {name: value.encode("utf-8", "ignore").decode() for name, value in form.items()}
