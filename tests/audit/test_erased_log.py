"""An audit log that was erased whole, in the tenant's database and in the control database (security §3, audit)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp import work
from idp.clock import shifted
from idp.jobs.chain_verification import verify_chain
from idp.keys.checkpoints import CheckpointKeys

if TYPE_CHECKING:
    from house import House

    from idp.jobs.chain_verification import Report
    from idp.tenancy.tenant import Tenant


def verified(house: House, tenant: Tenant) -> Report:
    with house.database(tenant).reading() as conn, house.installation.store.control.reading() as control:
        return verify_chain(
            conn, control, tenant.id, CheckpointKeys(conn, house.installation.envelope, tenant.id).verify
        )


def test_a_log_without_any_event_is_not_sound(house: House) -> None:
    """Security §3, audit: a tenant with users has events; none at all means that all were removed."""
    tenant = house.tenant("acme")
    with shifted(4000):
        work.worker(house.installation).run_due()
    assert verified(house, tenant).is_sound
    for name in ("audit_events", "audit_checkpoints"):
        house.database(tenant).writing(lambda conn, name=name: conn.exec_driver_sql(f"DELETE FROM {name}"))
    house.installation.store.control.writing(lambda conn: conn.exec_driver_sql("DELETE FROM audit_checkpoints"))
    assert [finding.problem for finding in verified(house, tenant).findings] == ["emptied"]


def test_a_new_tenant_without_users_is_sound(house: House) -> None:
    """Security §3, audit, control: nothing has happened, so nothing is missing."""
    tenant = house.installation.provisioning.create("acme", "Acme")
    assert verified(house, tenant).is_sound
