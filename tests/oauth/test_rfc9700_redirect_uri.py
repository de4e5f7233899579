"""Redirect URIs (RFC 9700 §4.1.3, RFC 6749 §3.1.2): the very text that is registered, or a page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from cast import discovery
from house import CALLBACK, challenge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import error_page, harmless, sent_back

from idp.oauth.client_metadata import InvalidRedirectUri, validate
from idp.oauth.redirect_uri import closest, mark_difference, matches, problem_of

if TYPE_CHECKING:
    from cast import Cast

VERIFIER = "v" * 43
VARIANTS = [
    CALLBACK + "/",
    CALLBACK + "?",
    CALLBACK + "?x=1",
    CALLBACK + "#",
    CALLBACK + "#x",
    CALLBACK + "%00",
    CALLBACK + ".",
    CALLBACK + "//",
    CALLBACK + "/..",
    CALLBACK + " ",
    " " + CALLBACK,
    CALLBACK + "%20",
    CALLBACK + "\\",
    CALLBACK + ";x",
    CALLBACK.upper(),
    CALLBACK.replace("cb", "CB"),
    CALLBACK.replace("rp.example", "RP.example"),
    CALLBACK.replace("rp.example", "rp.example."),
    CALLBACK.replace("https", "http"),
    CALLBACK.replace("https", "HTTPS"),
    CALLBACK.replace("https://", "https:/"),
    CALLBACK.replace("https://", "//"),
    CALLBACK.replace("https://", "https:\\\\"),
    CALLBACK.replace("/cb", ":443/cb"),
    CALLBACK.replace("/cb", ":8443/cb"),
    CALLBACK.replace("/cb", "/x/../cb"),
    CALLBACK.replace("/cb", "/%2e%2e/cb"),
    CALLBACK.replace("/cb", "/x/%2e%2e/cb"),
    CALLBACK.replace("/cb", "/%63b"),
    CALLBACK.replace("/cb", "%2fcb"),
    CALLBACK.replace("/cb", "%252fcb"),
    CALLBACK.replace("rp.example", "user@rp.example"),
    CALLBACK.replace("rp.example", "user:pw@rp.example"),
    "https://rp.example@evil.example/cb",
    "https://rp.example:443@evil.example/cb",
    "https://rp.example.evil.example/cb",
    "https://evil.example/https://rp.example/cb",
    "https://evil.example/?u=https://rp.example/cb",
    "https://evil.example/cb",
    "https://evil.example\\@rp.example/cb",
    "https://rp.example\\.evil.example/cb",
    "https://rp.example%2eevil.example/cb",
    "https://rp.example%00.evil.example/cb",
    "https://rp.example\u3002evil.example/cb",
    "https://rp\u3002example/cb",
    "https://rр.example/cb",  # a Cyrillic letter
    "https://xn--r-itb.example/cb",
    "https://ｒｐ.example/cb",
    "https://rp.example/cb\u200b",
    "https://[::1]/cb",
    "https://evil.example#@rp.example/cb",
    "https://evil.example?@rp.example/cb",
    "javascript:alert(1)//https://rp.example/cb",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://rp.example/cb",
    "about:blank",
    "urn:ietf:wg:oauth:2.0:oob",
    "https:",
    "https://",
    "cb",
    "/cb",
    "*",
    "https://*.example/cb",
    '"><script>alert(1)</script>',
    "{{7*7}}",
    "%s%n",
    "https://rp.example/cb," + CALLBACK,
    CALLBACK + "x" * 3000,
]


def test_advertised_issuer_and_registered_uris_are_all_a_client_needs(cast: Cast) -> None:
    """RFC 9700 §4.1.3: no wildcard and no pattern can be registered, so the registered text is what is compared."""
    assert discovery(cast.house, cast.acme)["issuer"] == cast.acme.issuer
    assert cast.grant(cast.basic).answer.location.startswith(f"{CALLBACK}?")


@pytest.mark.parametrize("uri", VARIANTS)
def test_s001_a_variant_is_another_address(cast: Cast, uri: str) -> None:
    """RFC 9700 §4.1.3, S001: an exact comparison of texts; a page, never a redirect; the difference is kept for the operator."""
    record = error_page(cast.house, cast.browser().authorize(cast.basic, verifier=VERIFIER, redirect_uri=uri))
    assert record["check"] in ("redirect_uri", "characters")
    if record["check"] == "redirect_uri":
        assert record["registered"] == [CALLBACK]
        assert "[" in record["reason"]


@pytest.mark.parametrize(
    "raw", ["%09", "%0d", "%0a", "%0d%0aLocation:%20https://evil.example", "%00", "%7f", "%c2%85", "%e2%80%a8"]
)
def test_s001_control_characters_inside(cast: Cast, raw: str) -> None:
    """RFC 9700 §4.1.3, S001: what browsers drop or turn around is not dropped here."""
    for wrong in (
        quote(CALLBACK, safe="") + raw,
        raw + quote(CALLBACK, safe=""),
        quote("https://rp.exa", safe="") + raw + quote("mple/cb", safe=""),
    ):
        query = f"response_type=code&client_id=basic&scope=openid&code_challenge={challenge(VERIFIER)}&code_challenge_method=S256&redirect_uri={wrong}"
        error_page(cast.house, cast.browser().get(f"{cast.acme.base_path}/authorize?{query}"))


@pytest.mark.parametrize(
    "scheme", ["javascript", "data", "vbscript", "file", "blob", "about", "JavaScript", "ws", "ftp", "mailto"]
)
def test_s003_schemes_that_run_or_read(cast: Cast, scheme: str) -> None:
    """RFC 9700 §4.1.3, S003: refused at registration, and at the authorization endpoint by each response mode."""
    for uri in (f"{scheme}:alert(1)", f"{scheme}://rp.example/cb", f"{scheme}:%0aalert(1)"):
        for application_type in ("web", "native"):
            with pytest.raises(InvalidRedirectUri):
                validate(
                    {
                        "redirect_uris": [uri],
                        "application_type": application_type,
                        "token_endpoint_auth_method": "none",
                    },
                    "strict",
                    ("ES256", "RS256"),
                )
        for mode in ("query", "form_post"):
            error_page(
                cast.house,
                cast.browser().authorize(cast.basic, verifier=VERIFIER, redirect_uri=uri, response_mode=mode),
            )


def test_s003_form_post_reaches_web_addresses_only(cast: Cast) -> None:
    """OAuth 2.0 Form Post Response Mode §2, S003: a form is not posted to an app's scheme; the page's policy names one target."""
    app = cast.house.client(
        cast.acme,
        "s003",
        application_type="native",
        token_endpoint_auth_method="none",
        redirect_uris=["com.example.app:/cb"],
    )
    answer = cast.browser().authorize(
        app, verifier=VERIFIER, redirect_uri="com.example.app:/cb", response_mode="form_post"
    )
    sent_back(cast.house, answer, cast.acme, "invalid_request", to="com.example.app:/cb")


@pytest.mark.parametrize(
    "fault",
    [
        {"response_type": "token"},
        {"response_type": "id_token token"},
        {"response_type": None},
        {"response_type": "none"},
        {"scope": '"'},
        {"scope": "nobody-knows"},
        {"prompt": "bad"},
        {"prompt": "none"},
        {"max_age": "-1"},
        {"client_id": "nobody"},
        {"client_id": None},
        {"code_challenge": "x"},
        {"request": "x"},
        {"id_token_hint": "x"},
        {"response_mode": "fragment"},
        {"response_mode": "form_post"},
        {"response_mode": "form_post", "response_type": "token"},
        {"state": "x" * 17000},
    ],
)
@pytest.mark.parametrize("uri", ["https://evil.example/cb", CALLBACK + "/", "com.evil.app:/cb"])
def test_s004_no_error_goes_to_an_unregistered_address(cast: Cast, fault: dict[str, str | None], uri: str) -> None:
    """RFC 9700 §4.11.1, RFC 6749 §4.1.2.1, S004: whatever else is wrong, no redirect before the address is proven."""
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, redirect_uri=uri, **fault)
    error_page(cast.house, answer)
    assert "evil" not in (answer.header("content-security-policy") or "")
    posted = cast.browser().post(
        f"{cast.acme.base_path}/authorize",
        {
            "client_id": "basic",
            "response_type": "code",
            "redirect_uri": uri,
            **{name: value for name, value in fault.items() if value},
        },
    )
    error_page(cast.house, posted)


def test_s004_a_client_of_another_tenant_with_its_own_address(cast: Cast) -> None:
    """RFC 9700 §4.11.1, S004: an address that another tenant's client registered is not registered here."""
    cast.house.client(cast.globex, "visitor", redirect_uris=["https://visitor.example/cb"])
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, redirect_uri="https://visitor.example/cb")
    error_page(cast.house, answer)
    error_page(
        cast.house, cast.browser().authorize(cast.basic, client_id="visitor", redirect_uri="https://visitor.example/cb")
    )


