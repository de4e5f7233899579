"""Requests from other sites (RFC 9700 §4.7, Fetch §3.2): every route of the table of features, not a list written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from house import PASSWORD
from refusals import harmless
from sqlalchemy import select

from idp.features import FEATURES
from idp.identity import lifecycle, links
from idp.store.db import db
from idp.store.tenant import users

if TYPE_CHECKING:
    from cast import Cast
    from house import Browser, House

    from idp.feature import Endpoint
    from idp.tenancy.tenant import Tenant

ENDPOINTS: dict[str, Endpoint] = {
    f"{'/'.join(one.methods)} {one.path}": one for feature in FEATURES for one in feature.endpoints
}
FORMS = {key: one for key, one in ENDPOINTS.items() if "POST" in one.methods and one.audience == "person"}
PROGRAMS = {key: one for key, one in ENDPOINTS.items() if "POST" in one.methods and one.audience == "program"}
LINKS = {"/recovery": lifecycle.RECOVERY, "/invitation": lifecycle.INVITATION, "/unlock": lifecycle.UNLOCK}
# What a person's requests may write without a form: the interaction itself, and that a session is in use.
_UNGUARDED = {"interactions", "sessions.last_seen_at", "sessions.idle_expires_at"}
EVERYTHING = {
    "action": "approve",
    "username": "ada@example.com",
    "password": PASSWORD,
    "new_password": PASSWORD + "2",
    "confirm_password": PASSWORD + "2",
    "scope": "openid profile email admin",
    "email": "eve@new.example",
    "profile_name": "Eve",
    "code": "12345678",
    "terms": "1",
    "client_id": "public",
    "redirect_uri": "https://evil.example/cb",
    "token": "x",
}


@pytest.fixture(autouse=True, scope="module")
def _people_may_sign_up(cast: Cast) -> None:
    """A form that is open to nobody would prove little."""
    cast.house.installation.provisioning.change_settings(cast.acme, {"signup": "on"})


def test_the_table_has_the_routes_that_matter() -> None:
    """RFC 9700 §4.7, S095: what follows is generated; a new form joins by being served."""
    assert {one.path for one in FORMS.values()} == {
        "/authorize",
        "/logout",
        "/select-account",
        "/login",
        "/consent",
        "/password",
        "/recover",
        *LINKS,
        "/account/profile",
        "/account/email",
        "/account/email/confirm",
        "/account/password",
        "/account/sessions",
        "/account/applications",
        "/account/data",
        "/account/delete",
        "/signup",
        "/signup/code",
        "/terms",
        "/accounts",
    }
    oauth = {"/token", "/introspect", "/revoke", "/userinfo", "/register", "/challenge"}
    searches = {f"/access/v1/search/{each}" for each in ("subject", "resource", "action")}
    decisions = {"/access/v1/evaluation", "/access/v1/evaluations"}
    assert {one.path for one in PROGRAMS.values()} == oauth | searches | decisions


@pytest.mark.parametrize("key", sorted(FORMS))
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": "http://localhost:8001"},
        {"origin": "http://localhost:8000.evil.example"},
        {"origin": "https://localhost:8000"},
        {"sec-fetch-site": "same-site"},
        {"referer": "https://evil.example/"},
        {"x-http-method-override": "POST"},
        {},
    ],
)
@pytest.mark.parametrize("token", ["none", "of another browser", "of another form", "invented"])
def test_s095_a_forged_form_changes_nothing(cast: Cast, key: str, headers: dict[str, str], token: str) -> None:
    """RFC 9700 §4.7, S095: without the form's own token, from this very browser, not a row of the tenant changes."""
    browser = _signed_in(cast)
    path, csrf = _open_form(cast, browser, FORMS[key].path, token)
    of_link = dict(parse_qsl(urlsplit(path).query)) if FORMS[key].path in LINKS else {}
    form = {**EVERYTHING, **of_link, **({"csrf": csrf} if csrf is not None else {})}
    before = _rows(cast.house, cast.acme)
    answer = browser.post(path, form, {"origin": "", **headers} if "origin" in headers else headers)
    harmless(answer, [PASSWORD])
    assert "code=" not in (answer.header("location") or "")
    assert _rows(cast.house, cast.acme) == before
    assert "set-cookie" not in {name for name, value in answer.headers if "s-acme=" in value}


