"""The authorization endpoint (RFC 6749 §3.1, §4.1.1, §4.1.2): what is answered, where to, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from cast import discovery, without
from house import CALLBACK, challenge
from refusals import error_page, events, refused, sent_back
from sqlalchemy import update

from idp.clock import shifted
from idp.oauth.response_types import RESPONSE_TYPES
from idp.store.tenant import authorization_codes
from idp.store.tenant.clients import clients

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant

VERIFIER = "v" * 43


def test_advertised(cast: Cast) -> None:
    """RFC 8414 §2: the authorization endpoint, its response types and modes are in discovery."""
    found = discovery(cast.house, cast.acme)
    assert found["authorization_endpoint"] == f"{cast.acme.issuer}/authorize"
    assert found["response_types_supported"] == list(RESPONSE_TYPES)
    assert set(found["response_modes_supported"]) == {"query", "fragment", "form_post"}
    strict = discovery(cast.house, cast.house.tenant("strict-only"))
    assert strict["response_types_supported"] == ["code"]
    assert set(strict["response_modes_supported"]) == {"query", "form_post"}


def test_absent_when_disabled(house: House, acme: Tenant, rp: RelyingParty, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8414 §2: without its row in the table of features there is neither endpoint nor advertisement."""
    without(monkeypatch, house, "authorize")
    assert "authorization_endpoint" not in discovery(house, acme)
    assert house.browser(acme).authorize(rp, verifier=VERIFIER).status == 404


@pytest.mark.parametrize("state", ["abc", "a b&c=d#e%20+/?", "ümläut ✓", '"><script>', "\\"])
def test_a_code_with_the_very_state(cast: Cast, state: str) -> None:
    """RFC 6749 §4.1.2: a code, and the exact value of state, by a redirect that repeats no POST (RFC 9700 §4.12)."""
    answer = cast.grant(cast.basic, state=state).answer
    assert answer.status == 303
    assert answer.location.startswith(f"{CALLBACK}?")
    assert set(answer.params) == {"code", "state", "iss", "session_state"}
    assert answer.params["state"] == state
    assert answer.header("cache-control") == "no-store"


def test_no_state_where_none_was_sent(cast: Cast) -> None:
    """RFC 6749 §4.1.2: state is there if and only if the client sent it; §3.1: an empty one was not sent."""
    assert set(cast.grant(cast.basic, state=None).answer.params) == {"code", "iss", "session_state"}
    assert set(cast.grant(cast.basic, state="").answer.params) == {"code", "iss", "session_state"}


def test_a_code_is_stored_as_a_hash_and_lives_a_minute(cast: Cast) -> None:
    """RFC 6749 §4.1.2, RFC 9700 §2.1: short lived; the database does not know the code itself."""
    grant = cast.grant(cast.basic)
    with cast.house.database(cast.acme).reading() as conn:
        rows = conn.execute(authorization_codes.authorization_codes.select()).all()
    assert all(row.expires_at - row.issued_at <= 60 for row in rows)
    assert grant.code not in repr(rows)
    assert len(grant.code) >= 46


def test_the_grant_is_an_event(cast: Cast) -> None:
    """RFC 6749 §10.14: who allowed what to whom can be told afterwards."""
    before = len(events(cast.house, cast.acme, "authorization.granted"))
    cast.grant(cast.basic, scope="openid email")
    found = events(cast.house, cast.acme, "authorization.granted")
    assert len(found) == before + 1
    assert (found[-1].client_id, found[-1].details) == ("basic", {"scope": "openid email", "response_type": "code"})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unauthorized_client"),
        ({"response_type": "id_token"}, "unauthorized_client"),
        ({"response_type": "CODE"}, "unsupported_response_type"),
        ({"response_type": '"'}, "unsupported_response_type"),
        ({"response_type": "ü" * 500}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "query.jwt"}, "invalid_request"),
        ({"response_mode": "web_message"}, "invalid_request"),
        ({"scope": "openid ümläut"}, "invalid_scope"),
        ({"scope": 'openid "'}, "invalid_scope"),
        ({"scope": "openid \\"}, "invalid_scope"),
        ({"scope": "nobody-knows-this"}, "invalid_scope"),
        ({"scope": " ".join(f"s{n}" for n in range(200))}, "invalid_scope"),
    ],
)
def test_errors_go_to_the_proven_redirect_uri(cast: Cast, change: dict[str, str | None], error: str) -> None:
    """RFC 6749 §4.1.2.1: an error with state, to the registered redirect URI, once client and URI are proven."""
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, **change)
    sent_back(cast.house, answer, cast.acme, error, to=CALLBACK)


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "nobody"},
        {"client_id": "BASIC"},
        {"client_id": "x" * 3000},
        {"client_id": "'; DROP TABLE clients --"},
        {"client_id": "b\u0430sic"},
        {"redirect_uri": None},
        {"redirect_uri": ""},
    ],
)
def test_without_a_proven_address_there_is_a_page(cast: Cast, change: dict[str, str | None]) -> None:
    """RFC 6749 §4.1.2.1: a wrong client or redirect URI is told to the person, never by a redirect."""
    error_page(cast.house, cast.browser().authorize(cast.basic, verifier=VERIFIER, **change))


