"""Front-Channel Logout OP: OpenID Connect Front-Channel Logout 1.0, read from the page that the browser is given.

Modules of the plan (oidcc-frontchannel-rp-initiated-logout-certification-test-plan): oidcc-frontchannel-discovery-endpoint-verification,
oidcc-frontchannel-rp-initiated-logout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from relying import REDIRECT, RelyingParty
from user_agent import Markup

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from op_under_test import Provider
    from user_agent import UserAgent

OUT, BYE = "https://rp.example/out", "https://rp.example/bye"


@pytest.fixture
def framed(provider: Provider) -> Callable[..., RelyingParty]:
    """Register relying parties that are told in a frame."""

    def make(host: str = "rp.example", **given: Any) -> RelyingParty:
        members = {
            "redirect_uris": [f"https://{host}/cb"],
            "frontchannel_logout_uri": f"https://{host}/out",
            "post_logout_redirect_uris": [f"https://{host}/bye"],
            **given,
        }
        return RelyingParty.register(provider, **members)

    return make


def logout(rp: RelyingParty, agent: UserAgent, **params: str) -> httpx.Response:
    """End the session, and return the page that has the frames."""
    query = urlencode(params)
    agent.open(f"{rp.metadata['end_session_endpoint']}?{query}")
    found = [answer for answer in agent.trail if "<iframe" in answer.text]
    assert found, f"no page with frames: {[(each.status_code, str(each.url)) for each in agent.trail]}"
    return found[-1]


def frames(page: httpx.Response) -> dict[str, dict[str, str]]:
    """The parameters of each frame by its address."""
    return {
        source.partition("?")[0]: dict(parse_qsl(urlsplit(source).query))
        for source in Markup(page.text).sources.get("iframe", [])
    }


def test_it_is_advertised(provider: Provider) -> None:
    """OpenID Connect Front-Channel Logout §3: frontchannel_logout_supported and frontchannel_logout_session_supported."""
    document = provider.discovery()
    assert document["frontchannel_logout_supported"] is True
    assert document["frontchannel_logout_session_supported"] is True


def test_it_is_registered(framed: Callable[..., RelyingParty]) -> None:
    """OpenID Connect Front-Channel Logout §2: frontchannel_logout_uri and frontchannel_logout_session_required, as they were sent."""
    document = framed(frontchannel_logout_session_required=True).document
    assert (document["frontchannel_logout_uri"], document["frontchannel_logout_session_required"]) == (OUT, True)


@pytest.mark.parametrize(
    "address",
    [
        "http://rp.example/out",
        "https://other.example/out",
        "https://rp.example:8443/out",
        "https://rp.example/out#x",
        "/out",
        "javascript:alert(1)",
    ],
)
def test_the_address_is_one_of_the_client(provider: Provider, address: str) -> None:
    """OpenID Connect Front-Channel Logout §2: an absolute https address, of scheme, host and port of a registered redirect URI."""
    answer = provider.http.post(
        provider.discovery()["registration_endpoint"],
        json={"redirect_uris": [REDIRECT], "frontchannel_logout_uri": address},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_a_logout_is_told_in_a_frame(framed: Callable[..., RelyingParty], agent: UserAgent) -> None:
    """OpenID Connect Front-Channel Logout §2, §3: a frame with the address, and iss and sid, which are those of the ID token.

    Module oidcc-frontchannel-rp-initiated-logout.
    """
    rp = framed(frontchannel_logout_session_required=True)
    signed_in = rp.sign_in(agent)
    page = logout(rp, agent, id_token_hint=signed_in.id_token, post_logout_redirect_uri=BYE, state="s")
    assert frames(page) == {OUT: {"iss": rp.metadata["issuer"], "sid": signed_in.claims["sid"]}}
    assert rp.ask(agent, prompt="none").arrival.error == "login_required"


def test_the_person_goes_on_afterwards(framed: Callable[..., RelyingParty], agent: UserAgent) -> None:
    """OpenID Connect RP-Initiated Logout §3, OpenID Connect Front-Channel Logout §4.1: after the frames the browser goes to post_logout_redirect_uri with the state."""
    rp = framed()
    signed_in = rp.sign_in(agent)
    page = logout(rp, agent, id_token_hint=signed_in.id_token, post_logout_redirect_uri=BYE, state="a state")
    onward = [link for link in Markup(page.text).links if link.startswith(BYE)]
    assert dict(parse_qsl(urlsplit(onward[0]).query)) == {"state": "a state"}


def test_the_page_allows_exactly_its_frames(framed: Callable[..., RelyingParty], agent: UserAgent) -> None:
    """OpenID Connect Front-Channel Logout §3, CSP Level 3: the frames are allowed to load, and the page itself is framed by nobody."""
    rp = framed()
    page = logout(rp, agent, id_token_hint=rp.sign_in(agent).id_token)
    policy = page.headers["content-security-policy"]
    (sources,) = [rule.split()[1:] for rule in policy.split("; ") if rule.startswith("frame-src ")]
    assert sources == ["https://rp.example"]
    assert "no-store" in page.headers["cache-control"]


def test_a_query_of_the_address_stays(framed: Callable[..., RelyingParty], agent: UserAgent) -> None:
    """OpenID Connect Front-Channel Logout §2: the address may have a query, to which iss and sid are added."""
    rp = framed(frontchannel_logout_uri=f"{OUT}?foo=bar", frontchannel_logout_session_required=True)
    signed_in = rp.sign_in(agent)
    page = logout(rp, agent, id_token_hint=signed_in.id_token)
    assert frames(page)[OUT] == {"foo": "bar", "iss": rp.metadata["issuer"], "sid": signed_in.claims["sid"]}


def test_iss_and_sid_go_together(framed: Callable[..., RelyingParty], agent: UserAgent) -> None:
    """OpenID Connect Front-Channel Logout §2: iss and sid are both there or neither is, for a client that does not require them."""
    rp = framed()
    page = logout(rp, agent, id_token_hint=rp.sign_in(agent).id_token)
    assert set(frames(page)[OUT]) in ({"iss", "sid"}, set())


def test_every_application_of_the_session_is_told(framed: Callable[..., RelyingParty], agent: UserAgent) -> None:
    """OpenID Connect Front-Channel Logout §3, §4.1: a frame for each relying party that the session signed in to, and for no other."""
    parties = [framed(f"{name}.example") for name in ("one", "two", "three")]
    framed("unused.example")
    hints = [rp.sign_in(agent).id_token for rp in parties]
    page = logout(parties[0], agent, id_token_hint=hints[0])
    assert frames(page).keys() == {f"https://{name}.example/out" for name in ("one", "two", "three")}


def test_after_a_confirmation_too(framed: Callable[..., RelyingParty], agent: UserAgent) -> None:
    """OpenID Connect Front-Channel Logout §3, OpenID Connect RP-Initiated Logout §2: without a hint the person confirms; then the frames come as well."""
    rp = framed()
    rp.sign_in(agent)
    page = logout(rp, agent)
    assert "logout-confirm" in agent.pressed
    assert OUT in frames(page)


def test_another_session_is_not_told(
    framed: Callable[..., RelyingParty], agent: UserAgent, browsers: Callable[..., UserAgent]
) -> None:
    """OpenID Connect Front-Channel Logout §3: applications that only another browser of the person signed in to have no frame."""
    here, elsewhere = framed("here.example"), framed("elsewhere.example")
    elsewhere.sign_in(browsers())
    page = logout(here, agent, id_token_hint=here.sign_in(agent).id_token)
    assert frames(page).keys() == {"https://here.example/out"}
