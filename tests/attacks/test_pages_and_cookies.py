"""Attacks on the pages of a sign-in (RFC 9700 §4.2.4, §4.7, §4.12, §4.16): edited forms, frames, fixed and foreign cookies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest
from house import CALLBACK, PASSWORD, House, decoded
from refusals import error_page, harmless, sent_back
from sqlalchemy import select

from idp.store.tenant.consents import consents
from idp.store.tenant.grants import grants

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, Browser

    from idp.tenancy.tenant import Tenant

VERIFIER = "v" * 43


@pytest.mark.parametrize("page", ["login", "consent", "logout", "error", "form_post", "landing", "restart"])
def test_s014_every_page(cast: Cast, page: str) -> None:
    """RFC 9700 §4.16, §4.2.4, S014: in no frame, in no cache, and no address in a Referer to another site."""
    answer = _page(cast, page)
    policy = answer.header("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert answer.header("x-frame-options") == "DENY"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("referrer-policy") == "same-origin"
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("access-control-allow-origin") is None
    assert "<script>" not in answer.text
    assert " onclick=" not in answer.text


def test_s014_after_a_form_comes_303(cast: Cast) -> None:
    """RFC 9700 §4.12, S014: no browser repeats the password to the relying party."""
    cast.house.user(cast.acme, "s014@example.com")
    browser = cast.browser()
    login = browser.follow(browser.authorize(cast.basic, verifier=VERIFIER))
    after_login = browser.submit(login, username="s014@example.com", password=PASSWORD)
    consent = browser.follow(after_login)
    after_consent = browser.submit(consent, action="approve")
    assert [after_login.status, after_consent.status] == [303, 303]
    assert PASSWORD not in after_login.location


@pytest.mark.parametrize(
    "edit",
    [
        {"scope": "openid profile email phone address offline_access api"},
        {"scopes": "openid admin"},
        {"client_id": "public"},
        {"redirect_uri": "https://evil.example/cb"},
        {"return_origin": "https://evil.example"},
        {"state": "other"},
        {"response_mode": "form_post"},
        {"code_challenge": "x"},
        {"user_id": "somebody"},
        {"username": "bob@example.com"},
    ],
)
def test_s015_an_edited_consent_grants_what_was_stored(cast: Cast, edit: dict[str, str]) -> None:
    """RFC 6749 §10.2, S015: the form carries a decision and nothing else; what is granted is what the page showed."""
    email = f"s015-{next(iter(edit))}@example.com"
    user_id = cast.house.user(cast.acme, email)
    browser, page = _at_consent(cast, email)
    answer = browser.follow(browser.submit(page, action="approve", **edit))
    assert answer.location.startswith(f"{CALLBACK}?code=")
    assert answer.params["state"] == "a state"
    tokens = cast.basic.redeem({"code": answer.params["code"], "verifier": VERIFIER}).json
    assert tokens["scope"] == "openid email"
    assert decoded(tokens["access_token"])[1]["client_id"] == "basic"
    assert decoded(tokens["access_token"])[1]["sub"] == user_id


def test_s015_another_interaction_in_the_form(cast: Cast) -> None:
    """RFC 9700 §4.7, S015: a form is its interaction's, in address and token; swapped, it is refused."""
    cast.house.user(cast.acme, "swap@example.com")
    browser, one = _at_consent(cast, "swap@example.com")
    two = browser.follow(browser.authorize(cast.public, verifier=VERIFIER, scope="openid profile"))
    action_one, fields_one = one.form
    action_two, fields_two = two.form
    for action, fields in ((action_one, fields_two), (action_two, fields_one)):
        answer = browser.post(action, {**fields, "action": "approve"})
        error_page(cast.house, answer, 403)
    named = {**fields_one, "action": "approve", "interaction": action_two.rpartition("=")[2]}
    answer = browser.follow(browser.post(action_one, named))
    assert "code" in answer.params
    assert cast.basic.redeem({"code": answer.params["code"], "verifier": VERIFIER}).status == 200


