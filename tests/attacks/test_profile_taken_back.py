"""A tenant that takes the profile ``oidc`` back: from then on none of its clients is treated loosely (security.md, client profiles)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from house import CALLBACK
from refusals import error_page, sent_back

if TYPE_CHECKING:
    from house import Browser, House, RelyingParty

    from idp.tenancy.tenant import Tenant

HYBRID = {"response_types": ["code", "code id_token"], "grant_types": ["authorization_code", "implicit"]}


def lax(house: House) -> tuple[Tenant, RelyingParty, Browser]:
    """A tenant that allows the profile, a client of it, and a browser that has been there."""
    tenant = house.tenant("acme", allowed_client_profiles="strict,oidc")
    client = house.client(tenant, profile="oidc", request_uris=["https://rp.example/object"], **HYBRID)
    browser = house.browser(tenant)
    browser.sign_in(client)
    assert "code" in browser.authorize(client).params, "without PKCE"
    return tenant, client, browser


def take_back(house: House, tenant: Tenant) -> None:
    house.installation.provisioning.change_settings(tenant, {"allowed_client_profiles": "strict"})


def test_its_clients_are_strict(house: House) -> None:
    """RFC 9700 §2.1.1, RFC 9101 §5.2: what discovery does not offer any more is not done for those who registered before."""
    tenant, client, browser = lax(house)
    take_back(house, tenant)
    assert sent_back(house, browser.authorize(client), tenant, "invalid_request", to=CALLBACK)["check"] == "pkce"
    by_reference = browser.authorize(client, verifier="v" * 43, request_uri="https://rp.example/object")
    sent_back(house, by_reference, tenant, "request_uri_not_supported", to=CALLBACK)
    sent_back(
        house,
        browser.authorize(client, response_type="code id_token"),
        tenant,
        "unsupported_response_type",
        to=CALLBACK,
    )
    assert "code" in browser.authorize(client, verifier="v" * 43).params


def test_who_is_signing_in_meanwhile_gets_no_tokens(house: House) -> None:
    """RFC 6749 §4.1.2.1: a request that was good when it came is answered by what holds when it is answered."""
    tenant, client, browser = lax(house)
    page = browser.follow(browser.authorize(client, response_type="code id_token", prompt="consent"))
    take_back(house, tenant)
    error_page(house, browser.submit(page, action="approve"))