def test_what_is_refused_is_shown_to_operators_only(cast: Cast) -> None:
    """RFC 9700 §4.11.1: the page names neither the address that was sent nor those that are registered."""
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, redirect_uri="https://evil.example/cb")
    record = error_page(cast.house, answer)
    assert "evil.example" not in answer.text
    assert CALLBACK not in answer.text
    assert record["received"] == "https://evil.example/cb"


@pytest.mark.parametrize("length", [21, 119, 1900])
def test_a_long_address_costs_no_more_than_a_short_one(length: int) -> None:
    """RFC 9700 §4.1.3: marking the difference for the operator is no lever: under 50 ms whatever a stranger sends."""
    from time import process_time

    registered = "https://rp.example/" + "ab" * ((length - 19) // 2)
    for sent in ("a" * 2000, "ba" * 1000, registered[:-1] + "x" * 500, registered + "y"):
        begun = process_time()
        closest(sent, frozenset({registered}))
        marked = mark_difference(sent[:2000], registered)
        assert process_time() - begun < 0.05
        assert "[" in marked


@pytest.mark.parametrize(
    ("sent", "registered", "marked"),
    [
        ("https://rp.example/cb/", "https://rp.example/cb", "https://rp.example/cb[/]"),
        ("https://rp.example/c", "https://rp.example/cb", "https://rp.example/c[missing: b]"),
        ("x" * 300 + "1" + "y" * 300, "x" * 300 + "2" + "y" * 300, "x" * 300 + "[1]" + "y" * 300 + " [missing: 2]"),
        ("x" * 600, "x" * 599, "x" * 599 + "[x]"),
        ("x" * 599, "x" * 600, "x" * 599 + "[] [missing: x]"),
    ],
)
def test_the_difference_is_marked(sent: str, registered: str, marked: str) -> None:
    """RFC 9700 §4.1.3: between brackets, also where both are long."""
    assert mark_difference(sent, registered) == marked


_PIECES = [
    "https://",
    "http://",
    "rp.example",
    "evil.example",
    "/cb",
    "@",
    ":",
    "\\",
    "?",
    "#",
    "%2f",
    "//",
    ".",
    "127.0.0.1",
    ":80",
    "localhost",
    "..",
    "a",
    "[::1]",
    ";",
    "&",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join) | st.text(max_size=40))
