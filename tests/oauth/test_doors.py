"""The front's doors: remembered by address, and forgotten with the tenant's configuration, its server and its database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from idp import opaque
from idp.web.http import Headers, Request

if TYPE_CHECKING:
    from house import House

    from idp.oauth.answering import TenantDoor
    from idp.tenancy.tenant import Tenant

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def acme(any_house: House) -> Tenant:
    """A tenant that has been asked once, so that its server is at hand."""
    tenant = any_house.tenant("acme")
    assert any_house.get(tenant, DISCOVERY).status == 200
    return tenant


def at_hand(house: House, tenant: Tenant, path: str = DISCOVERY, method: str = "GET") -> TenantDoor | None:
    return house.router.door(method, tenant.host, tenant.base_path + path)


def asked(door: TenantDoor, tenant: Tenant, path: str = DISCOVERY) -> tuple[int, dict[str, object]]:
    """The answer behind a door."""
    headers = Headers.of([("host", tenant.host)])
    number = opaque.new_correlation_id()
    http = Request("GET", "http", tenant.host, tenant.base_path + path, "", headers, b"", "127.0.0.1", number)
    response = door.handle(http)
    return response.status, json.loads(response.body)


def test_a_door_is_remembered(any_house: House, acme: Tenant) -> None:
    """Architecture §5 (hot path): the second request at an address is led to the same door, each method to its own."""
    first = at_hand(any_house, acme)
    assert first is not None
    assert at_hand(any_house, acme) is first
    assert first.name == "discovery"
    assert asked(first, acme)[1]["issuer"] == acme.issuer
    token = at_hand(any_house, acme, "/token", "POST")
    assert token is not None
    assert (token.name, token.server) == ("token", first.server)


def test_a_changed_setting_closes_the_doors(any_house: House, acme: Tenant) -> None:
    """Architecture §5: a door of the tenant's former configuration is never opened again."""
    before = at_hand(any_house, acme)
    assert before is not None
    any_house.installation.provisioning.change_settings(acme, {"access_token_lifetime": "300"})
    now = any_house.installation.provisioning.find("acme")
    assert at_hand(any_house, acme) is None
    assert before.server.tenant.settings != now.settings
    assert any_house.get(now, DISCOVERY).status == 200
    after = at_hand(any_house, now)
    assert after is not None
    assert after.server.tenant.settings == now.settings
    assert not any(door.server is before.server for door in any_house.installation.servers.doors.values())


def test_a_suspended_tenant_has_no_doors(any_house: House, acme: Tenant) -> None:
    """Security S045: a door that was open a moment ago leads nowhere once the tenant is suspended, and again when resumed."""
    assert at_hand(any_house, acme) is not None
    any_house.installation.provisioning.suspend(acme)
    assert at_hand(any_house, acme) is None
    assert any_house.get(acme, DISCOVERY).status == 404
    assert at_hand(any_house, acme) is None
    any_house.installation.provisioning.resume(acme)
    assert any_house.get(acme, DISCOVERY).status == 200
    assert at_hand(any_house, acme) is not None


def test_a_tenant_that_moved_has_no_doors_where_it_was(any_house: House, acme: Tenant) -> None:
    """Interfaces §4: at its other addresses a tenant's protocol endpoints do not exist, however lately they did."""
    assert at_hand(any_house, acme) is not None
    moved = any_house.installation.provisioning.set_issuer(acme, "id.example")
    assert any_house.get(moved, DISCOVERY).status == 200
    assert at_hand(any_house, moved) is not None
    assert at_hand(any_house, acme) is None
    assert any_house.router.door("GET", "other.example", DISCOVERY) is None


def test_a_closed_database_is_opened_by_no_door(any_house: House, acme: Tenant) -> None:
    """Architecture §4: a database that was closed to make room is opened by its store, which counts it, and by nobody else."""
    before = at_hand(any_house, acme)
    assert before is not None
    any_house.installation.store.forget(acme.id)
    assert at_hand(any_house, acme) is None
    assert any_house.get(acme, DISCOVERY).status == 200
    after = at_hand(any_house, acme)
    assert after is not None
    assert after.server.database is any_house.installation.store.opened(acme.id)


@pytest.mark.parametrize(
    ("method", "path"),
    [("BREW", DISCOVERY), ("get", DISCOVERY), ("GET", DISCOVERY + "/"), ("GET", "/token/x"), ("GET", "//token")],
)
def test_nothing_is_remembered_for_what_a_caller_invents(
    any_house: House, acme: Tenant, method: str, path: str
) -> None:
    """Security §2: methods and addresses without an endpoint leave nothing behind in memory."""
    for number in range(10):
        at_hand(any_house, acme, path, f"{method}{number}")
        at_hand(any_house, acme, f"{path}{number}", method)
        any_house.router.door(method, f"{number}.example", acme.base_path + path)
    assert not any_house.installation.servers.doors


def test_the_doors_of_forgotten_servers_are_let_go(any_house: House, acme: Tenant) -> None:
    """Architecture §4: what is remembered for a tenant goes when its server goes, by whatever way."""
    doors = any_house.installation.servers.doors
    for _ in range(20):
        assert at_hand(any_house, acme) is not None
        assert at_hand(any_house, acme, "/jwks") is not None
        any_house.installation.provisioning.change_settings(acme, {"welcome_text": "Hello"})
        assert any_house.get(any_house.installation.provisioning.find("acme"), DISCOVERY).status == 200
    assert len(doors) <= 2
    any_house.installation.provisioning.delete(acme)
    assert not doors
