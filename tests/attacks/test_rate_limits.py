"""Rate limits of the protocol's endpoints (RFC 6585 §4): where they stand, what they answer, and that they never open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from refusals import error_page, refused

from idp.oauth import request_checks
from idp.web.ratelimit import Rule

if TYPE_CHECKING:
    from house import House, RelyingParty

    from idp.tenancy.tenant import Tenant


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five requests an hour, so that a test reaches the limit."""
    for name in request_checks.RULES:
        monkeypatch.setitem(request_checks.RULES, name, Rule(name, 5, 3600))


@pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
def test_a_program_is_told_when_to_come_again(house: House, rp: RelyingParty, path: str) -> None:
    """RFC 6585 §4, RFC 9110 §10.2.3: 429 with Retry-After, and a record."""
    form = {"grant_type": "client_credentials", "token": "x"}
    statuses = [rp.post(path, form).status for _ in range(5)]
    assert statuses == [200] * 5
    answer = rp.post(path, form)
    refused(house, answer, 429, "too_many_requests", withheld=[rp.secret or ""])
    assert 0 < int(answer.header("retry-after") or "0") <= 7200


def test_a_person_is_told_on_a_page(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """RFC 6585 §4: a page with the time to wait, no redirect."""
    # The first request finds a client that this worker does not know yet, and is counted with the unknown.
    statuses = [house.browser(acme).authorize(rp, verifier="v" * 43).status for _ in range(6)]
    assert statuses == [303] * 6
    answer = house.browser(acme).authorize(rp, verifier="v" * 43)
    error_page(house, answer, 429)
    assert answer.header("retry-after")


def test_a_limit_is_one_tenants(house: House, rp: RelyingParty) -> None:
    """RFC 6585 §4, S100: what was counted at one tenant is not counted at another, for equal client ids too."""
    other = house.client(house.tenant("globex"), "rp")
    form = {"grant_type": "client_credentials"}
    for _ in range(6):
        rp.post("/token", form)
    assert rp.post("/token", form).status == 429
    assert other.post("/token", form).status == 200


def test_a_tenant_may_switch_them_off(house: House) -> None:
    """RFC 6585 §4: rate_limits=off, for an installation whose proxy limits."""
    rp = house.client(house.tenant("open", rate_limits="off"))
    assert {rp.post("/token", {"grant_type": "client_credentials"}).status for _ in range(20)} == {200}


@pytest.mark.parametrize("path", ["/token", "/authorize"])
def test_a_new_name_is_no_new_counter(house: House, acme: Tenant, path: str) -> None:
    """RFC 6585 §4: who invents a client_id for each request is counted all the same."""
    statuses = []
    for number in range(7):
        if path == "/token":
            answer = house.post(acme, path, {"grant_type": "x", "client_id": f"invented-{number}"})
        else:
            answer = house.get(acme, f"{path}?client_id=invented-{number}")
        statuses.append(answer.status)
    assert statuses[-2:] == [429, 429]
