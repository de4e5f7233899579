"""Front-channel logout (OpenID Connect Front-Channel Logout 1.0): a frame of each application on the page that signs a person out."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from cast import discovery, without
from house import decoded
from refusals import refused, text_of
from registering import WEB, register

from idp.errors import Invalid
from idp.oauth.client_metadata import validate
from idp.oidc.frontchannel_logout import sources
from idp.store.tenant import clients
from idp.web.headers import LONGEST_SOURCES

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, Browser, House, RelyingParty

    from idp.tenancy.tenant import Tenant

BYE = "https://rp.example/bye"


def app(cast: Cast, name: str, host: str = "rp.example", path: str = "/fcl", **metadata: Any) -> RelyingParty:
    """An application that wants a frame."""
    given = {
        "redirect_uris": ["https://rp.example/cb", f"https://{host}/cb"],
        "frontchannel_logout_uri": f"https://{host}{path}",
    }
    return cast.house.client(cast.acme, name, **{**given, **metadata})


def signed_in(cast: Cast, *apps: RelyingParty) -> tuple[Browser, str]:
    """A browser that is signed in at applications, and an ID token of the first."""
    browser = cast.browser()
    tokens = [each.redeem(browser.sign_in(each)).json["id_token"] for each in apps]
    return browser, tokens[0]


def logout(browser: Browser, **params: str) -> Answer:
    """Open the end session endpoint."""
    return browser.get(f"{browser.tenant.base_path}/logout?{urlencode(params)}")


def frames(page: Answer) -> list[str]:
    """The addresses of a page's frames; none of them is seen."""
    found = re.findall(r'<iframe src="([^"]*)" title="[^"]+" hidden></iframe>', page.text)
    assert page.text.count("<iframe") == len(found)
    return [html.unescape(each) for each in found]


def policy(page: Answer) -> dict[str, list[str]]:
    """The page's content security policy."""
    text = page.header("content-security-policy") or ""
    return {name: rest for name, *rest in (directive.split() for directive in text.split(";"))}


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Front-Channel Logout §3: both members of discovery."""
    document = discovery(cast.house, cast.acme)
    assert document["frontchannel_logout_supported"] is True
    assert document["frontchannel_logout_session_supported"] is True


def test_absent_when_disabled(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenID Connect Front-Channel Logout §3: without its row it is not advertised, and no page has a frame."""
    client = house.client(acme, frontchannel_logout_uri="https://rp.example/fcl")
    without(monkeypatch, house, "frontchannel_logout")
    assert not [name for name in discovery(house, acme) if name.startswith("frontchannel_logout")]
    browser = house.browser(acme)
    hint = client.redeem(browser.sign_in(client)).json["id_token"]
    assert frames(logout(browser, id_token_hint=hint)) == []


