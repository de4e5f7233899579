"""The health of a tenant for its administrators, in every service; and of a service for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from api_world import HOST

from idp import clock
from idp.api.services import SERVICES
from idp.identity import tenant_health
from idp.store import migrate
from idp.store.control import audit_checkpoints as copies
from idp.store.tenant import outbox, signing_keys

if TYPE_CHECKING:
    from api_world import World

EVERY_SERVICE = pytest.mark.parametrize("service", [each.name for each in SERVICES])


def looked(world: World, status: int = 200, slug: str = "acme", service: str = "uflow", **more: Any) -> Any:
    answer = world.call("GET", f"/tenants/{slug}/health", service=service, **more)
    assert answer.status == status, answer.text
    return answer.json


def part(document: Any, name: str) -> Any:
    return next(each for each in document["parts"] if each["name"] == name)


@EVERY_SERVICE
def test_a_healthy_tenant(any_world: World, service: str) -> None:
    """Interfaces §5 (one per tenant for its administrators): every part is looked at, in each service, on each kind of database."""
    found = looked(any_world, service=service)
    assert [each for each in found["parts"] if each["status"] != "ok"] == []
    assert (found["status"], found["tenant"]) == ("ok", "acme")
    assert [each["name"] for each in found["parts"]] == ["database", "schema", "signing_keys", "outbox", "audit"]
    assert part(found, "schema")["facts"]["version"] == migrate.head("tenant")
    keys = part(found, "signing_keys")["facts"]
    assert set(keys["active"]) == {"ES256", "RS256"}
    assert keys["until"].endswith("Z")


def test_it_is_for_administrators(world: World) -> None:
    """Interfaces §5: the permission tenants:read; another tenant's is out of reach, whatever ails it."""
    assert looked(world, 401, slug="globex")["code"] == "invalid_token"
    assert looked(world, 403, token=world.token("acme", "apps"))["permission"] == "tenants:read"
    assert looked(world, token=world.token("acme", "auditor"))["status"] == "ok"
    answer = world.uflow("GET", "/health?verbose=1")
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (422, "verbose")


def test_a_lost_database(world: World) -> None:
    """Issue 6: whoever looks after the platform is told which part it is, with 503; the neighbour is well."""
    acme = world.tenants["acme"]
    system = world.token("system")
    path = Path(acme.database_url.removeprefix("sqlite:///"))
    world.house.installation.store.forget(acme.id)
    path.rename(path.with_suffix(".away"))
    found = looked(world, 503, token=system)
    assert found["status"] == "failing"
    assert [(each["name"], each["status"]) for each in found["parts"]] == [("database", "failing")]
    assert looked(world, slug="globex", token=system)["status"] == "ok"
    # The tenant's own administrator cannot even be recognised: the usual problem document.
    assert looked(world, 503, token=world.token("globex"), slug="acme")["code"] == "temporarily_unavailable"
    path.with_suffix(".away").rename(path)
    assert looked(world, token=system)["status"] == "ok"


def test_a_key_that_is_missing(world: World) -> None:
    """Issue 6 (signing key active and until when): without one nobody gets a token: failing."""
    token = world.token("system")
    table = signing_keys.signing_keys
    world.database().writing(
        lambda conn: conn.execute(table.update().where(table.c.alg == "RS256").values(state="gone"))
    )
    found = looked(world, 503, token=token)
    assert part(found, "signing_keys")["status"] == "failing"
    assert "RS256" in part(found, "signing_keys")["summary"]


def test_a_key_that_stays_too_long(world: World) -> None:
    """Issue 6: a key that the calendar should have replaced points at a worker that does not run."""
    with clock.shifted(100 * 86400):
        found = looked(world, token=world.token("system"))
    assert (found["status"], part(found, "signing_keys")["status"]) == ("degraded", "degraded")


def test_messages_that_do_not_leave(world: World) -> None:
    """Issue 6 (outbox backlog, failed mails): those that wait too long, and those that were given up."""
    world.database().writing(lambda conn: outbox.enqueue(conn, "mail", ["acme.example"], {}))
    assert part(looked(world), "outbox") == {
        "name": "outbox",
        "status": "ok",
        "summary": "Mails and notifications leave in time.",
        "facts": {"waiting": 1, "failed": 0},
    }
    table = outbox.outbox
    late = clock.now() - tenant_health.OVERDUE - 60
    world.database().writing(lambda conn: conn.execute(table.update().values(next_attempt_at=late)))
    found = looked(world)
    assert (found["status"], "16 minutes" in part(found, "outbox")["summary"]) == ("degraded", True)
    world.database().writing(lambda conn: conn.execute(table.update().values(state="dead")))
    assert part(looked(world), "outbox")["facts"] == {"waiting": 0, "failed": 1}
    assert looked(world)["status"] == "degraded"


def test_an_audit_log_that_is_not_sealed(world: World) -> None:
    """Issue 6 (audit chain checkpoint): events that wait for hours, and checkpoints that only the copy still has."""
    assert part(looked(world), "audit")["status"] == "ok"
    with clock.shifted(tenant_health.UNSEALED + 60):
        found = looked(world, token=world.token())
    assert part(found, "audit")["status"] == "degraded"
    assert part(found, "audit")["facts"]["unsealed"] > 0
    row = {
        "tenant_id": world.tenants["acme"].id, "number": 1, "chain_seq": 1, "chain_hash": "x", "at": 1, "previous": "", "signature": "x",
    }  # fmt: skip
    world.house.installation.store.control.writing(lambda conn: copies.copy(conn, [row]))
    assert "missing" in part(looked(world), "audit")["summary"]


def test_a_schema_of_another_release(world: World) -> None:
    """Issue 6 (migration level): a newer one is failing, and no other part is looked at."""
    token = world.token("system")
    world.database().writing(
        lambda conn: conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999_future'")
    )
    found = looked(world, 503, token=token)
    assert [(each["name"], each["status"]) for each in found["parts"]] == [("database", "ok"), ("schema", "failing")]


def test_a_suspended_tenant_can_be_looked_at(world: World) -> None:
    """Issue 6: suspending is no illness; the platform looks after it."""
    world.house.installation.provisioning.suspend(world.tenants["acme"])
    assert looked(world, token=world.token("system"))["status"] == "ok"


@EVERY_SERVICE
def test_the_service_itself(world: World, service: str) -> None:
    """Interfaces §5 (`GET /{service}/health`, `/health/live`, `/health/ready`): for everybody, without a token; they tell draining apart."""
    get = lambda path: world.house.send("GET", f"/{service}{path}", host=HOST)  # noqa: E731
    assert get("/health/live").json == {"status": "live"}
    for path in ("/health", "/health/ready"):
        assert (get(path).json["status"], get(path).json["service"]) == ("ready", service)
    world.house.installation.health.draining.begin()
    assert get("/health/live").status == 200
    for path in ("/health", "/health/ready"):
        assert (get(path).status, get(path).json["code"]) == (503, "temporarily_unavailable")
    assert get("/health/other").status == 404
