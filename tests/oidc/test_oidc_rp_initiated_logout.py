"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): asked unless the hint proves the wish; back to registered addresses only."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from cast import discovery, without
from house import PASSWORD, decoded
from refusals import error_page, events, text_of

from idp.clock import shifted

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, Browser, House

    from idp.tenancy.tenant import Tenant

BYE = "https://rp.example/bye"
VERIFIER = "v" * 43


def test_advertised(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2.1: end_session_endpoint."""
    assert discovery(cast.house, cast.acme)["end_session_endpoint"] == f"{cast.acme.issuer}/logout"


def test_absent_when_disabled(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenID Connect RP-Initiated Logout §2.1: without its row there is neither endpoint nor advertisement."""
    without(monkeypatch, house, "rp_initiated_logout")
    assert "end_session_endpoint" not in discovery(house, acme)
    assert house.get(acme, "/logout").status == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_hint_of_the_session_ends_it_at_once(any_cast: Cast, method: str) -> None:
    """OpenID Connect RP-Initiated Logout §2, §3: with the session's ID token nobody is asked; back with the very state."""
    browser, hint = _signed_in(any_cast)
    answer = _logout(browser, method, id_token_hint=hint, post_logout_redirect_uri=BYE, state="a b&c=d ü")
    assert answer.status == 303
    assert answer.location.startswith(f"{BYE}?state=")
    assert answer.params == {"state": "a b&c=d ü"}
    _assert_signed_out(any_cast, browser)
    assert events(any_cast.house, any_cast.acme, "session.ended")[-1].details == {"reason": "logout"}


def test_without_anything_the_person_is_asked(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2 (conformance: no parameters): a page that asks; only its form ends the session."""
    browser, _ = _signed_in(cast)
    page = browser.get(f"{cast.acme.base_path}/logout")
    assert page.status == 200
    assert 'id="logout-confirm"' in page.text
    assert "ada@example.com" in page.text
    _assert_signed_in(cast, browser)
    done = browser.submit(page, action="logout")
    assert done.status == 200
    _assert_signed_out(cast, browser)


@pytest.mark.parametrize("with_client", [True, False])
def test_client_id_names_the_client_but_proves_nothing(cast: Cast, with_client: bool) -> None:
    """OpenID Connect RP-Initiated Logout §2: client_id tells whose addresses count; the person is asked all the same."""
    browser, _ = _signed_in(cast)
    params = {"client_id": "basic", "post_logout_redirect_uri": BYE, "state": "s"} if with_client else {"state": "s"}
    page = _logout(browser, "GET", **params)
    assert page.status == 200
    policy = page.header("content-security-policy") or ""
    assert ("form-action 'self' https://rp.example;" in policy) is with_client
    answer = browser.submit(page, action="logout")
    if with_client:
        assert (answer.status, answer.location) == (303, f"{BYE}?state=s")
    else:
        assert answer.status == 200
    _assert_signed_out(cast, browser)


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/bye",
        BYE + "/",
        BYE + "?x=1",
        BYE + "#x",
        BYE.upper(),
        "https://rp.example/cb",
        "https://rp.example@evil.example/bye",
        "https://rp.example/%62ye",
        "javascript:alert(1)",
        "//evil.example",
        "/t/acme/",
        "http://rp.example/bye",
        "https://rp.example:443/bye",
    ],
)
@pytest.mark.parametrize("who", ["hint", "client", "nobody"])
def test_s096_an_unregistered_address_is_a_page(cast: Cast, uri: str, who: str) -> None:
    """OpenID Connect RP-Initiated Logout §3, S096 (conformance: bad post_logout_redirect_uri): no redirect, and the session lives."""
    browser, hint = _signed_in(cast)
    named = {"hint": {"id_token_hint": hint}, "client": {"client_id": "basic"}, "nobody": {}}[who]
    for one, method in ((browser, "GET"), (browser, "POST"), (cast.browser(), "GET")):
        record = error_page(cast.house, _logout(one, method, post_logout_redirect_uri=uri, **named), withheld=[hint])
        assert record["check"] == "post_logout_redirect_uri"
    _assert_signed_in(cast, browser)


def test_s096_a_registered_address_needs_a_client(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, S096: without hint and client_id nothing says whose address it is."""
    browser, _ = _signed_in(cast)
    error_page(cast.house, _logout(browser, "GET", post_logout_redirect_uri=BYE))
    _assert_signed_in(cast, browser)


def test_s096_the_address_of_another_client(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §3, S096: of this very client, not of another and not of another tenant's."""
    cast.house.client(cast.acme, "other-bye", post_logout_redirect_uris=["https://other.example/bye"])
    cast.house.client(cast.globex, "globex-bye", post_logout_redirect_uris=["https://globex.example/bye"])
    browser, hint = _signed_in(cast)
    for uri in ("https://other.example/bye", "https://globex.example/bye"):
        error_page(cast.house, _logout(browser, "GET", id_token_hint=hint, post_logout_redirect_uri=uri))
    error_page(
        cast.house,
        _logout(browser, "GET", client_id="globex-bye", post_logout_redirect_uri="https://globex.example/bye"),
    )


@pytest.mark.parametrize(
    "kind", ["garbage", "altered", "access token", "other tenant", "unsigned", "empty parts", "long"]
)
def test_s096_a_hint_that_is_none_of_ours(cast: Cast, kind: str) -> None:
    """OpenID Connect RP-Initiated Logout §4, S096 (conformance: bad and modified id_token_hint): a page, no redirect, no logout."""
    browser = cast.browser()
    tokens = cast.basic.redeem(browser.sign_in(cast.basic)).json
    head, body, tail = tokens["id_token"].split(".")
    hint = {
        "garbage": "no-token-at-all",
        "altered": f"{head}.{body}.{tail[:-4]}AAAA",
        "access token": tokens["access_token"],
        "other tenant": cast.tokens(cast.foreign)["id_token"],
        "unsigned": f"eyJhbGciOiJub25lIn0.{body}.",
        "empty parts": "..",
        "long": "a" * 15000,
    }[kind]
    for method in ("GET", "POST"):
        answer = _logout(browser, method, id_token_hint=hint, post_logout_redirect_uri=BYE)
        assert error_page(cast.house, answer, withheld=[hint, body])["check"] == "id_token_hint"
    _assert_signed_in(cast, browser)


def test_s096_an_expired_hint_is_good_for_its_own_session(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §4, S096: expired ID tokens should be accepted."""
    browser, hint = _signed_in(cast)
    with shifted(7000):
        answer = _logout(browser, "GET", id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert (answer.status, answer.location) == (303, BYE)
    _assert_signed_out(cast, browser)


def test_s096_the_hint_of_another_session_asks(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, S096: another person's hint, or one's own of another session, proves no wish of this one."""
    cast.house.user(cast.acme, "bob@example.com")
    theirs = cast.basic.redeem(cast.browser().sign_in(cast.basic, username="bob@example.com")).json["id_token"]
    elsewhere = _signed_in(cast)[1]
    browser, _ = _signed_in(cast)
    for hint in (theirs, elsewhere):
        page = _logout(browser, "GET", id_token_hint=hint, post_logout_redirect_uri=BYE)
        assert page.status == 200
        assert 'id="logout-confirm"' in page.text
        _assert_signed_in(cast, browser)


def test_client_id_and_hint_must_agree(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2: the client the hint was issued to, else an error."""
    browser, hint = _signed_in(cast)
    for client_id in ("post", "nobody", "x" * 500):
        error_page(cast.house, _logout(browser, "GET", id_token_hint=hint, client_id=client_id))
    error_page(cast.house, _logout(browser, "GET", client_id="nobody"))
    _assert_signed_in(cast, browser)
    assert _logout(browser, "GET", id_token_hint=hint, client_id="basic").status == 200


def test_without_a_session(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §4: already signed out is signed out; back to the registered address."""
    browser, hint = _signed_in(cast)
    _logout(browser, "GET", id_token_hint=hint)
    assert _logout(browser, "GET").status == 200
    assert _logout(browser, "GET", id_token_hint=hint, post_logout_redirect_uri=BYE).location == BYE


def test_s095_the_confirmation_is_our_own_form(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §6, S095: without the form's token, or from another site, nobody is signed out."""
    browser, _ = _signed_in(cast)
    path = f"{cast.acme.base_path}/logout"
    page = browser.get(path)
    token = page.form[1]["csrf"]
    other = _signed_in(cast)[0]
    foreign = other.get(path).form[1]["csrf"]
    for form, headers in (
        ({"action": "logout"}, {}),
        ({"action": "logout", "csrf": ""}, {}),
        ({"action": "logout", "csrf": "x" * 43}, {}),
        ({"action": "logout", "csrf": foreign}, {}),
        ({"action": "logout", "csrf": token}, {"origin": "https://evil.example"}),
        ({"action": "logout", "csrf": token}, {"origin": "null"}),
        ({"action": "logout", "csrf": token}, {"sec-fetch-site": "cross-site"}),
        ({"action": "logout", "csrf": token}, {"sec-fetch-site": "same-site"}),
    ):
        error_page(cast.house, browser.post(path, form, headers), 403)
        _assert_signed_in(cast, browser)
    assert browser.get(f"{path}?action=logout&csrf={token}").status == 200
    _assert_signed_in(cast, browser)
    browser.post(path, {"action": "logout", "csrf": token})
    _assert_signed_out(cast, browser)


def test_a_post_from_another_site_is_answered_with_a_get(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2: a cross-site POST may come without cookies; the GET that follows has them."""
    browser, hint = _signed_in(cast)
    form = {"id_token_hint": hint, "post_logout_redirect_uri": BYE, "state": "s"}
    headers = {"origin": "https://rp.example", "sec-fetch-site": "cross-site"}
    answer = browser.post(f"{cast.acme.base_path}/logout", form, headers)
    assert answer.status == 303
    assert answer.location.startswith(f"{cast.acme.base_path}/logout?")
    answer = browser.get(answer.location, {"sec-fetch-site": "cross-site"})
    assert answer.location == f"{BYE}?state=s"
    _assert_signed_out(cast, browser)


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {}])
@pytest.mark.parametrize("form", [{}, {"action": "logout"}, {"client_id": "basic"}])
def test_s095_another_sites_form_takes_no_cookies_away(
    cast: Cast, form: dict[str, str], headers: dict[str, str]
) -> None:
    """OpenID Connect RP-Initiated Logout §6, S095: where SameSite keeps our cookies back, the answer must not drop them either."""
    stranger = cast.browser()
    sent = {"origin": "https://evil.example", **headers}
    answer = stranger.post(f"{cast.acme.base_path}/logout", form, sent)
    assert answer.status == (403 if "action" in form else 303)
    assert answer.header("set-cookie") is None


@pytest.mark.parametrize(
    "name", ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales"]
)
def test_parameters_come_once(cast: Cast, name: str) -> None:
    """OpenID Connect RP-Initiated Logout §2, RFC 6749 §3.1: two values are none."""
    browser, _ = _signed_in(cast)
    error_page(cast.house, browser.get(f"{cast.acme.base_path}/logout?{name}=a&{name}=a"))
    error_page(cast.house, browser.get(f"{cast.acme.base_path}/logout?{name}=a%0d%0ab"))
    _assert_signed_in(cast, browser)


def test_a_registered_query_is_kept(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §3 (conformance: query added to post_logout_redirect_uri): state is added to it."""
    uri = "https://rp.example/bye?from=us"
    client = cast.house.client(cast.acme, "bye-query", post_logout_redirect_uris=[uri])
    browser = cast.browser()
    hint = client.redeem(browser.sign_in(client)).json["id_token"]
    assert (
        _logout(browser, "GET", id_token_hint=hint, post_logout_redirect_uri=uri, state="s").location
        == f"{uri}&state=s"
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_confirmation_keeps_everything(any_cast: Cast, method: str) -> None:
    """OpenID Connect RP-Initiated Logout §2, §3: who was asked ends where the request said, with the very state; hints need nothing."""
    cast = any_cast
    browser, _ = _signed_in(cast)
    elsewhere = _signed_in(cast)[1]
    params = {
        "id_token_hint": elsewhere,
        "client_id": "basic",
        "post_logout_redirect_uri": BYE,
        "state": "a b&c=d ü",
        "logout_hint": "ada@example.com",
        "ui_locales": "fr-CA fr en",
        "unknown": "parameter",
    }
    page = _logout(browser, method, **params)
    assert 'id="logout-confirm"' in page.text
    kept = dict(parse_qsl(urlsplit(page.form[0]).query))
    assert kept == {name: value for name, value in params.items() if name != "unknown"}
    answer = browser.submit(page, action="logout")
    assert answer.status == 303
    assert answer.location.startswith(f"{BYE}?state=")
    assert answer.params == {"state": "a b&c=d ü"}
    _assert_signed_out(cast, browser)


@pytest.mark.parametrize("name", ["logout_hint", "ui_locales"])
@pytest.mark.parametrize("value", ["nobody@example.com", "x" * 3000, "<script>alert(1)</script>", "ü"])
def test_hints_decide_nothing(cast: Cast, name: str, value: str) -> None:
    """OpenID Connect RP-Initiated Logout §2: logout_hint and ui_locales change neither what is asked nor what is done."""
    browser, hint = _signed_in(cast)
    page = _logout(browser, "GET", **{name: value})
    assert 'id="logout-confirm"' in page.text
    assert "<script" not in page.text
    assert _logout(browser, "GET", id_token_hint=hint, **{name: value}).status == 200
    _assert_signed_out(cast, browser)


def test_a_hint_without_sid_is_compared_by_its_subject(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, Core §8.1: by whom its own client means with it, pairwise too; not by anybody's."""
    pair = cast.house.client(cast.acme, "pairwise-bye", subject_type="pairwise")
    keys = cast.house.installation.servers.get(cast.acme).keys
    for client in (cast.basic, pair):
        browser = cast.browser()
        claims = decoded(client.redeem(browser.sign_in(client)).json["id_token"])[1]
        del claims["sid"]
        other = keys.sign(
            {**claims, "aud": (pair if client is cast.basic else cast.basic).client_id}, alg="RS256", typ="JWT"
        )
        assert 'id="logout-confirm"' in _logout(browser, "GET", id_token_hint=other).text
        hint = keys.sign(claims, alg="RS256", typ="JWT")
        answer = _logout(browser, "GET", id_token_hint=hint, post_logout_redirect_uri=BYE)
        assert (answer.status, answer.location) == (303, BYE)
        _assert_signed_out(cast, browser)


def test_the_cookie_goes_and_the_session_is_dead_behind_it(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, S093: a copy of the cookie is worth nothing afterwards."""
    browser, hint = _signed_in(cast)
    copy = dict(browser.cookies)
    _logout(browser, "GET", id_token_hint=hint)
    assert browser.cookies.keys() < copy.keys()
    browser.cookies = copy
    _assert_signed_out(cast, browser)


def test_the_page_says_who_asks(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2: the person reads which application asks, and may stay."""
    browser, _ = _signed_in(cast)
    page = _logout(browser, "GET", client_id="basic")
    assert "An application asks to sign you out" in " ".join(text_of(page).split())
    assert 'id="logout-stay"' in page.text


def test_another_tenants_session_is_not_touched(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, S037: a browser signed in at two tenants leaves one."""
    browser = cast.browser(cast.acme)
    hint = cast.basic.redeem(browser.sign_in(cast.basic)).json["id_token"]
    browser.tenant = cast.globex
    browser.sign_in(cast.foreign)
    error_page(cast.house, _logout(browser, "GET", id_token_hint=hint))
    browser.tenant = cast.acme
    _logout(browser, "GET", id_token_hint=hint)
    _assert_signed_out(cast, browser)
    browser.tenant = cast.globex
    assert "code" in browser.authorize(cast.foreign, verifier=VERIFIER, prompt="none").params


# -- several accounts in one browser ----------------------------------------------------------------------------------


def test_s096_the_current_account_ends_and_the_others_stay(any_cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, S096: confirmed, the current session ends alone; the page says who is still there."""
    browser, name, _ = _two(any_cast)
    page = browser.get(f"{any_cast.acme.base_path}/logout")
    assert name in page.text
    assert 'id="logout-all"' in page.text
    done = browser.submit(page, action="logout")
    assert "One other account in this browser stays signed in" in done.text
    _assert_answers(any_cast, browser, "account_selection_required")
    assert "ada@example.com" in browser.get(f"{any_cast.acme.base_path}/accounts").text


def test_s096_all_accounts_may_end(any_cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, S096: one click ends every session of the browser, each with its event."""
    browser, _, sids = _two(any_cast)
    done = browser.submit(browser.get(f"{any_cast.acme.base_path}/logout"), action="logout-all")
    assert "signed out" in done.text
    assert "stays signed in" not in done.text
    _assert_signed_out(any_cast, browser)
    assert not {"s-acme", "a-acme", "o-acme"} & browser.cookies.keys()
    ended = {event.session_id for event in events(any_cast.house, any_cast.acme, "session.ended")}
    assert set(sids) <= ended


def test_s096_the_hint_ends_the_account_that_it_names(any_cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, S096: the hint of an account beside ends that one, at once; the current one stays."""
    cast = any_cast
    browser, hint = _signed_in(cast)
    name = _person(cast)
    browser.sign_in(cast.basic, username=name, prompt="login")
    before = browser.cookies["o-acme"]
    answer = _logout(browser, "GET", id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert (answer.status, answer.location) == (303, BYE)
    _assert_signed_in(cast, browser)
    assert "a-acme" not in browser.cookies
    assert browser.cookies["o-acme"] != before
    assert name in browser.get(f"{cast.acme.base_path}/").text


def test_s096_the_hint_of_the_current_one_leaves_the_others(any_cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, S096: back with the state at once; the other account is offered next."""
    cast = any_cast
    browser, _ = _signed_in(cast)
    hint = cast.basic.redeem(browser.sign_in(cast.basic, username=_person(cast), prompt="login")).json["id_token"]
    answer = _logout(browser, "POST", id_token_hint=hint, post_logout_redirect_uri=BYE, state="x")
    assert (answer.status, answer.params) == (303, {"state": "x"})
    _assert_answers(cast, browser, "account_selection_required")
    again = _logout(browser, "GET", id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert (again.status, again.location) == (303, BYE)  # it has ended: nothing to ask
    _assert_answers(cast, browser, "account_selection_required")


def test_s096_without_a_current_account_the_others_are_asked_about(any_cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §2, S096: nobody is current: what can be ended is offered, nothing ends unasked."""
    browser, _, _ = _two(any_cast)
    browser.submit(browser.get(f"{any_cast.acme.base_path}/logout"), action="logout")
    page = browser.get(f"{any_cast.acme.base_path}/logout")
    assert 'id="logout-confirm"' not in page.text
    assert "ada@example.com" in page.text
    browser.submit(page, action="logout")
    _assert_answers(any_cast, browser, "account_selection_required")
    browser.submit(browser.get(f"{any_cast.acme.base_path}/logout"), action="logout-all")
    _assert_signed_out(any_cast, browser)


def test_s095_the_form_ends_only_the_accounts_it_showed(cast: Cast) -> None:
    """S095: when somebody has signed in since, the page that was open ends nobody."""
    browser, _ = _signed_in(cast)
    page = browser.get(f"{cast.acme.base_path}/logout")
    browser.sign_in(cast.basic, username=_person(cast), prompt="login")
    assert browser.submit(page, action="logout-all").status == 403
    _assert_signed_in(cast, browser)


def _person(cast: Cast) -> str:
    name = f"{secrets.token_hex(4)}@example.com"
    cast.house.user(cast.acme, name)
    return name


def _two(cast: Cast) -> tuple[Browser, str, list[str]]:
    """A browser with ada and somebody else, who is current; their name and both sids."""
    browser, hint = _signed_in(cast)
    name = _person(cast)
    other = cast.basic.redeem(browser.sign_in(cast.basic, username=name, prompt="login")).json["id_token"]
    return browser, name, [decoded(hint)[1]["sid"], decoded(other)[1]["sid"]]


def _assert_answers(cast: Cast, browser: Browser, error: str) -> None:
    assert browser.authorize(cast.basic, verifier=VERIFIER, prompt="none").params["error"] == error


def _signed_in(cast: Cast) -> tuple[Browser, str]:
    browser = cast.browser()
    return browser, cast.basic.redeem(browser.sign_in(cast.basic, password=PASSWORD)).json["id_token"]


def _logout(browser: Browser, method: str, **params: str) -> Answer:
    path = f"{browser.tenant.base_path}/logout"
    return browser.get(f"{path}?{urlencode(params)}") if method == "GET" else browser.post(path, params)


def _assert_signed_in(cast: Cast, browser: Browser) -> None:
    assert "code" in browser.authorize(cast.basic, verifier=VERIFIER, prompt="none").params


def _assert_signed_out(cast: Cast, browser: Browser) -> None:
    assert browser.authorize(cast.basic, verifier=VERIFIER, prompt="none").params["error"] == "login_required"
