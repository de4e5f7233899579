"""Initiating User Registration via OpenID Connect 1.0: ``prompt=create``; and what a new account's tokens say (OIDC Core §5.4)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from cast import discovery
from house import CALLBACK, Grant, decoded
from postbox import code_of, mails
from refusals import sent_back

from idp.identity import profile
from idp.identity.profile_schema import parse

if TYPE_CHECKING:
    from house import Answer, Browser, House, RelyingParty

    from idp.tenancy.tenant import Tenant

VERIFIER = "v" * 43
NEW = "five unrelated words here"
SCHEMA = {
    "attributes": [
        {"name": "given_name", "label": "First name", "signup": True, "required": True},
        {
            "name": "team",
            "label": "Team",
            "type": "choice",
            "values": ["red", "blue"],
            "signup": True,
            "scope": "staff",
        },
        {"name": "floor", "label": "Floor", "type": "number", "signup": True},
    ]
}


@pytest.fixture
def open_tenant(house: House) -> Tenant:
    """A tenant where people may sign up, with attributes of its own."""
    tenant = house.tenant("open", signup="on", allowed_client_profiles="strict,oidc")
    with house.installation.feed.announced(tenant.id, "config"):
        house.database(tenant).writing(lambda conn: profile.save(conn, parse(SCHEMA)))
    return tenant


def sign_up(house: House, browser: Browser, page: Answer, address: str = "eve@new.example") -> Answer:
    """From the form to what comes after the code."""
    fields = {"profile_given_name": "Eve", "profile_team": "blue", "profile_floor": "3"}
    assert 'id="signup-form"' in page.text
    page = browser.follow(browser.submit(page, email=address, password=NEW, confirm_password=NEW, **fields))
    database = house.database(browser.tenant)
    code = code_of(mails(house.installation.services, browser.tenant, database, address)[-1])
    return browser.follow(browser.submit(page, code=code))


def test_advertised_only_where_it_is_served(house: House, acme: Tenant, open_tenant: Tenant) -> None:
    """Initiating User Registration §5: `prompt_values_supported` has create where people may sign up, and nowhere else."""
    assert "create" not in discovery(house, acme)["prompt_values_supported"]
    assert discovery(house, open_tenant)["prompt_values_supported"] == [
        "none",
        "login",
        "consent",
        "select_account",
        "create",
    ]


def test_refused_where_it_is_not_advertised(house: House, acme: Tenant, rp: RelyingParty, browser: Browser) -> None:
    """Initiating User Registration §4.1: a value that discovery does not list is invalid_request, and prompt is named."""
    answer = browser.authorize(rp, verifier=VERIFIER, prompt="create")
    sent_back(house, answer, acme, "invalid_request", to=CALLBACK)
    assert "prompt" in answer.params["error_description"]


@pytest.mark.parametrize("prompt", ["create login", "none create", "create consent", "create select_account", "CREATE"])
def test_refused_beside_others(house: House, open_tenant: Tenant, prompt: str) -> None:
    """Initiating User Registration §4.1: create stands alone; what it would mean beside another value nobody knows."""
    rp = house.client(open_tenant)
    answer = house.browser(open_tenant).authorize(rp, verifier=VERIFIER, prompt=prompt)
    sent_back(house, answer, open_tenant, "invalid_request", to=CALLBACK)


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_the_form_comes_first_and_the_answer_is_about_the_new_account(
    house: House, open_tenant: Tenant, is_signed_in: bool
) -> None:
    """Initiating User Registration §4: the sign-up instead of the sign-in, whoever is signed in; then the usual answer."""
    rp = house.client(open_tenant, scope="openid profile email staff")
    browser = house.browser(open_tenant)
    if is_signed_in:
        browser.sign_in(rp)
    page = browser.follow(browser.authorize(rp, verifier=VERIFIER, prompt="create", scope="openid profile email staff"))
    page = sign_up(house, browser, page)
    assert "Team" in page.text
    assert "blue" in page.text
    answer = browser.submit(page, action="approve")
    tokens = rp.redeem(Grant(answer.params["code"], VERIFIER, answer)).json
    assert decoded(tokens["id_token"])[1]["sub"] == house.user_id(open_tenant, "eve@new.example")
    told = rp.userinfo(tokens["access_token"]).json
    assert told["email_verified"] is True
    assert (told["email"], told["given_name"], told["team"]) == ("eve@new.example", "Eve", "blue")
    assert "floor" not in told


def test_own_scopes_are_told_and_kept(house: House, acme: Tenant, open_tenant: Tenant) -> None:
    """OIDC Discovery §3, OIDC Core §5.4: own scopes and claims are advertised by the tenant that has them, and kept to them."""
    found = discovery(house, open_tenant)
    assert "staff" in found["scopes_supported"]
    assert "team" in found["claims_supported"]
    assert "floor" not in found["claims_supported"]  # no scope shows it
    assert "staff" not in discovery(house, acme)["scopes_supported"]
    user = f"{secrets.token_hex(4)}@example.com"
    house.user(open_tenant, user, claims={"given_name": "Ada", "team": "red"})
    rp, poor = (
        house.client(open_tenant, "rich", scope="openid staff"),
        house.client(open_tenant, "poor", scope="openid profile"),
    )

    def told(client: RelyingParty, **params: Any) -> dict[str, Any]:
        grant = house.browser(open_tenant).sign_in(client, username=user, **params)
        return dict(client.userinfo(client.redeem(grant).json["access_token"]).json)

    assert told(rp, scope="openid staff")["team"] == "red"
    assert told(rp, scope="openid", claims='{"userinfo": {"team": null}}')["team"] == "red"
    assert "team" not in told(rp, scope="openid")
    assert "team" not in told(poor, scope="openid profile", claims='{"userinfo": {"team": null}}')
    answer = house.browser(open_tenant).authorize(poor, verifier=VERIFIER, scope="openid staff")
    sent_back(house, answer, open_tenant, "invalid_scope", to=CALLBACK)
    # and a client by itself gets no scope about users (RFC 6749 §4.4)
    refused = rp.post("/token", {"grant_type": "client_credentials", "scope": "staff"})
    assert (refused.status, refused.json["error"]) == (400, "invalid_scope")
