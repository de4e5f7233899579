"""Redirect URIs of native apps (RFC 8252 §7): loopback addresses on any port, and an app's own scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from refusals import error_page

from idp.oauth.client_metadata import InvalidRedirectUri, validate

if TYPE_CHECKING:
    from cast import Cast
    from house import RelyingParty

ALGORITHMS = ("ES256", "RS256")


def native(cast: Cast, name: str, *uris: str) -> RelyingParty:
    """A public client of an app."""
    return cast.house.client(
        cast.acme, name, application_type="native", token_endpoint_auth_method="none", redirect_uris=list(uris)
    )


@pytest.fixture(scope="module")
def app(cast: Cast) -> RelyingParty:
    """An app that registered one loopback address."""
    return native(cast, "app", "http://127.0.0.1/cb")


@pytest.mark.parametrize(
    "registered", ["http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb", "http://127.0.0.1/cb?app=1"]
)
@pytest.mark.parametrize("port", [1, 80, 8080, 51004, 65535])
def test_s002_any_port_of_the_registered_loopback_address(cast: Cast, registered: str, port: int) -> None:
    """RFC 8252 §7.3, S002: the port is free, the code goes there, and the token request repeats that very address."""
    app = native(cast, f"app-{port}-{abs(hash(registered))}", registered)
    host, _, rest = registered.removeprefix("http://").partition("/cb")
    uri = f"http://{host}:{port}/cb{rest}"
    grant = cast.grant(app, redirect_uri=uri)
    assert grant.answer.location.startswith(uri + ("&" if rest else "?"))
    assert app.redeem(grant, redirect_uri=registered).status == 400
    assert app.redeem(grant, redirect_uri=uri).status == 200


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:5000/cb",
        "http://[::1]:5000/cb",
        "http://127.0.0.1.evil.example:5000/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.2:5000/cb",
        "http://127.1:5000/cb",
        "http://2130706433:5000/cb",
        "http://0x7f000001:5000/cb",
        "http://0.0.0.0:5000/cb",
        "http://[::ffff:127.0.0.1]:5000/cb",
        "http://127.0.0.1:5000/cb/",
        "http://127.0.0.1:5000/CB",
        "http://127.0.0.1:5000/cb?x=1",
        "http://127.0.0.1:5000/",
        "http://127.0.0.1:5000",
        "http://127.0.0.1:5000/cb#f",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.1:-1/cb",
        "http://127.0.0.1:+80/cb",
        "http://127.0.0.1:٨٠/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:5000@evil.example/cb",
        "http://user@127.0.0.1:5000/cb",
        "http://127.0.0.1:5000\\@evil.example/cb",
        "http://evil.example:5000/cb",
        "https://127.0.0.1:5000/cb",
        "HTTP://127.0.0.1:5000/cb",
        "http://127.0.0.1:5000/../cb",
        "http://127.0.0.1:5000/cb%2f",
        "http://127.0.0.1:5000//cb",
    ],
)
def test_s002_nothing_but_the_port_is_free(cast: Cast, app: RelyingParty, uri: str) -> None:
    """RFC 8252 §7.3, §8.3, S002: another host, path, query, scheme or user is not the registered address."""
    error_page(cast.house, cast.browser().authorize(app, verifier="v" * 43, redirect_uri=uri))


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9001/cb", "http://127.0.0.1/cb", "http://127.0.0.1:8999/cb"])
def test_a_port_that_is_registered_is_the_port(cast: Cast, uri: str) -> None:
    """RFC 9700 §4.1.3: a loopback address with a port matches as it stands; free is the port of one without."""
    app = native(cast, f"fixed-{abs(hash(uri))}", "http://127.0.0.1:9000/cb")
    error_page(cast.house, cast.browser().authorize(app, verifier="v" * 43, redirect_uri=uri))
    assert cast.grant(app, redirect_uri="http://127.0.0.1:9000/cb").code


def test_https_ports_are_not_free(cast: Cast) -> None:
    """RFC 9700 §4.1.3: the exception is for loopback http alone."""
    error_page(
        cast.house, cast.browser().authorize(cast.basic, verifier="v" * 43, redirect_uri="https://rp.example:8443/cb")
    )
    error_page(
        cast.house, cast.browser().authorize(cast.basic, verifier="v" * 43, redirect_uri="https://rp.example:443/cb")
    )


def test_an_earlier_consent_speaks_for_no_app(cast: Cast) -> None:
    """RFC 8252 §8.6: another app can claim the same scheme or port, so a public client there is consented to each time."""
    app = native(cast, "asked", "http://127.0.0.1/cb", "com.example.asked:/cb", "https://asked.example/cb")
    for uri, is_asked in (
        ("http://127.0.0.1:5000/cb", True),
        ("com.example.asked:/cb", True),
        ("https://asked.example/cb", False),
    ):
        browser = cast.browser()
        browser.sign_in(app, redirect_uri=uri)
        answer = browser.follow(browser.authorize(app, verifier="v" * 43, redirect_uri=uri))
        assert ('id="consent-approve"' in answer.text) is is_asked
        silent = browser.authorize(app, verifier="v" * 43, redirect_uri=uri, prompt="none")
        assert ("consent_required" in silent.location) is is_asked
    confidential = cast.house.client(cast.acme, "not-asked", redirect_uris=["http://127.0.0.1/cb"])
    browser = cast.browser()
    browser.sign_in(confidential, redirect_uri="http://127.0.0.1:5000/cb")
    answer = browser.authorize(confidential, verifier="v" * 43, redirect_uri="http://127.0.0.1:5000/cb")
    assert "code=" in answer.location, "a client that proves itself at the token endpoint may be remembered"


def test_an_apps_own_scheme(cast: Cast) -> None:
    """RFC 8252 §7.1: a private-use scheme, a reversed domain name, receives the code; the pages allow that scheme only."""
    app = native(cast, "scheme", "com.example.app:/oauth")
    browser = cast.browser()
    page = browser.follow(browser.authorize(app, verifier="v" * 43, redirect_uri="com.example.app:/oauth"))
    assert "form-action 'self' com.example.app:;" in (page.header("content-security-policy") or "")
    grant = cast.grant(app, redirect_uri="com.example.app:/oauth")
    assert grant.answer.location.startswith("com.example.app:/oauth?code=")
    assert app.redeem(grant, redirect_uri="com.example.app:/oauth").status == 200
    for uri in (
        "com.example.app:/other",
        "com.example.app://oauth",
        "com.example.app2:/oauth",
        "COM.example.app:/oauth",
    ):
        error_page(cast.house, cast.browser().authorize(app, verifier="v" * 43, redirect_uri=uri))


@pytest.mark.parametrize(
    "uri",
    [
        "myapp:/cb",
        "app:/cb",
        "http://192.168.1.5/cb",
        "http://rp.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://localhost.evil.example/cb",
    ],
)
def test_what_may_not_be_registered(uri: str) -> None:
    """RFC 8252 §7.1, §8.4, RFC 9700 §2.6: schemes without a dot collide, plain http is for loopback."""
    with pytest.raises(InvalidRedirectUri):
        validate(
            {"redirect_uris": [uri], "application_type": "native", "token_endpoint_auth_method": "none"},
            "strict",
            ALGORITHMS,
        )