# A GET of /authorize is the request itself (RFC 6749 §3.1).
@pytest.mark.parametrize("key", sorted(key for key, one in FORMS.items() if one.path != "/authorize"))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_s095_reading_changes_nothing(cast: Cast, key: str, method: str) -> None:
    """RFC 9110 §9.2.1, S095: a form's fields in an address do nothing, with its right token too; nor does _method."""
    browser = _signed_in(cast)
    path, csrf = _open_form(cast, browser, FORMS[key].path, "right")
    fields = {
        "action": "approve",
        "csrf": csrf or "",
        "_method": "POST",
        "username": "ada@example.com",
        "password": PASSWORD,
    }
    before = _rows(cast.house, cast.acme)
    answer = browser._send(
        method, f"{path}{'&' if '?' in path else '?'}{urlencode(fields)}", None, {"accept": "text/html"}
    )
    harmless(answer)
    assert _rows(cast.house, cast.acme) == before


@pytest.mark.parametrize("key", sorted(FORMS))
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_s095_another_content_type(cast: Cast, key: str, content_type: str) -> None:
    """RFC 9700 §4.7, S095: what a script can send without being asked first (text/plain JSON) is no form."""
    browser = _signed_in(cast)
    path, csrf = _open_form(cast, browser, FORMS[key].path, "right")
    before = _rows(cast.house, cast.acme)
    body = f'{{"action": "approve", "csrf": "{csrf}", "x": "'.encode() + b'="}'
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {
        "cookie": cookies,
        "origin": cast.acme.origin,
        **({"content-type": content_type} if content_type else {}),
    }
    answer = cast.house.send("POST", path, headers=headers, body=body)
    harmless(answer)
    assert answer.status >= 400
    assert _rows(cast.house, cast.acme) == before


@pytest.mark.parametrize("key", sorted(PROGRAMS))
def test_s095_a_cookie_is_no_credential_of_a_program(cast: Cast, key: str) -> None:
    """RFC 9700 §4.7, S095: endpoints of programs look at no cookie, so there is nothing to ride on."""
    browser = _signed_in(cast)
    answer = browser.post(cast.acme.base_path + PROGRAMS[key].path, {"grant_type": "client_credentials", "token": "x"})
    assert answer.status == (403 if PROGRAMS[key].path == "/register" else 401)  # nobody may register at this tenant


@pytest.mark.parametrize("key", sorted(ENDPOINTS))
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://rp.example.evil.example",
        "http://rp.example",
        "https://RP.example:444",
        "https://rp.example/",
        "",
        "*",
    ],
)
def test_s095_foreign_origins_read_nothing(cast: Cast, key: str, origin: str) -> None:
    """Fetch §3.2.3, S095: an origin that no client registered is never allowed, and credentials never are."""
    endpoint = ENDPOINTS[key]
    for method in (*endpoint.methods, "OPTIONS"):
        headers = {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization",
        }
        answer = cast.house.send(method, cast.acme.base_path + endpoint.path, headers=headers)
        harmless(answer)
        allowed = answer.header("access-control-allow-origin")
        assert allowed == ("*" if endpoint.cors == "all" else None), (method, allowed)
        assert answer.header("access-control-allow-credentials") is None


@pytest.mark.parametrize("key", sorted(ENDPOINTS))
def test_s095_registered_origins_read_what_is_for_them(cast: Cast, key: str) -> None:
    """Fetch §3.2.3, S095: the origins of registered redirect URIs read token, userinfo and revocation answers, and no page."""
    endpoint = ENDPOINTS[key]
    headers = {"origin": "https://rp.example", "access-control-request-method": endpoint.methods[-1]}
    for method in (*endpoint.methods, "OPTIONS"):
        answer = cast.house.send(method, cast.acme.base_path + endpoint.path, headers=headers)
        wanted = {"all": "*", "registered": "https://rp.example", "none": None}[endpoint.cors]
        assert answer.header("access-control-allow-origin") == wanted, method
        assert answer.header("access-control-allow-credentials") is None
        if endpoint.cors == "registered":
            assert "origin" in (answer.header("vary") or "")


def test_s095_an_origin_is_its_tenants(cast: Cast) -> None:
    """Fetch §3.2.3, S037: what a client of another tenant registered is foreign here."""
    cast.house.client(cast.globex, "spa", redirect_uris=["https://spa.example/cb"])
    for tenant, allowed in ((cast.globex, "https://spa.example"), (cast.acme, None)):
        answer = cast.house.get(tenant, "/userinfo", headers={"origin": "https://spa.example"})
        assert answer.header("access-control-allow-origin") == allowed


