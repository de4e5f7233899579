"""Security.md 'Browser rules', S094, S095: headers, cookies, form tokens, origins and cross-origin reading."""

from __future__ import annotations

import httpx
import pytest

from idp.errors import refusal_of
from idp.web import cookies, cors, csrf, headers
from idp.web.http import Headers, Request

KEY = b"k" * 32


def post(form="", origin=None, site=None, cookie=None, method="POST", content_type="application/x-www-form-urlencoded"):
    items = [("content-type", content_type)]
    items += [("origin", origin)] if origin is not None else []
    items += [("sec-fetch-site", site)] if site is not None else []
    items += [("cookie", cookie)] if cookie is not None else []
    return Request(method, "https", "id.example", "/login", "", Headers(items), form.encode())


class TestPageHeaders:
    def test_plain_page(self):
        """Browser rules: nothing from elsewhere, never framed, never stored, Referrer-Policy same-origin."""
        given = dict(headers.page_headers())
        policy = given["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert not any(part.startswith("script-src") for part in policy)
        assert "unsafe" not in given["content-security-policy"]
        assert given["x-frame-options"] == "DENY"
        assert given["referrer-policy"] == "same-origin"
        assert given["x-content-type-options"] == "nosniff"
        assert given["cache-control"] == "no-store"
        assert given["cross-origin-opener-policy"] == "same-origin-allow-popups"

    def test_interaction_page_allows_the_pending_redirect(self):
        """Browser rules: form-action is 'self' plus the pending redirect URI's origin."""
        source = headers.origin_source("https://RP.example:8443/cb?x=1#f")
        assert "form-action 'self' https://rp.example:8443" in headers.page_csp(form_action=[source]).split("; ")

    @pytest.mark.parametrize(
        ("uri", "source"),
        [
            ("https://rp.example/cb", "https://rp.example"),
            ("https://rp.example:443/cb", "https://rp.example"),
            ("http://127.0.0.1:5555/cb", "http://127.0.0.1:5555"),
            ("http://[::1]:5555/cb", "http:"),
            ("com.example.app:/cb", "com.example.app:"),
            ("https://user@rp.example/cb", "https://rp.example"),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("https://rp.example;script-src *", None),
            ("https://rp.example script-src/", None),
            ("https://[::1/", None),
            ("//rp.example/cb", None),
            ("", None),
        ],
    )
    def test_origin_source(self, uri, source):
        """CSP3 §2.3.1: a redirect URI becomes one source, never a second directive."""
        assert headers.origin_source(uri) == source

    @pytest.mark.parametrize(
        "source",
        [
            "https://a; script-src *",
            "*",
            "'unsafe-inline'",
            "'unsafe-eval'",
            "https://a b",
            "",
            "data:x",
            "https://*.example",
        ],
    )
    def test_policy_cannot_be_injected(self, source):
        """CSP3 §2.2: a source that is not one source raises instead of widening the policy."""
        with pytest.raises(ValueError, match="content security policy"):
            headers.page_csp(form_action=[source])

    def test_framed_page(self):
        """Browser rules: `/check-session` carries no frame-ancestors and no X-Frame-Options."""
        given = dict(headers.page_headers(headers.page_csp(frame_ancestors=None), framed=True))
        assert "frame-ancestors" not in given["content-security-policy"]
        assert "x-frame-options" not in given
        assert given["referrer-policy"] == "same-origin"

    def test_logout_page(self):
        """Browser rules: the logout page's frame-src names the relying parties."""
        assert "frame-src https://rp.example" in headers.page_csp(frame_src=["https://rp.example"]).split("; ")

    def test_json(self):
        """OWASP ASVS 3.4: JSON is not stored, not sniffed, not framed."""
        assert dict(headers.json_headers())["cache-control"] == "no-store"
        assert dict(headers.json_headers())["x-content-type-options"] == "nosniff"


class TestCookies:
    def test_over_https(self):
        """Browser rules, S094: `__Host-s-{tenant}`, Secure, HttpOnly, SameSite=None, Path=/, no Domain."""
        name = cookies.cookie_name(cookies.SESSION, "acme", secure=True)
        field, text = cookies.set_cookie(name, "v-1_x", secure=True, max_age=60)
        assert field == "set-cookie"
        assert text == "__Host-s-acme=v-1_x; Path=/; HttpOnly; Max-Age=60; Secure; SameSite=None"

    def test_on_loopback(self):
        """Browser rules: `s-{tenant}`, SameSite=Lax, HttpOnly, without the prefix that some clients drop there."""
        name = cookies.cookie_name(cookies.BROWSER, "acme", secure=False)
        assert cookies.set_cookie(name, "v", secure=False)[1] == "b-acme=v; Path=/; HttpOnly; SameSite=Lax"

    def test_expire(self):
        """RFC 6265bis §5.6: removed with the same name, path and attributes, or `__Host-` would keep it."""
        assert (
            cookies.expire_cookie("__Host-s-a", secure=True)[1]
            == "__Host-s-a=; Path=/; HttpOnly; Max-Age=0; Secure; SameSite=None"
        )

    def test_tenants_do_not_share(self):
        """S094: tenants on one host have different names."""
        assert cookies.cookie_name("s", "a", secure=True) != cookies.cookie_name("s", "b", secure=True)

    def test_session_state_cookie_is_readable_and_no_session(self):
        """Browser rules: session_state uses a separate cookie that scripts can read."""
        text = cookies.session_state_cookie("acme", "x", secure=True)[1]
        assert text.startswith("__Host-o-acme=x")
        assert "HttpOnly" not in text

    @pytest.mark.parametrize("value", ["a;b", "a\r\nSet-Cookie: x=1", "a b", 'a"b', "é", "a,b", "a\\b"])
    def test_values_cannot_inject(self, value):
        """RFC 6265 §4.1.1: a value outside cookie-octet raises."""
        with pytest.raises(ValueError, match="cookie value"):
            cookies.set_cookie("s-a", value, secure=True)

    def test_names_cannot_inject(self):
        """RFC 6265 §4.1.1: a slug that is no slug raises."""
        with pytest.raises(ValueError, match="cookie name"):
            cookies.cookie_name("s", "a; Domain=example", secure=True)

    def test_reading(self):
        """RFC 6265 §5.4: of equal names the first counts; the longest path comes first."""
        request = post(cookie="s-a=1; s-a=2; broken; b-a = x=y ")
        assert request.cookies == {"s-a": "1", "b-a": "x=y"}


class TestCsrf:
    def test_token_is_bound_to_everything(self):
        """S095: a token of another browser, purpose, context or key is worth nothing; lengths cannot be shifted."""
        token = csrf.token(KEY, "browser", "login", "i1")
        assert csrf.is_valid(token, KEY, "browser", "login", "i1")
        for other in (
            ("browser2", "login", "i1"),
            ("browser", "consent", "i1"),
            ("browser", "login", "i2"),
            ("browser", "logini", "1"),
            ("browserl", "ogin", "i1"),
        ):
            assert not csrf.is_valid(token, KEY, *other)
        assert not csrf.is_valid(token, b"x" * 32, "browser", "login", "i1")
        for wrong in (None, "", "é", token + "=", token[:-1], token.upper(), "\ud800"):
            assert not csrf.is_valid(wrong, KEY, "browser", "login", "i1")
        assert not csrf.is_valid(csrf.token(KEY, "", "login"), KEY, "", "login")
        assert not csrf.is_valid(csrf.token(KEY, "", "login"), KEY, None, "login")

    @pytest.mark.parametrize(
        ("origin", "site", "accepted"),
        [
            ("https://id.example", "same-origin", True),
            ("https://id.example", None, True),
            (None, "same-origin", True),
            ("https://id.example", "none", True),
            (None, None, True),
            ("https://evil.example", None, False),
            ("https://evil.example", "cross-site", False),
            ("https://id.example", "cross-site", False),
            ("https://id.example", "same-site", False),
            ("http://id.example", None, False),
            ("https://id.example:8443", None, False),
            ("https://id.example.evil", None, False),
            ("null", None, False),
            ("null", "same-origin", False),
            ("", None, False),
            ("https://id.example, https://evil.example", None, False),
        ],
    )
    def test_origin(self, origin, site, accepted):
        """S095, Fetch Metadata §2.3: a foreign Origin or Sec-Fetch-Site is refused; `null` is foreign."""
        request = post(origin=origin, site=site)
        if accepted:
            csrf.check_origin(request, request.origin)
        else:
            with pytest.raises(csrf.ForeignForm) as refused:
                csrf.check_origin(request, request.origin)
            assert refused.value.status == 403
            assert refusal_of(refused.value).check == "csrf"

    def test_require(self):
        """S095: origin and exactly one token; a token in the query string does not count."""
        token = csrf.token(KEY, "br", "login", "i1")
        csrf.require(post(f"csrf={token}&a=1"), KEY, "br", "login", "i1")
        for bad in ("a=1", "csrf=", f"csrf={token}&csrf={token}", f"csrf={token}x"):
            with pytest.raises(csrf.ForeignForm):
                csrf.require(post(bad), KEY, "br", "login", "i1")
        with pytest.raises(csrf.ForeignForm):
            csrf.require(post(f"csrf={token}"), KEY, None, "login", "i1")
        with pytest.raises(csrf.ForeignForm):
            csrf.require(post(f"csrf={token}", origin="https://evil.example"), KEY, "br", "login", "i1")
        queried = post("a=1")
        queried.query = f"csrf={token}"
        with pytest.raises(csrf.ForeignForm):
            csrf.require(queried, KEY, "br", "login", "i1")

    def test_on_the_server(self, server):
        """S095: login CSRF over the wire: other browser, cross-site and text/plain are refused with 403 or 400."""
        token = csrf.token(KEY, "browser", "login", "interaction-1")
        good = {"Cookie": "b-acme=browser", "Origin": server.url, "Sec-Fetch-Site": "same-origin"}

        def send(changed=None, **more):
            given = {name: value for name, value in (good | (changed or {})).items() if value is not None}
            return httpx.post(server.url + "/form", headers=given, **({"data": {"csrf": token}} | more)).status_code

        assert send() == 200
        assert send({"Cookie": "b-acme=other"}) == 403
        assert send({"Cookie": None}) == 403
        assert send({"Origin": "https://evil.example"}) == 403
        assert send({"Origin": "null"}) == 403
        assert send({"Sec-Fetch-Site": "cross-site"}) == 403
        assert send(data={"csrf": "wrong"}) == 403
        assert send({"Content-Type": "text/plain"}, data=None, content=f"csrf={token}") == 400


class TestCors:
    def test_registered_origins_only(self):
        """S095, Fetch §3.2: only a registered origin may read; never `*` with credentials, never `null`."""
        allowed = {"https://rp.example"}
        assert ("access-control-allow-origin", "https://rp.example") in cors.cors_headers("https://rp.example", allowed)
        for origin in ("https://evil.example", "null", None, "https://rp.example.evil", "http://rp.example", "*"):
            given = cors.cors_headers(origin, allowed)
            assert given == [("vary", "origin")]
        assert cors.cors_headers("null", {"null"}) == [("vary", "origin")]
        for given in (cors.cors_headers("https://rp.example", allowed), cors.cors_headers("https://x", "*")):
            assert not any("credentials" in name for name, _ in given)

    def test_public_documents(self):
        """Issue 3 §6: discovery and jwks are readable for all."""
        assert ("access-control-allow-origin", "*") in cors.cors_headers("https://anything.example", "*")
        assert ("access-control-allow-origin", "*") in cors.cors_headers(None, "*")

    def test_preflight(self):
        """Fetch §3.2.2: 204 with methods and headers for a registered origin, without them for another."""
        asking = post(method="OPTIONS", origin="https://rp.example")
        assert not cors.is_preflight(asking)
        asking.headers.items().append(("access-control-request-method", "POST"))
        assert cors.is_preflight(asking)
        granted = cors.preflight(asking, {"https://rp.example"})
        assert (granted.status, granted.body) == (204, b"")
        assert granted.header("access-control-allow-headers") == "authorization, content-type, dpop"
        refused = cors.preflight(asking, {"https://other.example"})
        assert refused.status == 204
        assert [name for name, _ in refused.headers] == ["vary"]

    @pytest.mark.parametrize(
        ("uri", "origin"),
        [
            ("https://RP.example/cb", "https://rp.example"),
            ("https://rp.example:443", "https://rp.example"),
            ("http://localhost:3000/cb?x", "http://localhost:3000"),
            ("http://[::1]:3000/cb", "http://[::1]:3000"),
            ("com.example.app:/cb", None),
            ("com.example.app://cb", None),
            ("https://rp.example@evil.example/", None),
            ("https://rp.example\\@evil.example/", None),
            ("https:///cb", None),
            ("null", None),
        ],
    )
    def test_origin_of(self, uri, origin):
        """RFC 6454 §4: the origin of a redirect URI, as a browser would send it."""
        assert cors.origin_of(uri) == origin