def test_each_application_gets_a_frame(any_cast: Cast) -> None:
    """OpenID Connect Front-Channel Logout §3: the very session's applications, with iss and sid, those that were used once each."""
    cast = any_cast
    one = app(cast, "one", "one.example")
    two = app(cast, "two", "two.example:8443", "/out?tenant=7")
    app(cast, "not-used", "unused.example")
    browser, hint = signed_in(cast, one, two, one, cast.basic)
    page = logout(browser, id_token_hint=hint, post_logout_redirect_uri=BYE, state="a b")
    assert page.status == 200
    assert "You are signed out" in text_of(page)
    first, second = sorted(frames(page))
    sid = decoded(hint)[1]["sid"]
    expected = {"iss": [cast.acme.issuer], "sid": [sid]}
    assert first.startswith("https://one.example/fcl?")
    assert parse_qs(urlsplit(first).query) == expected
    assert second.startswith("https://two.example:8443/out?tenant=7&")
    assert parse_qs(urlsplit(second).query) == {"tenant": ["7"], **expected}
    assert sorted(policy(page)["frame-src"]) == ["https://one.example", "https://two.example:8443"]
    assert browser.authorize(cast.basic, verifier="v" * 43, prompt="none").params["error"] == "login_required"
    again = logout(browser, id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert (again.status, again.location) == (303, BYE), "who is signed out already is not told twice"


def test_the_page_goes_on(cast: Cast) -> None:
    """OpenID Connect Front-Channel Logout §3, RP-Initiated Logout §3: to the registered address with the state; without script too."""
    browser, hint = signed_in(cast, app(cast, "goes-on"))
    page = logout(browser, id_token_hint=hint, post_logout_redirect_uri=BYE, state="x&y ü'\"<z>")
    onward = f"{BYE}?{urlencode({'state': chr(120) + '&y ü' + chr(39) + chr(34) + '<z>'})}"
    (link,) = re.findall(r'<a [^>]*id="continue" href="([^"]+)" data-patience="5"', page.text)
    assert html.unescape(link) == onward
    (refresh,) = re.findall(r'<noscript><meta http-equiv="refresh" content="([^"]+)"></noscript>', page.text)
    assert html.unescape(refresh) == f"5; url={onward}"
    assert dict(parse_qsl(urlsplit(html.unescape(link)).query)) == {"state": "x&y ü'\"<z>"}
    assert policy(page)["script-src"] == ["'self'"]
    assert re.search(r'<script src="/static/signed_out\.js\?v=[0-9a-f]+"></script>', page.text)


def test_without_an_address_the_page_stays(cast: Cast) -> None:
    """OpenID Connect Front-Channel Logout §3: nowhere to go: the frames are loaded, no script is needed, nothing is allowed to run."""
    browser, hint = signed_in(cast, app(cast, "stays"))
    page = logout(browser, id_token_hint=hint)
    assert len(frames(page)) == 1
    assert "refresh" not in page.text
    assert "script-src" not in policy(page)


def test_after_the_confirmation_too(cast: Cast) -> None:
    """OpenID Connect Front-Channel Logout §3: a person who was asked gets the frames after the yes, and then the address."""
    browser, _ = signed_in(cast, app(cast, "asked"))
    asked = logout(browser, client_id="asked", post_logout_redirect_uri=BYE, state="s")
    assert frames(asked) == []
    page = browser.submit(asked, action="logout")
    assert (page.status, len(frames(page))) == (200, 1)
    assert f'href="{BYE}?state=s"' in page.text


def test_no_front_channel_client_no_page(cast: Cast) -> None:
    """OpenID Connect RP-Initiated Logout §3: without frames the redirect comes at once."""
    browser, hint = signed_in(cast, cast.basic)
    answer = logout(browser, id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert (answer.status, answer.location) == (303, BYE)


def test_a_client_that_is_gone_gets_no_frame(cast: Cast) -> None:
    """OpenID Connect Front-Channel Logout §3: a disabled application is framed no more."""
    browser, hint = signed_in(cast, cast.basic, app(cast, "gone"))
    database = cast.house.database(cast.acme)
    with cast.house.installation.feed.announced(cast.acme.id, "client", "gone"):
        database.writing(lambda conn: clients.change(conn, "gone", state="disabled"))
    assert logout(browser, id_token_hint=hint, post_logout_redirect_uri=BYE).status == 303


@pytest.mark.parametrize(
    "uri",
    [
        "https://other.example/fcl",
        "http://rp.example/fcl",
        "https://rp.example:8443/fcl",
        "https://rp.example.evil.example/fcl",
        "https://rp.example@evil.example/fcl",
        "https://rp.example/fcl#x",
        "/fcl",
        "javascript:alert(1)",
        'https://rp.example/"><script>',
        "",
        1,
    ],
)
def test_its_origin_is_a_redirect_uris(cast: Cast, uri: Any) -> None:
    """OpenID Connect Front-Channel Logout §2: scheme, host and port of a registered redirect URI; absolute; no fragment."""
    with pytest.raises(Invalid, match="frontchannel_logout_uri"):
        validate(WEB | {"frontchannel_logout_uri": uri}, "strict", ("ES256", "RS256"))


def test_registered_and_shown(house: House) -> None:
    """OpenID Connect Front-Channel Logout §2: both members; the scheme and host as URLs compare them, the default port left out."""
    tenant = house.tenant("open", registration="open")
    for uri in ("https://rp.example/fcl", "https://rp.example:443/fcl?a=b", "https://RP.example/"):
        asked = {"frontchannel_logout_uri": uri, "frontchannel_logout_session_required": True}
        assert register(house, tenant, WEB | asked).json.items() >= asked.items()
    wrong = WEB | {"frontchannel_logout_session_required": "yes"}
    refused(house, register(house, tenant, wrong), 400, "invalid_client_metadata")
    wrong = WEB | {"frontchannel_logout_uri": "https://other.example/"}
    refused(house, register(house, tenant, wrong), 400, "invalid_client_metadata")


def test_the_policy_stays_short(cast: Cast) -> None:
    """CSP Level 3 §6.4: origins by name as long as the header stays small, all of HTTPS with more; an IPv6 host by its scheme."""
    few = [f"https://app{number}.example/fcl" for number in range(50)]
    assert sources(few) == tuple(f"https://app{number}.example" for number in range(50))
    many = [f"https://application-number-{number}.customers.example/fcl" for number in range(200)]
    assert sources(many) == ("https:",)
    assert sources([*many, "http://localhost:9/fcl"]) == ("https:", "http:")
    assert sources(["https://[2001:db8::1]/fcl"]) == ("https:",)
    apps = [app(cast, f"many{number}", f"application-number-{number}.customers.example") for number in range(60)]
    browser, hint = signed_in(cast, *apps)
    page = logout(browser, id_token_hint=hint)
    assert len(frames(page)) == 60
    assert len(page.header("content-security-policy") or "") < 4096
    assert LONGEST_SOURCES < 4096 - 500