def test_an_origin_as_browsers_write_it(house: House) -> None:
    """RFC 6454 §6.1: lower case and without the default port, however the redirect URI was registered."""
    tenant = house.tenant("origins")
    house.client(tenant, "one", redirect_uris=["https://Spa.Example:443/cb", "http://127.0.0.1/cb"])
    answer = house.get(tenant, "/userinfo", headers={"origin": "https://spa.example"})
    assert answer.header("access-control-allow-origin") == "https://spa.example"


def _signed_in(cast: Cast) -> Browser:
    browser = cast.browser()
    browser.sign_in(cast.basic)
    return browser


def _open_form(cast: Cast, browser: Browser, path: str, token: str) -> tuple[str, str | None]:
    """Return the address of an open form of this browser and the token to send with it."""
    base = cast.acme.base_path
    if path == "/authorize":
        return f"{base}{path}", None
    if path.startswith("/account/"):
        address, stranger = base + path, _signed_in(cast)
        right, other = (_account_token(one.get(address).text) for one in (browser, stranger))
    elif path in ("/logout", "/accounts"):
        right = browser.get(base + path).form[1]["csrf"]
        address = base + path
        other = _signed_in(cast).get(base + path).form[1]["csrf"]
    elif path in LINKS or path == "/recover":
        address = _link(cast, path) if path in LINKS else base + path
        right = browser.get(address).form[1]["csrf"]
        other = _signed_in(cast).get(address).form[1]["csrf"]
    else:
        prompts = {"/login": "login", "/signup": "login", "/signup/code": "login", "/select-account": "select_account"}
        prompt = prompts.get(path, "consent")
        page = browser.follow(browser.authorize(cast.basic, verifier="v" * 43, prompt=prompt))
        if path.startswith("/signup"):
            page = browser.get(f"{base}/signup?{page.form[0].partition('?')[2]}")
            assert 'id="signup-form"' in page.text
        action, fields = page.form
        right = fields["csrf"]
        address = f"{base}{path}?{action.partition('?')[2]}"
        stranger = _signed_in(cast)
        other = stranger.follow(stranger.authorize(cast.basic, verifier="v" * 43, prompt=prompt)).form[1]["csrf"]
    of_form = (
        browser.get(f"{base}/logout").form[1]["csrf"]
        if path != "/logout"
        else browser.follow(browser.authorize(cast.basic, verifier="v" * 43, prompt="login")).form[1]["csrf"]
    )
    return address, {
        "none": None,
        "of another browser": other,
        "of another form": of_form,
        "invented": "A" * 43,
        "right": right,
    }[token]


def _link(cast: Cast, path: str) -> str:
    """A link that works for an account of its own, as a browser opens it."""
    database, tenant = cast.house.database(cast.acme), cast.acme
    email = f"{path.strip('/')}@example.com"
    with database.reading() as conn:
        found = users.find_by_username(conn, email)
    user_id = found.id if found is not None else cast.house.user(tenant, email)
    kind, state = LINKS[path], "invited" if path == "/invitation" else "active"

    def work(conn: Any) -> str:
        users.change(conn, user_id, state=state)
        return links.make(conn, tenant, kind, path, user_id=user_id, address=email, lifetime=600, by="test").url

    url = urlsplit(database.writing(work))
    return f"{url.path}?{url.query}"


def _account_token(page: str) -> str:
    """Return the token of an account page's form; where the page has none (the link of a mail is missing, deletion is off), something like one."""
    return page.partition('name="csrf" value="')[2].partition('"')[0] or "B" * 43


def _rows(house: House, tenant: Tenant) -> dict[str, Any]:
    found = {}
    with house.database(tenant).reading() as conn:
        for table in db.metadatas["tenant"].sorted_tables:
            if table.name in _UNGUARDED:
                continue
            columns = [column for column in table.c if f"{table.name}.{column.name}" not in _UNGUARDED]
            found[table.name] = sorted(map(repr, conn.execute(select(*columns)).all()))
    return found


@pytest.mark.parametrize("key", sorted(ENDPOINTS))
def test_a_405_names_what_is_allowed(cast: Cast, key: str) -> None:
    """RFC 9110 §15.5.6: every method that is served at the address, of a page and of its form."""
    path = ENDPOINTS[key].path
    served = {method for one in ENDPOINTS.values() if one.path == path for method in one.methods}
    answer = cast.house.send("PATCH", cast.acme.base_path + path)
    assert answer.status == 405
    assert set((answer.header("allow") or "").split(", ")) == served | ({"HEAD"} if "GET" in served else set())
