"""The origins whose scripts may read answers (Fetch §3.2): of all active clients, kept up to date client by client."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from idp.identity.accounts import By
from idp.oauth import origins
from idp.oauth.clients import ClientRegistry

if TYPE_CHECKING:
    import pytest
    from house import House

    from idp.tenancy.tenant import Tenant

OPERATOR = By("operator")


def made(house: House, tenant: Tenant, name: str, *hosts: str) -> None:
    """Register a client at some hosts."""
    house.client(tenant, name, redirect_uris=[f"https://{host}/cb" for host in hosts])


def test_each_change_is_followed(house: House, acme: Tenant) -> None:
    """Fetch §3.2, RFC 7592 §2: made, changed, disabled, enabled and deleted clients; an origin stays as long as one has it."""
    server = house.installation.servers.get(acme)
    registry = ClientRegistry(acme, house.database(acme), house.installation.feed)
    assert server.registered_origins() == frozenset()
    made(house, acme, "a", "a.example", "shared.example")
    assert server.registered_origins() == {"https://a.example", "https://shared.example"}
    made(house, acme, "b", "shared.example")
    registry.update("a", {"redirect_uris": ["https://new.example/cb"]}, by=OPERATOR)
    assert server.registered_origins() == {"https://new.example", "https://shared.example"}
    registry.disable("b", by=OPERATOR)
    assert server.registered_origins() == {"https://new.example"}
    registry.enable("b", by=OPERATOR)
    assert server.registered_origins() == {"https://new.example", "https://shared.example"}
    registry.delete("b", by=OPERATOR)
    assert server.registered_origins() == {"https://new.example"}


def test_one_more_costs_one_row(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7591 §5: where many register themselves, a registration does not make us read all the others again."""
    for number in range(30):
        made(house, acme, f"c{number}", f"c{number}.example")
    server = house.installation.servers.get(acme)
    assert len(server.registered_origins()) == 30
    read: list[str] = []

    def watch(name: str) -> None:
        original = getattr(origins.clients, name)
        monkeypatch.setattr(origins.clients, name, lambda *given: read.append(name) or original(*given))

    watch("list_some")
    watch("list_all")
    made(house, acme, "new", "new.example")
    assert len(server.registered_origins()) == 31
    server.registered_origins()
    assert read == ["list_some"]


def test_many_changes_read_all(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interfaces §3: after more changes than are worth it, everything is read once."""
    monkeypatch.setattr(origins, "MOST_CHANGED", 3)
    server = house.installation.servers.get(acme)
    server.registered_origins()
    for number in range(5):
        made(house, acme, f"c{number}", f"c{number}.example")
    assert len(server.registered_origins()) == 5


def test_what_changes_while_it_is_read_is_not_lost(house: House, acme: Tenant) -> None:
    """Architecture §4 (change feed): whoever reads beside changes ends with what is true, in threads that run at once."""
    server = house.installation.servers.get(acme)
    registry = ClientRegistry(acme, house.database(acme), house.installation.feed)
    for number in range(8):
        made(house, acme, f"c{number}", f"c{number}.example")
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            server.registered_origins()

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for turn in range(15):
        for number in range(8):
            wanted = [f"https://c{number}-{turn}.example/cb"]
            registry.update(f"c{number}", {"redirect_uris": wanted}, by=OPERATOR)
    stop.set()
    for reader in readers:
        reader.join()
    assert server.registered_origins() == {f"https://c{number}-14.example" for number in range(8)}
