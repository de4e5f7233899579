"""From the trail to deliveries: each event once and in order, whatever is killed, twice, suspended, deleted or changed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hooks_world import OPERATOR

from idp import clock
from idp.errors import NotFound
from idp.jobs.chain import chain_events
from idp.jobs.outbox import LEASE
from idp.jobs.purge import Rule, purge
from idp.jobs.schedule import JobContext
from idp.store.tenant import audit_events, webhook_deliveries
from idp.webhooks import fan_out
from idp.webhooks.registry import Change

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from hooks_world import World

ROOT = Path(__file__).resolve().parents[2]
DAY = 86400
WORKER = (
    "import os\nfrom idp import work\nfrom idp.installation import Installation\nfrom idp.settings import Settings\n"
    "made = Installation(Settings.from_env(os.environ), 'worker')\nprint('ready', flush=True)\n"
    "work.worker(made).run_due()\nmade.close()\n"
)


# -- once, and in order -------------------------------------------------------------------------------------------------------


def test_each_event_once_in_the_order_of_the_chain(any_world: World) -> None:
    """Decision 14: deliveries are those of the trail, in its order, over batches and runs; a second run adds none."""
    world = any_world
    hook, other = world.hook("user.disabled"), world.hook("user.created", name="other")
    people = []
    for _ in range(3):
        people += world.happen(8)
        world.run("chain")
    world.run("chain")
    deliveries = world.deliveries(hook)
    assert [each.event_type for each in deliveries] == ["user.disabled"] * 24
    numbers = [each.sequence for each in deliveries]
    assert numbers == sorted(set(numbers))
    with world.database.reading() as conn:
        told = [webhook_deliveries.body_of(conn, each.id) for each in deliveries]
        trail = [row for row in audit_events.chained(conn) if row.kind == "user.disabled"]
    assert [each.chain_seq for each in trail] == numbers
    assert [each.id for each in trail] == [each.event_id for each in deliveries]
    assert [person in (body or "") for person, body in zip(people, told, strict=True)] == [True] * 24
    assert len(world.deliveries(other)) == 24


def test_batches_do_not_lose_what_stands_between(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decision 14: more events than one transaction looks at are told all the same."""
    monkeypatch.setattr(fan_out, "BATCH", 3)
    hook = world.hook("user.created")
    world.happen(10)
    world.run("chain")
    assert len(world.deliveries(hook)) == 10


def test_what_an_operator_chains_by_hand_is_told_too(world: World) -> None:
    """Decision 14: it does not matter who chained an event (`idp keys revoke` does)."""
    hook = world.hook("user.created")
    world.person()
    control = world.house.installation.store.control
    chain_events(world.database, control, world.acme.id, lambda payload: payload.hex())
    world.run("chain")
    assert len(world.deliveries(hook)) == 1


def test_it_begins_with_what_happens_from_then_on(any_world: World) -> None:
    """docs/webhooks.md: nothing from before the webhook, not even what is not chained yet; nothing of the time when it was disabled."""
    world = any_world
    world.person()
    hook = world.hook("user.created")
    world.person()
    world.run("chain")
    assert len(world.deliveries(hook)) == 1
    world.registry.change(hook.id, Change(enabled=False), granter=OPERATOR)
    assert [each.state for each in world.deliveries(hook)] == ["discarded"]
    world.person()
    world.run("chain")
    world.person()
    world.registry.change(hook.id, Change(enabled=True), granter=OPERATOR)
    world.person()
    world.run()
    assert [each.state for each in world.deliveries(hook)] == ["discarded", "delivered"]


def test_a_new_webhook_does_not_wait_for_an_idle_tenant(any_world: World) -> None:
    """Decision 14, pending work: who makes or enables a webhook has the chain looked at now, and again while the tenant is busy."""
    from idp.jobs.chain import KIND
    from idp.store.control import pending_work

    world = any_world
    control = world.house.installation.store.control

    def due() -> int:
        with control.reading() as conn:
            found: int = next(
                row.next_due
                for row in pending_work.list_all(conn)
                if (row.tenant_id, row.kind) == (world.acme.id, KIND)
            )
        return found

    def rest() -> None:
        control.writing(lambda conn: pending_work.finish(conn, world.acme.id, KIND, clock.now() + 3600))
        assert due() > clock.now() + 3000

    rest()
    hook = world.hook("user.created")
    assert due() <= clock.now()
    world.registry.change(hook.id, Change(enabled=False), granter=OPERATOR)
    rest()
    world.registry.change(hook.id, Change(enabled=True), granter=OPERATOR)
    assert due() <= clock.now()


