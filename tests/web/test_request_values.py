"""What the shared Request and Response promise: strict forms, combined headers, safe constructors."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.web.http import (
    FORM_TYPE,
    Headers,
    MalformedInput,
    Request,
    html_response,
    json_response,
    parse_cookies,
    parse_pairs,
    redirect,
)


def request(body=b"", content_type=FORM_TYPE, query=""):
    return Request(
        "POST",
        "https",
        "id.example",
        "/",
        query,
        Headers.of([("Content-Type", content_type)] if content_type else []),
        body,
    )


def test_form():
    """WHATWG URL §5.1: pairs in order, repeats kept, plus is a space, empty pieces skipped."""
    assert request(b"a=1&b=%C3%A9+x&a=2&&c&=v").form == [("a", "1"), ("b", "é x"), ("a", "2"), ("c", ""), ("", "v")]
    assert request(b"a=1", "application/x-www-form-urlencoded; charset=UTF-8").form == [("a", "1")]
    assert request(b"", None).form == []
    assert request(query="a=%2F&b=").args == [("a", "/"), ("b", "")]


@pytest.mark.parametrize(
    "body",
    [
        b"a=\xff",
        b"a=%ff",
        b"a=%C3",
        b"a=%",
        b"a=%4",
        b"a=%zz",
        b"a=\xc0\xaf",
        b"a=%ED%A0%80",
        b"&".join([b"a=1"] * 1001),
    ],
)
def test_malformed_form(body):
    """RFC 6749 App. B: not UTF-8, broken escapes and more than 1,000 fields are one clear error, never a guess."""
    with pytest.raises(MalformedInput) as refused:
        _ = request(body).form
    assert refused.value.status == 400
    with pytest.raises(MalformedInput):
        _ = request(query=body.decode("latin-1").replace("ÿ", "%ff").replace("À¯", "%c0%af")).args


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded2", None],
)
def test_other_media_types(content_type):
    """RFC 6749 §3.2: a body that is no form is not read as one."""
    with pytest.raises(MalformedInput):
        _ = request(b"a=1", content_type).form


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_an_error(body):
    """S111: no input makes another exception."""
    try:
        pairs = parse_pairs(body)
    except MalformedInput:
        return
    for name, value in pairs:
        (name + value).encode()


@given(st.text(max_size=200))
def test_any_cookie_header_is_read(text):
    """RFC 6265 §5.4: no Cookie header makes an exception."""
    assert all(isinstance(value, str) for value in parse_cookies(text).values())


def test_repeated_headers_combine():
    """RFC 9110 §5.3: lines combine with a comma, cookies with a semicolon (RFC 9113 §8.2.3)."""
    headers = Headers.of(
        [("Authorization", "Basic a"), ("authorization", "Basic b"), ("Cookie", "a=1"), ("Cookie", "b=2")]
    )
    assert headers.get("authorization") == "Basic a, Basic b"
    assert headers.all("authorization") == ["Basic a", "Basic b"]
    assert headers.get("cookie") == "a=1; b=2"
    assert headers.get("missing") is None
    assert "cookie" in headers
    assert "Basic" not in repr(headers)


def test_constructors():
    """OWASP ASVS 3.4: JSON is not stored unless the endpoint says so; pages say their encoding."""
    answer = json_response(200, {"a": "é\ud800"})
    assert json.loads(answer.body) == {"a": "é\ud800"}
    assert answer.header("cache-control") == "no-store"
    assert json_response(200, {}, [("cache-control", "public")]).header("cache-control") == "public"
    assert html_response(200, "é").header("content-type") == "text/html; charset=utf-8"


def test_redirect():
    """RFC 9110 §10.2.2: Location is ASCII and one line."""
    answer = redirect(303, "https://rp.example/cb?code=a%20b&state=é")
    assert answer.header("location") == "https://rp.example/cb?code=a%20b&state=%C3%A9"
    assert answer.header("cache-control") == "no-store"
    for url in ("https://a/\r\nSet-Cookie: x=1", "https://a/\x00"):
        with pytest.raises(ValueError, match="control"):
            redirect(303, url)
