"""Back-Channel Logout OP: OpenID Connect Back-Channel Logout 1.0, with a receiver over TLS that a relying party would run.

Modules of the plan (oidcc-backchannel-rp-initiated-logout-certification-test-plan): oidcc-backchannel-discovery-endpoint-verification,
oidcc-backchannel-rp-initiated-logout.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from id_token_rules import header_of, verified
from relying import REDIRECT, RelyingParty

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopback_site import Site
    from op_under_test import Provider
    from user_agent import UserAgent

EVENT = "http://schemas.openid.net/event/backchannel-logout"
BYE = "https://rp.example/bye"


@pytest.fixture
def receiver(provider: Provider, site: Site) -> Callable[..., RelyingParty]:
    """Register relying parties that are told when a session ends."""

    def make(**given: Any) -> RelyingParty:
        address = site.put(f"/backchannel/{secrets.token_urlsafe(8)}", "")
        return RelyingParty.register(provider, backchannel_logout_uri=address, post_logout_redirect_uris=[BYE], **given)

    return make


def path_of(rp: RelyingParty, site: Site) -> str:
    """The path that a relying party listens at."""
    found: str = rp.document["backchannel_logout_uri"].removeprefix(site.url)
    return found


def logout(rp: RelyingParty, agent: UserAgent, hint: str) -> None:
    """End the session, and come back."""
    query = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": BYE, "state": "s"})
    arrival = agent.open(f"{rp.metadata['end_session_endpoint']}?{query}")
    assert arrival.error is None


def told(rp: RelyingParty, site: Site) -> dict[str, Any]:
    """The claims of the one logout token that came, checked as a relying party checks them (§2.6)."""
    (received,) = site.wait_for(path_of(rp, site))
    # §2.5: a POST with the form parameter logout_token, and nothing else but what others may define.
    assert received.method == "POST"
    assert received.headers["content-type"].partition(";")[0] == "application/x-www-form-urlencoded"
    token = received.form["logout_token"]
    alg = rp.document.get("id_token_signed_response_alg", "RS256")
    # §2.4: the same algorithm as the ID tokens of the client, never none; §2.4: typ logout+jwt is recommended.
    assert header_of(token)["typ"] == "logout+jwt"
    claims = verified(token, rp.provider.keys(), alg)
    assert claims["iss"] == rp.metadata["issuer"]
    assert claims["aud"] in (rp.client_id, [rp.client_id])
    at = time.time()
    assert abs(claims["iat"] - at) < 60
    # §2.4: exp is required, and should be at most two minutes away.
    assert at - 10 < claims["exp"] <= at + 130
    assert claims["jti"]
    assert claims["events"] == {EVENT: {}}
    assert "nonce" not in claims
    assert claims.get("sub") or claims.get("sid")
    return claims


def test_it_is_advertised(provider: Provider) -> None:
    """OpenID Connect Back-Channel Logout §2.1: backchannel_logout_supported and backchannel_logout_session_supported."""
    document = provider.discovery()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True


def test_it_is_registered(receiver: Callable[..., RelyingParty]) -> None:
    """OpenID Connect Back-Channel Logout §2.2: backchannel_logout_uri and backchannel_logout_session_required, as they were sent."""
    document = receiver(backchannel_logout_session_required=True).document
    assert document["backchannel_logout_session_required"] is True
    assert document["backchannel_logout_uri"]


@pytest.mark.parametrize(
    "address", ["http://rp.example/out", "/out", "https://rp.example/out#x", "javascript:x", "foobar"]
)
def test_the_address_is_one(provider: Provider, address: str) -> None:
    """OpenID Connect Back-Channel Logout §2.2: an absolute address, over TLS, without fragment."""
    answer = provider.http.post(
        provider.discovery()["registration_endpoint"],
        json={"redirect_uris": [REDIRECT], "backchannel_logout_uri": address},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_a_logout_is_told(receiver: Callable[..., RelyingParty], site: Site, agent: UserAgent) -> None:
    """OpenID Connect Back-Channel Logout §2.4, §2.5, §2.6: RP-initiated logout sends a logout token with the sid and sub of the ID token.

    Module oidcc-backchannel-rp-initiated-logout.
    """
    rp = receiver(backchannel_logout_session_required=True)
    signed_in = rp.sign_in(agent)
    logout(rp, agent, signed_in.id_token)
    claims = told(rp, site)
    # §2.1: the sid of the session, which the ID token has had.
    assert claims["sid"] == signed_in.claims["sid"]
    assert claims["sub"] == signed_in.claims["sub"]


def test_the_registered_algorithm_signs_the_logout_token(
    receiver: Callable[..., RelyingParty], site: Site, agent: UserAgent
) -> None:
    """OpenID Connect Back-Channel Logout §2.4: signed with the algorithm of the client's ID tokens."""
    rp = receiver(id_token_signed_response_alg="ES256")
    logout(rp, agent, rp.sign_in(agent).id_token)
    assert told(rp, site)["events"]