def test_several_workers_at_once_tell_each_event_once(any_world: World) -> None:
    """Decision 14: workers that fan out at the same time, on PostgreSQL too, neither lose an event nor tell it twice."""
    world = any_world
    hooks = [world.hook("user.disabled", name=f"h{number}") for number in range(3)]
    world.happen(30)
    control = world.house.installation.store.control
    chain_events(world.database, control, world.acme.id, lambda payload: payload.hex())
    context = JobContext(world.house.installation.store, world.database, world.acme, lambda: False)
    barrier, failures = threading.Barrier(4), []

    def run() -> None:
        barrier.wait()
        try:
            fan_out.follow(context)
            world.run("outbox")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    world.run("outbox")
    assert failures == []
    for number, hook in enumerate(hooks):
        deliveries = world.deliveries(hook)
        assert len({each.event_id for each in deliveries}) == len(deliveries) == 30
        ids = [told.id for told in world.receiver.of(f"h{number}")]
        assert sorted(ids) == sorted(each.id for each in deliveries)


def test_a_crash_between_looking_and_writing_loses_nothing(any_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decision 14: the place in the chain and the deliveries are one transaction: what breaks off is done anew, once."""
    world = any_world
    hook = world.hook("user.created")
    world.happen(3)

    class Killed(BaseException):
        """Stands for the end of the process."""

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(webhook_deliveries, "insert", killed)
        with pytest.raises(Killed):
            world.run("chain")
    assert world.deliveries(hook) == []
    world.run("chain")
    assert len(world.deliveries(hook)) == 3


@pytest.mark.slow
def test_a_worker_killed_between_delivery_and_ledger(any_world: World) -> None:
    """Decision 14, Standard Webhooks (idempotency): the message comes again with the same id; the ledger shows the attempt that died."""
    world = any_world
    hook = world.hook("user.created")
    world.person()
    world.run("chain")
    settings = world.house.installation.settings
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("IDP_")},
        "IDP_DATA_DIR": str(settings.data_dir),
        "IDP_DATABASE_URL": settings.database_url,
        "IDP_ALLOWED_PRIVATE_HOSTS": "localhost",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", WORKER]
    worker = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)

    def kill(http: BaseHTTPRequestHandler) -> None:
        os.kill(worker.pid, signal.SIGKILL)
        world.receiver.answer(http, 200)

    world.receiver.answers["/hook"] = kill
    assert worker.wait(60) == -signal.SIGKILL
    world.receiver.answers["/hook"] = [200]
    (delivery,) = world.deliveries(hook)
    assert delivery.state == "waiting"
    world.run("outbox", later=LEASE + 2)
    (delivery,) = world.deliveries(hook)
    first, second = world.receiver.of()
    assert first.id == second.id == delivery.id
    assert first.body == second.body
    assert delivery.state == "delivered"
    assert [(each.outcome, each.status) for each in world.attempts(hook, delivery)] == [
        (None, None),
        ("the answer is 200", 200),
    ]


# -- what changes meanwhile ----------------------------------------------------------------------------------------------------


def test_a_webhook_that_is_deleted_meanwhile(any_world: World) -> None:
    """Decision 14: what is under way ends, what waits is given up, and its deliveries are purged."""
    world = any_world
    hook, other = world.hook("user.created"), world.hook("user.created", name="other")

    def delete(http: BaseHTTPRequestHandler) -> None:
        world.registry.delete(hook.id, granter=OPERATOR)
        world.receiver.answer(http, 500)

    world.receiver.answers["/hook"] = [500]
    world.person()
    world.run()
    world.receiver.answers["/hook"] = delete
    world.person()
    world.run("chain")
    world.run("outbox")
    told = len(world.receiver.of())
    world.run("outbox", later=DAY)
    assert len(world.receiver.of()) == told
    with pytest.raises(NotFound):
        world.ledger.search(hook.id)
    rule = Rule("deliveries", webhook_deliveries.purge_expired, 30 * DAY)
    purge(world.database, [rule])
    with world.database.reading() as conn:
        left = conn.execute(webhook_deliveries.webhook_deliveries.select()).all()
    assert {row.webhook_id for row in left} == {other.id}


def test_deliveries_are_kept_as_long_as_the_tenant_wants(any_world: World) -> None:
    """Issue 6 (webhooks): a delivery goes with its message and attempts when its time has come; what still waits stays."""
    world = any_world
    hook = world.hook("user.created")
    world.happen(4)
    world.run()
    world.receiver.answers["/hook"] = [500]
    world.person()
    world.run()
    retention = world.acme.settings.webhook_delivery_retention
    rule = Rule("deliveries", webhook_deliveries.purge_expired, retention)
    with clock.shifted(retention - 10):
        purge(world.database)
        purge(world.database, [rule])
    assert len(world.deliveries(hook)) == 5
    with clock.shifted(retention + 10):
        purge(world.database, [rule])
    assert [each.state for each in world.deliveries(hook)] == ["waiting"]
    with world.database.reading() as conn:
        counts = [
            conn.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in ("outbox", "outbox_attempts")
        ]
    assert counts == [1, 1]


def test_a_suspended_tenant_tells_nobody_anything(any_world: World) -> None:
    """Decision 7, decision 14: nothing leaves while the tenant is suspended; afterwards it does."""
    world = any_world
    hook = world.hook("user.created")
    world.person()
    provisioning = world.house.installation.provisioning
    provisioning.suspend(world.acme)
    world.run(tenant=provisioning.find("acme"))
    assert world.receiver.told == []
    assert [each.state for each in world.deliveries(hook)] == ["waiting"]
    provisioning.resume(world.acme)
    world.run("outbox", tenant=provisioning.find("acme"))
    assert [each.state for each in world.deliveries(hook)] == ["delivered"]


def test_a_deleted_tenant_tells_nobody_anything(any_world: World) -> None:
    """Decision 14: with its database go its webhooks; the worker finds nothing to do."""
    from idp import work

    world = any_world
    world.hook("user.created")
    world.person()
    world.run("chain")
    installation = world.house.installation
    installation.provisioning.delete(world.acme)
    with clock.shifted(DAY):
        work.worker(installation).run_due()
    assert world.receiver.told == []


# -- replay and test -----------------------------------------------------------------------------------------------------------


def test_replay_of_one_and_of_all_that_failed(any_world: World) -> None:
    """Standard Webhooks (idempotency): what is sent again has the id that it had; delivered ones on request only."""
    world = any_world
    hook = world.hook("user.created")
    world.receiver.answers["/hook"] = [400]
    world.happen(3)
    world.run("chain")
    passed = 0
    for _ in range(12):
        world.run("outbox", later=passed)
        waiting = [each.next_attempt_at for each in world.deliveries(hook) if each.state == "waiting"]
        if not waiting:
            break
        passed = max(waiting) - clock.now() + 1
    assert {each.state for each in world.deliveries(hook)} == {"dead"}
    world.receiver.answers["/hook"] = [200]
    at = clock.now()
    assert world.ledger.replay_failed(hook.id, at + 10, granter=OPERATOR) == (0, False)
    assert world.ledger.replay_failed(hook.id, at - 3600, granter=OPERATOR) == (3, False)
    told = len(world.receiver.of())
    world.run("outbox")
    deliveries = world.deliveries(hook)
    assert {each.state for each in deliveries} == {"delivered"}
    assert sorted(each.id for each in world.receiver.of()[told:]) == sorted(each.id for each in deliveries)
    assert world.ledger.replay_failed(hook.id, at - 3600, granter=OPERATOR) == (0, False)
    world.ledger.replay(hook.id, deliveries[0].id, granter=OPERATOR)
    world.run("outbox")
    assert [each.id for each in world.receiver.of()[told + 3 :]] == [deliveries[0].id]
    assert [event.details["count"] for event in world.events("webhook.replayed")] == [3, 1]


def test_a_replay_of_what_waits_is_tried_now_but_not_twice(any_world: World) -> None:
    """Decision 14: who is impatient need not wait for the schedule; an attempt that is under way is left alone."""
    world = any_world
    hook = world.hook("user.created")
    world.receiver.answers["/hook"] = [500, 500, 200]
    world.person()
    world.run()
    world.run("outbox", later=20)
    (delivery,) = world.deliveries(hook)
    assert (delivery.state, delivery.attempts) == ("waiting", 2)

    def meanwhile(http: BaseHTTPRequestHandler) -> None:
        world.ledger.replay(hook.id, delivery.id, granter=OPERATOR)
        world.receiver.answer(http, 200)

    world.receiver.answers["/hook"] = meanwhile
    world.ledger.replay(hook.id, delivery.id, granter=OPERATOR)
    world.run("outbox")
    world.run("outbox")
    (delivery,) = world.deliveries(hook)
    assert (delivery.state, delivery.attempts, len(world.receiver.of())) == ("delivered", 3, 3)


def test_a_test_is_signed_and_told_as_all_are(any_world: World) -> None:
    """docs/webhooks.md: a test says only that it is one, and goes to the one webhook, whatever that is about."""
    world = any_world
    hook = world.hook("client.deleted")
    world.hook("*", name="other")
    made = world.ledger.test(hook.id, granter=OPERATOR)
    world.run("outbox")
    (told,) = world.receiver.told
    message = told.verified(hook.secret)
    assert (told.id, message["type"]) == (made.id, "webhook.test")
    assert message["data"] == {"tenant_id": world.acme.id, "webhook_id": hook.id}