def test_nothing_matches_by_chance(uri: str) -> None:
    """RFC 9700 §4.1.3: the comparison accepts the registered text, and of a loopback address without port only ports besides."""
    registered = frozenset({CALLBACK, "http://127.0.0.1/cb"})
    if matches(uri, registered) and uri not in registered:
        host, _, rest = uri.removeprefix("http://127.0.0.1:").partition("/")
        assert uri.startswith("http://127.0.0.1:")
        assert host.isascii()
        assert host.isdigit()
        assert rest == "cb"


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from([*_PIECES, "javascript:", "com.app:", "*", " ", "\n", "ü"]), max_size=8).map("".join)
    | st.text(max_size=40)
)
def test_what_may_be_registered_can_be_sent_to(uri: str) -> None:
    """RFC 6749 §3.1.2: whatever passes registration is an absolute address of safe characters without a fragment."""
    if problem_of(uri) is None:
        assert uri.isascii()
        assert uri.isprintable()
        assert not set(uri) & set(' #*\\"<>')
        assert "@" not in urlsplit(uri).netloc
        assert uri.partition(":")[0] not in ("javascript", "data", "file")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_any_text_as_address(cast: Cast, uri: str) -> None:
    """RFC 9700 §4.1.3: any text is a page, never a redirect, never a failure."""
    if uri.isascii() or uri.encode("utf-8", "ignore").decode() == uri:
        answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, redirect_uri=uri)
        harmless(answer)
        assert answer.header("location") is None