def test_every_application_of_the_session_is_told(
    receiver: Callable[..., RelyingParty], site: Site, agent: UserAgent
) -> None:
    """OpenID Connect Back-Channel Logout §2.5: every relying party that the session signed in to, each with a token of its own."""
    parties = [receiver() for _ in range(3)]
    hints = [rp.sign_in(agent).id_token for rp in parties]
    logout(parties[0], agent, hints[0])
    found = [told(rp, site) for rp in parties]
    assert len({claims["jti"] for claims in found}) == 3


def test_a_pairwise_application_is_told_its_own_sub(
    receiver: Callable[..., RelyingParty], site: Site, agent: UserAgent
) -> None:
    """OpenID Connect Back-Channel Logout §2.4 (sub), OpenID Connect Core §8.1: the sub that this application knows, and no other."""
    rp = receiver(subject_type="pairwise")
    signed_in = rp.sign_in(agent)
    logout(rp, agent, signed_in.id_token)
    assert told(rp, site).get("sub", signed_in.claims["sub"]) == signed_in.claims["sub"]


def test_others_are_not_told(
    receiver: Callable[..., RelyingParty], site: Site, agent: UserAgent, browsers: Callable[..., UserAgent]
) -> None:
    """OpenID Connect Back-Channel Logout §2.5, §2.7: not applications of another session of the person, nor those nobody signed in to."""
    here, elsewhere, unused = receiver(), receiver(), receiver()
    elsewhere.sign_in(browsers())
    logout(here, agent, here.sign_in(agent).id_token)
    told(here, site)
    assert site.fetched(path_of(elsewhere, site)) == 0
    assert site.fetched(path_of(unused, site)) == 0


def test_the_session_has_the_same_sid_everywhere(
    receiver: Callable[..., RelyingParty], agent: UserAgent, browsers: Callable[..., UserAgent]
) -> None:
    """OpenID Connect Back-Channel Logout §2.1 (sid): one for the session at each of its sign-ins, another for another session."""
    rp = receiver()
    first, again, other = rp.sign_in(agent), rp.sign_in(agent), rp.sign_in(browsers())
    assert first.claims["sid"] == again.claims["sid"] != other.claims["sid"]


def test_refresh_tokens_without_offline_access_end(
    receiver: Callable[..., RelyingParty], site: Site, agent: UserAgent
) -> None:
    """OpenID Connect Back-Channel Logout §2.7: refresh tokens issued without offline_access are revoked with the session, others are not."""
    rp = receiver(grant_types=["authorization_code", "refresh_token"])
    short = rp.sign_in(agent)
    offline = rp.sign_in(agent, scope="openid offline_access", prompt="consent")
    logout(rp, agent, short.id_token)
    told(rp, site)

    def refresh(token: str) -> int:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return rp.post(rp.metadata["token_endpoint"], form).status_code

    if "refresh_token" in short.tokens:
        assert refresh(short.tokens["refresh_token"]) == 400
    assert refresh(offline.tokens["refresh_token"]) == 200


def test_a_logout_token_is_no_id_token(receiver: Callable[..., RelyingParty], site: Site, agent: UserAgent) -> None:
    """OpenID Connect Back-Channel Logout §4.3, RFC 8725 §3.12: it is no hint and no access token."""
    rp = receiver()
    logout(rp, agent, rp.sign_in(agent).id_token)
    told(rp, site)
    token = site.wait_for(path_of(rp, site))[0].form["logout_token"]
    assert rp.ask(agent, prompt="none", id_token_hint=token).arrival.error in ("invalid_request", "login_required")
    answer = rp.provider.http.get(rp.metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_a_receiver_that_is_down_for_a_moment(
    receiver: Callable[..., RelyingParty], site: Site, agent: UserAgent
) -> None:
    """OpenID Connect Back-Channel Logout §2.8, §4.2: what could not be delivered is sent again; the logout does not wait for it."""
    rp = receiver()
    path = path_of(rp, site)
    site.put(path, "", status=503)
    signed_in = rp.sign_in(agent)
    began = time.monotonic()
    logout(rp, agent, signed_in.id_token)
    assert time.monotonic() - began < 5
    site.wait_for(path)
    site.put(path, "")
    first, second, *_ = site.wait_for(path, number=2, seconds=45)
    tokens = [each.form["logout_token"] for each in (first, second)]
    claims = [verified(token, rp.provider.keys(), "RS256") for token in tokens]
    assert claims[0]["sid"] == claims[1]["sid"] == signed_in.claims["sid"]


def test_a_receiver_that_refuses_is_left_alone(
    receiver: Callable[..., RelyingParty], site: Site, agent: UserAgent
) -> None:
    """OpenID Connect Back-Channel Logout §2.8: 400 says that the logout failed there; the person is signed out here all the same."""
    rp = receiver()
    site.put(path_of(rp, site), {"error": "invalid_request"}, status=400)
    logout(rp, agent, rp.sign_in(agent).id_token)
    site.wait_for(path_of(rp, site))
    assert rp.ask(agent, prompt="none").arrival.error == "login_required"
