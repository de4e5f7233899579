"""Two who change one tenant at the same time, on each kind of database: neither undoes the other's change."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from api_world import NAMES
from test_webhooks import refused

from idp.errors import Conflict, NotFound
from idp.identity.accounts import By
from idp.identity.domains import Domains
from idp.store.control import domains, tenants

if TYPE_CHECKING:
    from collections.abc import Callable

    from api_world import World

PATIENCE = 1.0  # seconds; the second one is held up for longer, or is done by then


def beside(other: Callable[[], Any]) -> tuple[Callable[..., None], threading.Thread, list[Any]]:
    """Return what begins another change in the midst of one, its thread, and what comes of it."""
    came: list[Any] = []

    def run() -> None:
        try:
            came.append(other())
        except Exception as error:
            came.append(error)

    thread = threading.Thread(target=run)

    def begin(*_: Any) -> None:
        thread.start()
        thread.join(PATIENCE)

    return begin, thread, came


def test_no_setting_is_lost(any_world: World) -> None:
    """RFC 9110 §13.1: settings that two administrators change at the same moment are both changed."""
    world = any_world
    provisioning, acme = world.house.installation.provisioning, world.tenants["acme"]
    begin, thread, came = beside(
        lambda: provisioning.change_settings(acme, {"support_url": "https://help.acme.example"})
    )
    provisioning.change_settings(acme, {"privacy_url": "https://acme.example/privacy"}, begin)
    thread.join()
    settings = provisioning.find("acme").settings
    assert (settings.support_url, settings.privacy_url) == ("https://help.acme.example", "https://acme.example/privacy")
    assert not isinstance(came[0], Exception)
    provisioning.change_settings(acme, {"support_url": "", "privacy_url": ""})


def test_of_two_with_one_tag_one_is_refused(any_world: World) -> None:
    """RFC 9110 §13.1.1: who names a state of the settings that another has just changed is refused, and undoes nothing."""
    world = any_world
    provisioning, acme, token = world.house.installation.provisioning, world.tenants["acme"], world.token()
    tag = {"if-match": str(world.uflow("GET", "/settings", token=token).header("etag"))}
    change = {"welcome_text": "One"}
    begin, thread, came = beside(lambda: world.uflow("PATCH", "/settings", change, token=token, headers=tag))
    provisioning.change_settings(acme, {"welcome_text": "Two"}, begin)
    thread.join()
    refused(came[0], 412, "precondition_failed")
    assert provisioning.find("acme").settings.welcome_text == "Two"
    provisioning.change_settings(acme, {"welcome_text": ""})


def test_a_tenant_is_not_moved_to_a_domain_that_is_given_up(any_world: World) -> None:
    """Decision 17: an issuer's host stays the tenant's, also where it is given up and moved to in the same moment."""
    world = any_world
    installation, acme, host = world.house.installation, world.tenants["acme"], "login.acme.example"
    provisioning = installation.provisioning
    installation.store.control.writing(lambda conn: domains.create(conn, host, acme.id))
    own = Domains(installation.settings, installation.store, installation.feed, acme, world.database())
    begin, thread, came = beside(lambda: provisioning.set_issuer(acme, host))
    own.remove(host, by=By("operator"), require=begin)
    thread.join()
    assert not isinstance(came[0], Exception), came
    with installation.store.control.reading() as conn:
        row, owner = tenants.find(conn, acme.id), domains.find(conn, host)
    assert row is not None
    assert row.issuer == f"https://{host}"
    assert owner is not None, "somebody else could prove the domain that the tenant is issued at"
    with pytest.raises(Conflict):
        own.remove(host, by=By("operator"), require=lambda _: None)
    provisioning.set_issuer(acme, None)
    own.remove(host, by=By("operator"), require=lambda _: None)


@pytest.mark.parametrize("state", ["creating", "deleting"])
def test_what_is_half_there_is_not_brought_to_life(any_world: World, state: str) -> None:
    """Issue 6 (tenants): whoever resumes, suspends or changes a tenant that is half made or half deleted is told that it is not there."""
    world = any_world
    installation, globex = world.house.installation, world.tenants["globex"]
    provisioning, control = installation.provisioning, installation.store.control
    control.writing(lambda conn: tenants.change(conn, globex.id, state=state))
    for change in (
        lambda: provisioning.resume(globex),
        lambda: provisioning.suspend(globex),
        lambda: provisioning.change_settings(globex, {"name": "Risen"}),
        lambda: provisioning.set_issuer(globex, "globex.example"),
    ):
        with pytest.raises(NotFound):
            change()
    with control.reading() as conn:
        row = tenants.find(conn, globex.id)
        assert row is not None
        assert (row.state, row.name) == (state, globex.name)
        assert domains.find(conn, "globex.example") is None
    control.writing(lambda conn: tenants.change(conn, globex.id, state="active"))


def test_a_tenant_that_is_being_deleted_proves_nothing(any_world: World) -> None:
    """Issue 6 (domains): a domain that is proven while its tenant is deleted does not stay behind, where nobody could have it."""
    world = any_world
    installation, globex, host = world.house.installation, world.tenants["globex"], "late.globex.example"
    own = Domains(installation.settings, installation.store, installation.feed, globex, world.database("globex"))
    claim = own.claim(host, by=By("operator")).claim
    assert claim is not None
    NAMES.txt[f"_authsec-challenge.{host}"] = [[claim.challenge]]
    control = installation.store.control
    control.writing(lambda conn: tenants.change(conn, globex.id, state="deleting"))
    with pytest.raises(NotFound):
        own.prove(host, installation.lookup, by=By("operator"))
    with pytest.raises(NotFound):
        own.claim("later.globex.example", by=By("operator"))
    with control.reading() as conn:
        assert domains.find(conn, host) is None
    control.writing(lambda conn: tenants.change(conn, globex.id, state="active"))
    assert own.prove(host, installation.lookup, by=By("operator")).is_proven
    own.remove(host, by=By("operator"), require=lambda _: None)
