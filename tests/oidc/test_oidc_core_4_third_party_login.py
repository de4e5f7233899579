"""Login that the provider initiates (OpenID Connect Core §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cast import without
from refusals import error_page, harmless, text_of
from registering import register

from idp.errors import Invalid
from idp.flow import applications
from idp.identity.accounts import By
from idp.oauth import initial_access
from idp.oauth.clients import ClientRegistry

if TYPE_CHECKING:
    from house import Answer, House

    from idp.tenancy.tenant import Tenant

START = "https://rp.example/start?lang=en"


def start(house: House, tenant: Tenant, accept: str = "text/html", **params: str) -> Answer:
    """Open the start address."""
    return house.get(tenant, f"/start?{urlencode(params)}", headers={"accept": accept})


def test_advertised(house: House, acme: Tenant) -> None:
    """Core §4, Registration §2 (initiate_login_uri): who has registered an address is listed, by name, for people and programs."""
    house.client(acme, "b", client_name="Zebra <b>", initiate_login_uri=START)
    house.client(acme, "a", client_name="Aardvark", initiate_login_uri="https://a.example/start")
    house.client(acme, "silent", client_name="Silent")
    listed = start(house, acme, "application/json").json["applications"]
    assert [each["name"] for each in listed] == ["Aardvark", "Zebra <b>"]
    assert listed[0]["start_uri"] == f"{acme.issuer}/start?client_id=a"
    page = start(house, acme)
    assert "Aardvark" in page.text
    assert "Silent" not in page.text
    assert "Zebra &lt;b&gt;" in page.text
    assert house.get(acme, "/", headers={"accept": "text/html"}).text.count(f"{acme.base_path}/start") == 3


def test_who_registered_itself_is_not_taken_for_the_tenants(house: House) -> None:
    """RFC 7591 §5: what open registration brought says where it leads, and that nobody has reviewed it; its logo is not shown."""
    tenant = house.tenant("open", registration="open")
    evil = {"client_name": "Company portal", "logo_uri": "https://evil.example/logo.png"}
    given = {"redirect_uris": ["https://evil.example/cb"], "initiate_login_uri": "https://evil.example/start", **evil}
    assert register(house, tenant, given).status == 201
    (listed,) = start(house, tenant, "application/json").json["applications"]
    assert (listed["is_reviewed"], listed["host"]) == (False, "evil.example")
    page = start(house, tenant)
    assert "has reviewed these" in text_of(page)
    assert "evil.example/logo.png" not in page.text
    assert "evil.example" not in (page.header("content-security-policy") or "")
    _, token = initial_access.create(house.database(tenant), name="a team", uses=1, lifetime=600, by=By("operator"))
    known = {**given, "client_name": "Known", "redirect_uris": ["https://known.example/cb"]}
    assert register(house, tenant, known, token).status == 201
    listed = {each["name"]: each for each in start(house, tenant, "application/json").json["applications"]}
    assert listed["Known"]["is_reviewed"]


def test_many_applications(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Core §4, S111: the page has an end and a policy that passes proxies, and what registered itself crowds nobody out."""
    tenant = any_house.tenant("many", registration="open", rate_limits="off")
    monkeypatch.setattr(applications, "MOST_LISTED", 120)
    for number in range(40):
        host = f"self-{number}.example"
        given = {"redirect_uris": [f"https://{host}/cb"], "initiate_login_uri": f"https://{host}/start"}
        assert register(any_house, tenant, given).status == 201
    registry = ClientRegistry(tenant, any_house.database(tenant), any_house.installation.feed)
    for number in range(100):
        logo = f"https://logos-of-number-{number}.example/logo.png"
        given = {"redirect_uris": ["https://rp.example/cb"], "initiate_login_uri": START, "logo_uri": logo}
        registry.create(given, by=By("operator"))
    listed = start(any_house, tenant, "application/json").json["applications"]
    assert [len([each for each in listed if each["is_reviewed"] is known]) for known in (True, False)] == [100, 20]
    policy = start(any_house, tenant).header("content-security-policy") or ""
    assert "img-src 'self' https:;" in policy
    assert len(policy) < 3000


def test_s111_one_source_cannot_ask_for_ever(house: House) -> None:
    """S111: who asks again and again from one address is told to wait."""
    tenant = house.tenant("limited")
    answers = {start(house, tenant, "application/json").status for _ in range(301)}
    assert answers == {200, 429}


@pytest.mark.parametrize("uri", ["https://rp.example/start#top", "https://rp.example/start#"])
def test_an_address_whose_query_nobody_would_see(house: House, acme: Tenant, uri: str) -> None:
    """Core §4: iss is added to the query; behind a fragment it would not reach the application."""
    with pytest.raises(Invalid, match="initiate_login_uri"):
        house.client(acme, initiate_login_uri=uri)


def test_absent_when_disabled(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Core §4: without its row there is no such address."""
    without(monkeypatch, house, "third_party_initiated_login")
    assert start(house, acme).status == 404


def test_who_is_sent_where(house: House, acme: Tenant) -> None:
    """Core §4: a redirect with iss, and login_hint and target_link_uri as they came; the address keeps its own query."""
    house.client(acme, initiate_login_uri=START)
    passed = {"login_hint": "ada@example.com & co", "target_link_uri": "https://rp.example/deep?x=1#y"}
    answer = start(house, acme, client_id="rp", **passed)
    assert answer.status == 303
    assert answer.location.startswith(START + "&")
    assert parse_qs(urlsplit(answer.location).query) == {
        "lang": ["en"],
        "iss": [acme.issuer],
        **{name: [value] for name, value in passed.items()},
    }
    assert parse_qs(urlsplit(start(house, acme, client_id="rp").location).query) == {
        "lang": ["en"],
        "iss": [acme.issuer],
    }


@pytest.mark.parametrize(
    "given",
    [
        {"client_id": "nobody"},
        {"client_id": "silent"},
        {"client_id": "x" * 5000},
        {"client_id": "rp", "target_link_uri": "javascript:alert(1)"},
        {"client_id": "rp", "target_link_uri": "http://rp.example/"},
        {"client_id": "rp", "target_link_uri": "https://u@rp.example/"},
        {"client_id": "rp", "target_link_uri": "https://[/"},
        {"client_id": "rp", "target_link_uri": "https://rp.example/" + "x" * 3000},
        {"client_id": "rp", "login_hint": "x" * 255},
        {"client_id": "rp", "login_hint": "a\r\nSet-Cookie: x"},
    ],
)
def test_who_is_not(house: House, acme: Tenant, given: dict[str, Any]) -> None:
    """Core §4, S001: an unknown application, or a target that is no web address, is a page and no redirect."""
    house.client(acme, initiate_login_uri=START)
    house.client(acme, "silent")
    answer = start(house, acme, **given)
    harmless(answer)
    error_page(house, answer)


def test_a_disabled_application(house: House, acme: Tenant) -> None:
    """Core §4: nobody is sent to an application that may not sign people in."""
    house.client(acme, initiate_login_uri=START)
    ClientRegistry(acme, house.database(acme), house.installation.feed).disable("rp", by=By("operator"))
    error_page(house, start(house, acme, client_id="rp"))
    assert start(house, acme, "application/json").json == {"applications": []}
    assert "No application can be opened from here" in text_of(start(house, acme))
