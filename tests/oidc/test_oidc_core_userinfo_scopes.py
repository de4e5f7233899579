"""Scopes and the claims they release at userinfo (OpenID Connect Core §5.1, §5.3.2, §5.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cast import discovery
from house import decoded

if TYPE_CHECKING:
    from cast import Cast
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant

PROFILE = {
    "name": "Ada Lovelace",
    "family_name": "Lovelace",
    "given_name": "Ada",
    "middle_name": "King",
    "nickname": "A",
    "preferred_username": "ada",
    "profile": "https://ada.example/",
    "picture": "https://ada.example/p.png",
    "website": "https://ada.example/w",
    "gender": "female",
    "birthdate": "1815-12-10",
    "zoneinfo": "Europe/London",
    "locale": "en-GB",
}
ADDRESS = {
    "formatted": "12 St James's Square\nLondon",
    "country": "GB",
    "postal_code": "SW1Y",
    "locality": "London",
    "region": "L",
    "street_address": "12",
}
PHONE = {"phone_number": "+44 20 12345", "phone_number_verified": True}
RELEASED = {
    "profile": {*PROFILE, "updated_at"},
    "email": {"email", "email_verified"},
    "address": {"address"},
    "phone": set(PHONE),
}


@pytest.fixture
def full(house: House, acme: Tenant) -> RelyingParty:
    """A client, and a person about whom everything is known."""
    house.user(acme, "full@example.com", claims={**PROFILE, **PHONE, "address": ADDRESS})
    return house.client(acme)


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Discovery §3: the scopes and every claim they release."""
    found = discovery(cast.house, cast.acme)
    assert found["scopes_supported"] == ["openid", "profile", "email", "address", "phone", "offline_access"]
    assert set().union(*RELEASED.values()) | {"sub"} <= set(found["claims_supported"])
    assert found["claim_types_supported"] == ["normal"]


@pytest.mark.parametrize(
    "scope",
    [
        "openid",
        "openid profile",
        "openid email",
        "openid address",
        "openid phone",
        "openid profile email address phone",
        "phone openid",
    ],
)
def test_each_scope_releases_its_claims(house: House, acme: Tenant, full: RelyingParty, scope: str) -> None:
    """OpenID Connect Core §5.4 (conformance oidcc-scope-*): these claims and no others, whatever the order."""
    grant = house.browser(acme).sign_in(full, username="full@example.com", scope=scope)
    tokens = full.redeem(grant).json
    found = full.userinfo(tokens["access_token"]).json
    assert set(found) == {"sub"}.union(*(RELEASED[one] for one in scope.split() if one in RELEASED))
    assert found["sub"] == decoded(tokens["id_token"])[1]["sub"]
    for name, value in {**PROFILE, **PHONE, "address": ADDRESS}.items():
        assert found.get(name, value) == value
    assert type(found.get("updated_at", 1)) is int
    assert type(found.get("email_verified", True)) is bool


def test_what_is_not_known_is_left_out(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """OpenID Connect Core §5.3.2: an absent claim is omitted, neither null nor empty."""
    house.user(acme, "bare@example.com", claims={})
    grant = house.browser(acme).sign_in(rp, username="bare@example.com", scope="openid profile email address phone")
    found = rp.userinfo(rp.redeem(grant).json["access_token"]).json
    assert set(found) == {"sub", "email", "email_verified", "preferred_username", "updated_at"}
    assert found["preferred_username"] == "bare@example.com"


def test_nothing_about_the_person_in_the_id_token(house: House, acme: Tenant, full: RelyingParty) -> None:
    """OpenID Connect Core §5.4: with an access token the claims are returned from userinfo."""
    grant = house.browser(acme).sign_in(full, username="full@example.com", scope="openid profile email address phone")
    claims = decoded(full.redeem(grant).json["id_token"])[1]
    assert not set().union(*RELEASED.values()) & claims.keys()


def test_offline_access(cast: Cast) -> None:
    """OpenID Connect Core §11: the person is told, and the refresh token outlives the session."""
    cast.house.user(cast.acme, "offline@example.com")
    browser = cast.browser()
    page = browser.follow(
        browser.authorize(cast.basic, verifier="v" * 43, scope="openid offline_access", prompt="consent")
    )
    page = browser.follow(browser.submit(page, username="offline@example.com", password="correct horse battery staple"))
    assert 'id="consent-approve"' in page.text
    code = browser.follow(browser.submit(page, action="approve")).params["code"]
    tokens = cast.basic.redeem({"code": code, "verifier": "v" * 43}).json
    browser.submit(browser.get(f"{cast.acme.base_path}/logout"), action="logout")
    assert cast.basic.refresh(tokens["refresh_token"]).status == 200
    assert set(cast.basic.userinfo(tokens["access_token"]).json) == {"sub"}


def test_claims_are_of_this_moment(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """OpenID Connect Core §5.3: what is changed about the person is what userinfo says next."""
    from sqlalchemy import update

    from idp.store.tenant.users import users

    token = rp.redeem(house.browser(acme).sign_in(rp, scope="openid profile email")).json["access_token"]
    assert rp.userinfo(token).json["name"] == "Ada Lovelace"
    house.database(acme).writing(
        lambda conn: conn.execute(update(users).values(claims={"name": "Ada King"}, email="new@example.com"))
    )
    found = rp.userinfo(token).json
    assert (found["name"], found["email"]) == ("Ada King", "new@example.com")