@pytest.mark.parametrize("keep", ["nothing", "session", "browser"])
def test_s015_another_browser(cast: Cast, keep: str) -> None:
    """RFC 9700 §4.7, S015: the interaction of one browser is nothing to another, whatever cookie it has."""
    cast.house.user(cast.acme, f"s015-browser-{keep}@example.com")
    victim, page = _at_consent(cast, f"s015-browser-{keep}@example.com")
    action, fields = page.form
    attacker = cast.browser()
    attacker.sign_in(cast.basic)
    if keep != "nothing":
        attacker.cookies = {
            name: value
            for name, value in attacker.cookies.items()
            if name.startswith("s-" if keep == "session" else "b-")
        }
    before = _consents(cast)
    for answer in (attacker.post(action, {**fields, "action": "approve"}), attacker.get(action)):
        harmless(answer)
        assert "code=" not in (answer.header("location") or "")
        assert "consent-approve" not in answer.text, "the page of a sign-in that this browser did not begin"
    assert _consents(cast) == before
    assert "code" in victim.follow(victim.submit(page, action="approve")).params


def test_s015_a_consent_is_spent(cast: Cast) -> None:
    """RFC 9700 §4.7, S015: the same form again makes no second code."""
    cast.house.user(cast.acme, "twice@example.com")
    browser, page = _at_consent(cast, "twice@example.com")
    assert "code" in browser.follow(browser.submit(page, action="approve")).params
    before = _grants(cast)
    again = browser.submit(page, action="approve")
    assert again.status == 410
    assert again.header("location") is None
    assert _grants(cast) == before


def test_s015_twenty_consents_at_once_are_one_code(any_cast: Cast) -> None:
    """RFC 6749 §4.1.2, S015: a double click, or twenty, makes one grant; it is finished in the transaction that makes the code."""
    any_cast.house.user(any_cast.acme, "clicks@example.com")
    browser, page = _at_consent(any_cast, "clicks@example.com")
    before = _grants(any_cast)
    barrier = Barrier(20)

    def click(_number: int) -> Answer:
        barrier.wait()
        return browser.submit(page, action="approve")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(click, range(20)))
    assert len([one for one in answers if "code=" in (one.header("location") or "")]) == 1
    assert {one.status for one in answers} <= {303, 410}
    assert _grants(any_cast) == before + 1


def test_s015_an_interaction_that_nobody_began(cast: Cast) -> None:
    """RFC 9700 §4.7, S015: invented, foreign or malformed names end on a page that says how to go on."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    foreign = cast.house.browser(cast.globex)
    theirs = foreign.authorize(cast.foreign, verifier=VERIFIER).location.rpartition("=")[2]
    for name in ("0" * 32, theirs, "x", "", "'; --", "%00", "%ff", "../../x", "A" * 5000):
        for path in ("/login", "/consent", "/continue", "/password"):
            answer = browser.get(f"{cast.acme.base_path}{path}?interaction={name}")
            harmless(answer)
            assert answer.status in (400, 410)
            assert answer.header("location") is None


def test_s094_cookies_over_https(tmp_path) -> None:
    """RFC 6265bis §4.1.3, S094: __Host-, Secure, HttpOnly, SameSite=None; no Domain; the path is the whole host."""
    house = House(tmp_path / "var", IDP_PUBLIC_URL="https://id.example")
    tenant = house.tenant("acme")
    rp = house.client(tenant)
    assert tenant.is_secure
    for cookie in _set_cookies(house, tenant, rp):
        name, _, rest = cookie.partition("=")
        if name == "__Host-o-acme":  # Session Management §3.2: a script reads it
            assert rest.endswith("; Path=/; Max-Age=28800; Secure; SameSite=None")
            continue
        assert name in ("__Host-s-acme", "__Host-b-acme")
        assert [part.strip() for part in rest.split(";")[1:]] == ["Path=/", "HttpOnly", "Secure", "SameSite=None"]
        assert len(rest.partition(";")[0]) >= 43
    house.close()


def test_s094_cookies_on_loopback(house: House, acme: Tenant) -> None:
    """RFC 6265bis §4.1.3, S094: without TLS no prefix and SameSite=Lax; script reads only the state that is no session."""
    *secret, state = _set_cookies(house, acme, house.client(acme))
    assert state.startswith("o-acme=")
    assert state.endswith("; Path=/; Max-Age=28800; SameSite=Lax")
    for cookie in secret:
        assert cookie.startswith(("s-acme=", "b-acme="))
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")


@pytest.mark.parametrize(
    "kind",
    ["of globex", "altered", "shortened", "empty", "the sid", "quoted", "sql", "long", "the digest", "the state"],
)
def test_s094_a_cookie_that_is_no_session(cast: Cast, kind: str) -> None:
    """RFC 6265 §8.4, S094, S037: another tenant's, an altered one, the public sid, and what the database holds: nobody."""
    from idp import opaque

    browser = cast.browser()
    tokens = cast.basic.redeem(browser.sign_in(cast.basic)).json
    value = browser.cookies["s-acme"]
    other = cast.house.browser(cast.globex)
    other.sign_in(cast.foreign)
    browser.cookies["s-acme"] = {
        "of globex": other.cookies["s-globex"],
        "the state": browser.cookies["o-acme"],
        "altered": value[:-1] + ("A" if value[-1] != "A" else "B"),
        "shortened": value[:-1],
        "empty": "",
        "the sid": decoded(tokens["id_token"])[1]["sid"],
        "quoted": f'"{value}"',
        "sql": "' OR '1'='1",
        "long": "s_" + "A" * 20000,
        "the digest": opaque.digest(value),
    }[kind]
    answer = browser.authorize(cast.basic, verifier=VERIFIER, prompt="none")
    sent_back(cast.house, answer, cast.acme, "login_required", to=CALLBACK)


