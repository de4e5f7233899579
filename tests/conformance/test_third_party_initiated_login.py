"""Third-party-initiated login OP: the provider sends people to an application, which begins the sign-in (OpenID Connect Core §4).

Plan oidcc-3rdparty-init-login-op-test-plan: the application registers initiate_login_uri, the person starts at the provider,
and the application that is called signs the person in.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from relying import REDIRECT, RelyingParty

if TYPE_CHECKING:
    from op_under_test import Provider
    from user_agent import Arrival, UserAgent

START = "https://rp.example/start"


@pytest.fixture(scope="module")
def startable(provider: Provider) -> RelyingParty:
    """A client that others may start."""
    return RelyingParty.register(provider, initiate_login_uri=START, client_name=f"Startable {secrets.token_hex(4)}")


def start(rp: RelyingParty, agent: UserAgent, **params: str) -> Arrival:
    """Open the provider's own address of an application."""
    address = f"{rp.provider.issuer}/start"
    return agent.open(f"{address}?{urlencode({'client_id': rp.client_id, **params})}")


def test_the_address_is_registered(startable: RelyingParty) -> None:
    """OpenID Connect Registration §2 (initiate_login_uri): registered as sent."""
    assert startable.document["initiate_login_uri"] == START


@pytest.mark.parametrize("address", ["http://rp.example/start", "javascript:alert(1)", "/start", "foobar"])
def test_the_address_is_https(provider: Provider, address: str) -> None:
    """OpenID Connect Registration §2 (initiate_login_uri): a URI that uses the https scheme."""
    body = {"redirect_uris": [REDIRECT], "initiate_login_uri": address}
    answer = provider.http.post(provider.discovery()["registration_endpoint"], json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_the_application_is_called_with_the_issuer(startable: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §4: initiate_login_uri is opened by GET with iss, which is REQUIRED, and nothing invented."""
    arrival = start(startable, agent)
    assert arrival.target.partition("?")[0] == START
    assert arrival.params == {"iss": startable.metadata["issuer"]}


def test_hints_are_passed_on(startable: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §4: login_hint and target_link_uri, OPTIONAL, arrive as they were given."""
    given = {"login_hint": "ada+x@example.com & co", "target_link_uri": "https://rp.example/orders?id=1&x=y"}
    assert start(startable, agent, **given).params == {"iss": startable.metadata["issuer"], **given}


def test_a_query_of_the_address_stays(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §4: the parameters are added to the address, whatever query it has."""
    rp = RelyingParty.register(provider, initiate_login_uri=f"{START}?foo=bar")
    assert start(rp, agent).params == {"foo": "bar", "iss": rp.metadata["issuer"]}


def test_the_application_then_signs_the_person_in(startable: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §4: the application answers with an authentication request to the iss it was called with."""
    arrival = start(startable, agent, login_hint="ada@example.com")
    # The application checks that it knows the issuer, and passes the hint back (§4).
    assert arrival.params["iss"] == startable.metadata["issuer"]
    agent.ignored = frozenset({"login-submit"})
    asked = startable.ask(agent, login_hint=arrival.params["login_hint"])
    assert asked.arrival.markup.fields["username"] == "ada@example.com"
    agent.ignored = frozenset()
    assert startable.sign_in(agent).claims["sub"]


def test_the_start_page_leads_to_the_application(startable: RelyingParty, agent: UserAgent) -> None:
    """OpenID Connect Core §4: people find the application at the provider and come to its initiate_login_uri from there."""
    page = agent.open(f"{startable.provider.issuer}/start")
    found = [
        link
        for link in page.markup.links
        if dict(parse_qsl(urlsplit(link).query)).get("client_id") == startable.client_id
    ]
    assert len(found) == 1
    assert agent.open(found[0]).target.partition("?")[0] == START


def test_programs_find_it_too(startable: RelyingParty, provider: Provider) -> None:
    """OpenID Connect Core §4: the same list for programs, with the address to send people to."""
    answer = provider.http.get(f"{provider.issuer}/start", headers={"accept": "application/json"})
    (found,) = [each for each in answer.json()["applications"] if each["client_id"] == startable.client_id]
    assert found["start_uri"].startswith(provider.issuer)


def test_applications_without_the_address_are_not_started(provider: Provider, agent: UserAgent) -> None:
    """OpenID Connect Core §4: without initiate_login_uri nobody is sent anywhere, nor for a client nobody knows."""
    for rp in (RelyingParty.register(provider), RelyingParty(provider, {}, {"client_id": "nobody"})):
        arrival = start(rp, agent)
        assert arrival.page is not None
        assert arrival.page.status_code == 400
        assert arrival.error == "invalid_request"


@pytest.mark.parametrize("target", ["javascript:alert(1)", "http://rp.example/", "//evil.example", "foobar"])
def test_a_target_that_is_no_web_address_is_refused(startable: RelyingParty, agent: UserAgent, target: str) -> None:
    """OpenID Connect Core §4 (target_link_uri): the application is protected from what is no https address of the web."""
    assert start(startable, agent, target_link_uri=target).error == "invalid_request"
