"""Managing a registration (RFC 7592 §2; S108): read, replace, delete, each by the client's own token alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from house import CALLBACK, Answer, RelyingParty
from refusals import events, refused
from registering import WEB, manage, register
from serving import together

from idp.store.tenant import clients

if TYPE_CHECKING:
    from house import House

    from idp.tenancy.tenant import Tenant


@pytest.fixture
def tenant(any_house: House) -> Tenant:
    """A tenant at which anybody may register."""
    return any_house.tenant("acme", registration="open", rate_limits="off")


@pytest.fixture
def made(any_house: House, tenant: Tenant) -> dict[str, Any]:
    """A client that has registered itself."""
    found: dict[str, Any] = register(any_house, tenant, WEB).json
    return found


def test_read(any_house: House, tenant: Tenant, made: dict[str, Any]) -> None:
    """RFC 7592 §2.1: the present registration; a secret, of which only the digest is kept, is not shown again."""
    answer = manage(any_house, tenant, "GET", made["client_id"], made["registration_access_token"])
    assert answer.status == 200
    assert answer.header("cache-control") == "no-store"
    assert answer.json == {name: value for name, value in made.items() if name != "client_secret"}
    for head in ("HEAD", "GET"):
        assert manage(any_house, tenant, head, made["client_id"], made["registration_access_token"]).status == 200


def test_replace(any_house: House, tenant: Tenant, made: dict[str, Any]) -> None:
    """RFC 7592 §2.2: what is sent takes the place of everything, what is left out is gone, and the token is renewed."""
    changed = {
        "client_id": made["client_id"],
        "redirect_uris": [f"{CALLBACK}2"],
        "client_secret": made["client_secret"],
    }
    answer = manage(any_house, tenant, "PUT", made["client_id"], made["registration_access_token"], changed)
    assert answer.status == 200, answer.text
    after = answer.json
    assert after["redirect_uris"] == [f"{CALLBACK}2"]
    assert "client_name" not in after
    assert after["registration_access_token"] != made["registration_access_token"]
    refused(
        any_house,
        manage(any_house, tenant, "GET", made["client_id"], made["registration_access_token"]),
        401,
        "invalid_token",
        withheld=[after["registration_access_token"]],
    )
    assert manage(any_house, tenant, "GET", made["client_id"], after["registration_access_token"]).status == 200
    rp = RelyingParty(any_house, tenant, made["client_id"], made["client_secret"], after)
    grant = any_house.browser(tenant).sign_in(rp, redirect_uri=f"{CALLBACK}2")
    assert rp.redeem(grant, redirect_uri=f"{CALLBACK}2").status == 200, "the secret is the same"
    (event,) = events(any_house, tenant, "client.updated")
    assert event.details == {"members": ["client_name", "redirect_uris"]}


def test_delete(any_house: House, tenant: Tenant, made: dict[str, Any]) -> None:
    """RFC 7592 §2.3: 204; the client, its tokens and its management end at once."""
    rp = RelyingParty(any_house, tenant, made["client_id"], made["client_secret"], made)
    tokens = rp.redeem(any_house.browser(tenant).sign_in(rp)).json
    answer = manage(any_house, tenant, "DELETE", made["client_id"], made["registration_access_token"])
    assert (answer.status, answer.body) == (204, b"")
    assert rp.userinfo(tokens["access_token"]).status == 401
    for method in ("GET", "DELETE"):
        refused(
            any_house,
            manage(any_house, tenant, method, made["client_id"], made["registration_access_token"]),
            401,
            "invalid_token",
        )


WRONG: dict[str, dict[str, Any]] = {
    "no client_id": {"client_id": None},
    "another client_id": {"client_id": "other"},
    "another secret": {"client_secret": "x" * 43},
    "a secret that is no text": {"client_secret": 7},
    "the management token": {"registration_access_token": "reg_x"},
    "the management address": {"registration_client_uri": "https://evil.example"},
    "the date of issue": {"client_id_issued_at": 1},
    "the end of the secret": {"client_secret_expires_at": 0},
    "no redirect URI": {"redirect_uris": []},
    "a software statement": {"software_statement": "x.y.z"},
    "an API's scope": {"scope": "admin"},
}


@pytest.mark.parametrize("case", WRONG)
def test_s108_a_replacement_that_is_refused_changes_nothing(
    any_house: House, tenant: Tenant, made: dict[str, Any], case: str
) -> None:
    """RFC 7592 §2.2, S108: the id must be the same, a secret the present one, and what is ours is not the client's to say."""
    sent = {"client_id": made["client_id"], **WEB, **WRONG[case]}
    sent = {name: value for name, value in sent.items() if value is not None}
    error = {"no redirect URI": "invalid_redirect_uri", "a software statement": "invalid_software_statement"}
    answer = manage(any_house, tenant, "PUT", made["client_id"], made["registration_access_token"], sent)
    refused(any_house, answer, 400, error.get(case, "invalid_client_metadata"))
    again = manage(any_house, tenant, "GET", made["client_id"], made["registration_access_token"]).json
    assert again == {name: value for name, value in made.items() if name != "client_secret"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_s108_a_token_is_its_clients_and_tenants(
    any_house: House, tenant: Tenant, made: dict[str, Any], method: str
) -> None:
    """RFC 7592 §2, S108, CVE-2026-116672: another client's token, none, or one at another tenant: 401, nothing changed."""
    other = register(any_house, tenant, WEB).json
    elsewhere = any_house.tenant("beta", registration="open")
    any_house.client(tenant, "by-an-administrator")
    body = {"client_id": made["client_id"], **WEB} if method == "PUT" else None
    mine = made["registration_access_token"]
    for where, client_id, token in (
        (tenant, made["client_id"], other["registration_access_token"]),
        (tenant, made["client_id"], None),
        (tenant, made["client_id"], ""),
        (tenant, made["client_id"], made["client_secret"]),
        (tenant, other["client_id"], mine),
        (tenant, "nobody", mine),
        (tenant, "by-an-administrator", mine),
        (tenant, "", mine),
        (tenant, "%00", mine),
        (elsewhere, made["client_id"], mine),
    ):
        answer = manage(any_house, where, method, client_id, token, body)
        assert answer.status == 401, (client_id, answer.status, answer.text)
        assert (answer.header("www-authenticate") or "").startswith("Bearer")
    with any_house.database(tenant).reading() as conn:
        assert len(clients.list_all(conn)) == 3


def test_of_two_replacements_at_once_one_counts(any_house: House, tenant: Tenant, made: dict[str, Any]) -> None:
    """Security rule 4: a registration access token is renewed once."""

    def replace(n: int) -> Answer:
        sent = {"client_id": made["client_id"], **WEB, "client_name": f"Name {n}"}
        return manage(any_house, tenant, "PUT", made["client_id"], made["registration_access_token"], sent)

    answers = together(8, replace)
    assert sorted(answer.status for answer in answers) == [200] + [401] * 7
    (won,) = [answer.json for answer in answers if answer.status == 200]
    now = manage(any_house, tenant, "GET", made["client_id"], won["registration_access_token"]).json
    assert now["client_name"] == won["client_name"]


def test_what_is_switched_off_may_still_be_managed(any_house: House, tenant: Tenant, made: dict[str, Any]) -> None:
    """RFC 7592 §2: closing registration keeps new clients out and leaves those there are their own."""
    any_house.installation.provisioning.change_settings(tenant, {"registration": "off"})
    any_house.installation.feed.poll()
    refused(any_house, register(any_house, tenant, WEB), 403, "access_denied")
    assert manage(any_house, tenant, "GET", made["client_id"], made["registration_access_token"]).status == 200


def test_a_disabled_client_manages_nothing(any_house: House, tenant: Tenant, made: dict[str, Any]) -> None:
    """RFC 7592 §2: a client that an administrator disabled does not enable or change itself."""
    any_house.database(tenant).writing(lambda conn: clients.change(conn, made["client_id"], state="disabled"))
    refused(
        any_house,
        manage(any_house, tenant, "GET", made["client_id"], made["registration_access_token"]),
        401,
        "invalid_token",
    )


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_other_methods(any_house: House, tenant: Tenant, made: dict[str, Any], method: str) -> None:
    """RFC 9110 §15.5.6: 405 names what is allowed."""
    answer = manage(any_house, tenant, method, made["client_id"], made["registration_access_token"])
    assert answer.status == 405
    assert answer.header("allow") == "GET, PUT, DELETE, HEAD"