def test_s093_a_fixed_cookie(cast: Cast) -> None:
    """RFC 9700 §4.7, S093: cookies set by an attacker before the sign-in are worth nothing after it."""
    attacker = cast.browser()
    attacker.follow(attacker.authorize(cast.basic, verifier=VERIFIER))
    victim = cast.browser()
    victim.cookies = {**attacker.cookies, "s-acme": "s_" + "A" * 43}
    victim.sign_in(cast.basic)
    assert victim.cookies["s-acme"] != "s_" + "A" * 43
    attacker.cookies["s-acme"] = "s_" + "A" * 43
    assert attacker.authorize(cast.basic, verifier=VERIFIER, prompt="none").params["error"] == "login_required"


def test_s093_each_sign_in_has_a_new_cookie(cast: Cast) -> None:
    """RFC 9700 §4.7, S093: a new value at each sign-in; the one before is dead."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    before = dict(browser.cookies)
    browser.sign_in(cast.basic, prompt="login")
    assert browser.cookies["s-acme"] != before["s-acme"]
    old = cast.browser()
    old.cookies = before
    assert old.authorize(cast.basic, verifier=VERIFIER, prompt="none").params["error"] == "login_required"


def _page(cast: Cast, name: str) -> Answer:
    browser, base = cast.browser(), cast.acme.base_path
    if name == "login":
        return browser.follow(browser.authorize(cast.basic, verifier=VERIFIER))
    if name == "error":
        return browser.authorize(cast.basic, redirect_uri="https://evil.example")
    if name == "landing":
        return browser.get(f"{base}/")
    if name == "restart":
        return browser.get(f"{base}/login?interaction={'0' * 32}")
    browser.sign_in(cast.basic)
    if name == "consent":
        return browser.follow(browser.authorize(cast.basic, verifier=VERIFIER, prompt="consent"))
    if name == "logout":
        return browser.get(f"{base}/logout")
    return browser.authorize(cast.basic, verifier=VERIFIER, response_mode="form_post")


def _at_consent(cast: Cast, email: str) -> tuple[Browser, Answer]:
    browser = cast.browser()
    login = browser.follow(browser.authorize(cast.basic, verifier=VERIFIER, scope="openid email"))
    page = browser.follow(browser.submit(login, username=email, password=PASSWORD))
    assert 'id="consent-approve"' in page.text
    return browser, page


def _set_cookies(house: House, tenant: Tenant, rp) -> list[str]:
    found = []
    browser = house.browser(tenant)
    answer = browser.authorize(rp, verifier=VERIFIER)
    page = browser.follow(answer)
    done = browser.submit(page, username="ada@example.com", password=PASSWORD)
    for one in (answer, done):
        found += [value for name, value in one.headers if name == "set-cookie"]
    assert len(found) == 3
    assert dict(parse_qsl(urlsplit(done.location).query))["interaction"]
    return found


def _consents(cast: Cast) -> list[str]:
    with cast.house.database(cast.acme).reading() as conn:
        return sorted(map(repr, conn.execute(select(consents)).all()))


def _grants(cast: Cast) -> int:
    with cast.house.database(cast.acme).reading() as conn:
        return len(conn.execute(select(grants.c.id)).all())