def test_the_client_of_another_tenant_is_unknown(cast: Cast) -> None:
    """RFC 6749 §4.1.2.1: a client exists at its own tenant only."""
    cast.house.client(cast.globex, "only-globex")
    error_page(cast.house, cast.browser(cast.acme).authorize(cast.basic, client_id="only-globex", verifier=VERIFIER))


def test_a_disabled_client_is_unknown_at_once(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """RFC 6749 §4.1.2.1: a disabled client gets no redirect, not even in a sign-in that is under way."""
    browser, other = house.browser(acme), house.browser(acme)
    login, denial = (one.follow(one.authorize(rp, verifier=VERIFIER)) for one in (browser, other))
    denial = other.follow(other.submit(denial, username="ada@example.com", password="correct horse battery staple"))
    with house.installation.feed.announced(acme.id, "client", rp.client_id):
        house.database(acme).writing(lambda conn: conn.execute(update(clients).values(state="disabled")))
    error_page(house, house.browser(acme).authorize(rp, verifier=VERIFIER))
    consent = browser.follow(browser.submit(login, username="ada@example.com", password="correct horse battery staple"))
    error_page(house, browser.follow(browser.submit(consent, action="approve")))
    error_page(house, other.submit(denial, action="deny"))


def test_the_only_redirect_uri_may_be_left_out_without_openid(cast: Cast) -> None:
    """RFC 6749 §3.1.2.3: where one is registered it is the default, and the token request need not repeat it (§4.1.3)."""
    grant = cast.grant(cast.basic, redirect_uri=None, scope="api")
    assert grant.answer.location.startswith(f"{CALLBACK}?")
    form = {"grant_type": "authorization_code", "code": grant.code, "code_verifier": grant.verifier}
    assert cast.basic.post("/token", form).status == 200


def test_of_several_redirect_uris_none_is_the_default(cast: Cast) -> None:
    """RFC 6749 §3.1.2.3: with more than one registered the request names one."""
    two = cast.house.client(cast.acme, "two", redirect_uris=[CALLBACK, "https://rp.example/other"])
    error_page(cast.house, cast.browser().authorize(two, verifier=VERIFIER, redirect_uri=None, scope="api"))


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "response_mode"])
@pytest.mark.parametrize("value", ["the same", "other"])
def test_what_the_answer_depends_on_comes_once(cast: Cast, name: str, value: str) -> None:
    """RFC 6749 §3.1: parameters come once; with two addresses there is none to answer to."""
    pairs = _pairs(cast)
    first = dict(pairs).get(name, "query")
    pairs = [
        *[pair for pair in pairs if pair[0] != name],
        (name, first),
        (name, first if value == "the same" else "other"),
    ]
    error_page(cast.house, cast.browser().get(f"{cast.acme.base_path}/authorize?{urlencode(pairs)}"))


@pytest.mark.parametrize("name", ["scope", "response_type", "nonce", "code_challenge", "prompt", "max_age", "anything"])
def test_any_other_parameter_comes_once(cast: Cast, name: str) -> None:
    """RFC 6749 §3.1: a repeated parameter is told to the redirect URI."""
    pairs = _pairs(cast)
    twice = [*pairs, (name, dict(pairs).get(name, "1"))] + ([] if name in dict(pairs) else [(name, "1")])
    answer = cast.browser().get(f"{cast.acme.base_path}/authorize?{urlencode(twice)}")
    sent_back(cast.house, answer, cast.acme, "invalid_request", to=CALLBACK)


def test_unknown_parameters_are_ignored(cast: Cast) -> None:
    """RFC 6749 §3.1: what the server does not recognise it must ignore."""
    assert cast.grant(cast.basic, foo="bar", resource_hint="x").code


