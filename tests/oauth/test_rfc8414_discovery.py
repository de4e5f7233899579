"""Authorization server metadata (RFC 8414): both addresses, one document, and nothing in it that is not true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cast import discovery, without

if TYPE_CHECKING:
    from cast import Cast
    from house import House

    from idp.tenancy.tenant import Tenant

WELL_KNOWN = "/.well-known/oauth-authorization-server"


def test_advertised_where_the_issuer_says(cast: Cast) -> None:
    """RFC 8414 §3.1: between host and path of the issuer; also below it, where OpenID Connect clients look."""
    inserted = cast.house.send("GET", f"{WELL_KNOWN}{cast.acme.base_path}")
    below = cast.house.get(cast.acme, WELL_KNOWN)
    openid = cast.house.get(cast.acme, "/.well-known/openid-configuration")
    assert inserted.status == below.status == openid.status == 200
    assert inserted.body == below.body == openid.body
    assert inserted.header("content-type") == "application/json"


def test_absent_when_disabled(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8414 §3: without its row no document is served."""
    without(monkeypatch, house, "discovery")
    assert house.get(acme, WELL_KNOWN).status == 404
    assert house.send("GET", f"{WELL_KNOWN}{acme.base_path}").status == 404


def test_a_tenant_with_a_host_of_its_own(house: House) -> None:
    """RFC 8414 §3.1: an issuer without a path has its document at the root of its host."""
    tenant = house.tenant("own", "login.example.org")
    assert tenant.issuer.endswith("login.example.org")
    found = house.get(tenant, WELL_KNOWN)
    assert found.status == 200
    assert found.json["issuer"] == tenant.issuer


def test_the_issuer_is_the_one_that_was_asked(cast: Cast) -> None:
    """RFC 8414 §3.3: exactly the issuer whose document it is, whatever Host or forwarded header says."""
    for tenant in (cast.acme, cast.globex):
        assert discovery(cast.house, tenant)["issuer"] == tenant.issuer
    headers = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    assert "evil" not in cast.house.get(cast.acme, WELL_KNOWN, headers=headers).text


@pytest.mark.parametrize("slug", ["nobody", "ACME", "acme/", "acme/x", "../acme", "", "%00", "a" * 3000])
def test_no_document_of_nobody(cast: Cast, slug: str) -> None:
    """RFC 8414 §3.2: 404 for what is no issuer."""
    answer = cast.house.send("GET", f"{WELL_KNOWN}/t/{slug}")
    assert answer.status == 404


def test_everything_below_the_issuer(cast: Cast) -> None:
    """RFC 8414 §2: every address is the tenant's own, and answers something else than 404."""
    found = discovery(cast.house, cast.acme)
    addresses = {name: value for name, value in found.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(addresses) == 8
    for name, value in addresses.items():
        assert value.startswith(cast.acme.issuer + "/"), name
        answer = cast.house.get(cast.acme, value.removeprefix(cast.acme.issuer))
        assert answer.status != 404, name
        assert answer.status < 500, name


def test_no_empty_list_and_no_null(cast: Cast) -> None:
    """RFC 8414 §3.2: claims with zero elements must be omitted."""
    assert all(value not in ([], None, "") for value in discovery(cast.house, cast.acme).values())


def test_kept_by_caches_and_asked_for_again(cast: Cast) -> None:
    """RFC 9111 §5.2.2, RFC 9110 §13.1.2: a public document with an entity tag."""
    found = cast.house.get(cast.acme, WELL_KNOWN)
    etag = found.header("etag")
    assert found.header("cache-control") == "public, max-age=300"
    for match in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = cast.house.get(cast.acme, WELL_KNOWN, headers={"if-none-match": match or ""})
        assert (again.status, again.body) == (304, b""), match
    for other in ('"other"', "", "x", '"' + "a" * 32 + '"'):
        assert cast.house.get(cast.acme, WELL_KNOWN, headers={"if-none-match": other}).status == 200


def test_everybody_may_read_it(cast: Cast) -> None:
    """RFC 8414 §3 in a browser: any origin, without credentials."""
    answer = cast.house.get(cast.acme, WELL_KNOWN, headers={"origin": "https://anybody.example"})
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("access-control-allow-credentials") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_only_read(cast: Cast, method: str) -> None:
    """RFC 8414 §3.1: GET."""
    assert cast.house.send(method, f"{cast.acme.base_path}{WELL_KNOWN}").status == 405
