"""The sector_identifier_uri of who registers (OpenID Registration §5): fetched over TLS, and it must list the redirect URIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from certificates import Authority
from house import House
from publisher import Publisher
from registering import WEB, manage, register

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from house import Answer

    from idp.tenancy.tenant import Tenant

URIS = ["https://one.example/cb", "https://two.example/cb"]


class World:
    """A tenant where anybody registers, and a sector's address."""

    def __init__(self, folder: Path) -> None:
        self.sector = Publisher(Authority(folder / "ca"))
        self.house = House(
            folder / "var", IDP_CA_BUNDLE=str(folder / "ca" / "ca.pem"), IDP_ALLOWED_PRIVATE_HOSTS="localhost"
        )
        self.tenant: Tenant = self.house.tenant("acme", registration="open")

    def register(self, **more: Any) -> Answer:
        given = {**WEB, "redirect_uris": URIS, "subject_type": "pairwise", "sector_identifier_uri": self.sector.uri}
        return register(self.house, self.tenant, {**given, **more})

    def close(self) -> None:
        self.house.close()
        self.sector.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The tenant and the sector."""
    made = World(tmp_path)
    yield made
    made.close()


def test_several_hosts_of_one_sector(world: World) -> None:
    """Registration §5, Core §8.1: redirect URIs of several hosts are one sector when its address lists them all."""
    world.sector.document = [*URIS, "https://three.example/cb"]
    made = world.register()
    assert made.status == 201, made.text
    assert made.json["sector_identifier_uri"] == world.sector.uri
    client = world.house.installation.servers.get(world.tenant).query_client(made.json["client_id"])
    assert client is not None
    assert client.sector == "localhost"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ([URIS[0]], 200),
        ([], 200),
        ([f"{uri}/" for uri in URIS], 200),
        ({"redirect_uris": URIS}, 200),
        ("https://one.example/cb https://two.example/cb", 200),
        ([*URIS, 7], 200),
        (b"<html>", 200),
        (b"[" * 100_000, 200),
        (b"[" + b'"x",' * 400_000 + b'"x"]', 200),
        (URIS, 404),
        (URIS, 302),
        (URIS, 500),
    ],
)
def test_s107_what_does_not_list_them(world: World, document: Any, status: int) -> None:
    """Registration §5, S107: not listed, not fetched, or not a JSON array: invalid_client_metadata, and nothing registered."""
    world.sector.document, world.sector.status = document, status
    answer = world.register()
    assert (answer.status, answer.json["error"]) == (400, "invalid_client_metadata")
    assert "sector_identifier_uri" in answer.json["error_description"]


@pytest.mark.parametrize(
    "uri", ["http://localhost/s", "https://127.0.0.1/s", "https://169.254.169.254/latest", "file:///etc/passwd", 7]
)
def test_s107_an_address_that_is_never_fetched(world: World, uri: Any) -> None:
    """Security rule 8: private addresses, other schemes and what is no address are refused before anything is fetched."""
    answer = world.register(sector_identifier_uri=uri)
    assert (answer.status, answer.json["error"]) == (400, "invalid_client_metadata")
    assert world.sector.fetches == 0


def test_nothing_is_fetched_for_strangers(world: World) -> None:
    """RFC 7591 §5: who may not register cannot make us fetch."""
    tenant = world.house.tenant("globex", registration="token")
    given = {**WEB, "redirect_uris": URIS, "sector_identifier_uri": world.sector.uri}
    for token in (None, "iat_forged"):
        assert register(world.house, tenant, given, token).status == 401
    assert world.sector.fetches == 0


def test_a_replacement_is_judged_again(world: World) -> None:
    """RFC 7592 §2.2, Registration §5: redirect URIs that are added later must be listed too."""
    world.sector.document = URIS
    made = world.register().json
    wanted = {
        **WEB,
        "client_id": made["client_id"],
        "sector_identifier_uri": world.sector.uri,
        "subject_type": "pairwise",
    }
    more = {"redirect_uris": [*URIS, "https://evil.example/cb"]}
    answer = manage(
        world.house, world.tenant, "PUT", made["client_id"], made["registration_access_token"], {**wanted, **more}
    )
    assert (answer.status, answer.json["error"]) == (400, "invalid_client_metadata")