def test_unknown_scopes_are_ignored_known_ones_must_be_registered(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1, RFC 6749 §3.3: unknown values are ignored; a known one the client may not have is refused."""
    tokens = cast.basic.redeem(cast.grant(cast.basic, scope="openid what-is-this api")).json
    assert tokens["scope"] == "openid api"
    narrow = cast.house.client(cast.acme, "narrow", scope="openid")
    answer = cast.browser().authorize(narrow, verifier=VERIFIER, scope="openid email")
    sent_back(cast.house, answer, cast.acme, "invalid_scope", to=CALLBACK)


@pytest.mark.parametrize("raw", ["%00", "%0d%0a", "%7f", "%09", "%1b"])
@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "scope", "x"])
def test_control_characters_are_refused(cast: Cast, name: str, raw: str) -> None:
    """RFC 6749 Appendix A: no parameter has control characters; nothing can be smuggled into a header."""
    query = urlencode([pair for pair in _pairs(cast) if pair[0] != name])
    answer = cast.browser().get(f"{cast.acme.base_path}/authorize?{query}&{name}=a{raw}b")
    error_page(cast.house, answer)


@pytest.mark.parametrize("query", ["%", "a=%zz", "client_id=%ff", "&".join(["a=1"] * 2000), "=", "&&&", "client_id"])
def test_an_unreadable_query_is_a_page(cast: Cast, query: str) -> None:
    """RFC 6749 §4.1.2.1: what cannot be read names no client."""
    error_page(cast.house, cast.browser().get(f"{cast.acme.base_path}/authorize?{query}"))


def test_a_posted_request_is_answered_too(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: GET and POST; the POST of another site has no cookies, so it is answered with a GET."""
    browser = cast.browser()
    browser.sign_in(cast.basic)
    answer = browser.post(
        f"{cast.acme.base_path}/authorize",
        dict(_pairs(cast)),
        {"origin": "https://rp.example", "sec-fetch-site": "cross-site"},
    )
    assert answer.status == 303
    assert set(browser.follow(answer).params) == {"code", "state", "iss", "session_state"}


def test_a_posted_request_is_checked_the_same(cast: Cast) -> None:
    """OpenID Connect Core §3.1.2.1: the form's parameters count, not those of the query."""
    form = {**dict(_pairs(cast)), "redirect_uri": "https://evil.example/cb"}
    error_page(cast.house, cast.browser().post(f"{cast.acme.base_path}/authorize?{urlencode(_pairs(cast))}", form))
    answer = cast.browser().post(f"{cast.acme.base_path}/authorize", {**dict(_pairs(cast)), "response_type": "token"})
    sent_back(cast.house, answer, cast.acme, "unsupported_response_type", to=CALLBACK)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_not_served(cast: Cast, method: str) -> None:
    """RFC 6749 §3.1: GET, and POST; RFC 9110 §15.5.6: a 405 names what is allowed."""
    answer = cast.house.send(method, f"{cast.acme.base_path}/authorize?{urlencode(_pairs(cast))}")
    error_page(cast.house, answer, 405)
    assert answer.header("allow") == "GET, POST, HEAD"


def test_the_person_may_say_no(cast: Cast) -> None:
    """RFC 6749 §4.1.2.1: access_denied when the resource owner denies."""
    cast.house.user(cast.acme, "denier@example.com")
    browser = cast.browser()
    page = browser.follow(browser.authorize(cast.basic, verifier=VERIFIER))
    page = browser.follow(browser.submit(page, username="denier@example.com", password="correct horse battery staple"))
    answer = browser.submit(page, action="deny")
    sent_back(cast.house, answer, cast.acme, "access_denied", to=CALLBACK)
    assert events(cast.house, cast.acme, "consent.denied")


def test_a_sign_in_that_took_too_long_issues_nothing(cast: Cast) -> None:
    """RFC 6749 §4.1.2: the request is stored for a while only."""
    browser = cast.browser()
    page = browser.follow(browser.authorize(cast.basic, verifier=VERIFIER))
    with shifted(31 * 60):
        late = browser.submit(page, username="ada@example.com", password="correct horse battery staple")
    assert late.status == 410
    assert late.header("location") is None


def test_the_token_endpoint_is_not_the_authorization_endpoint(cast: Cast) -> None:
    """RFC 6749 §3.2: response parameters mean nothing at the token endpoint."""
    refused(cast.house, cast.basic.post("/token", {"response_type": "code"}), 400, "invalid_request")


def _pairs(cast: Cast) -> list[tuple[str, str]]:
    return [
        ("response_type", "code"),
        ("client_id", "basic"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("state", "a state"),
        ("nonce", "n"),
        ("code_challenge", challenge(VERIFIER)),
        ("code_challenge_method", "S256"),
    ]
