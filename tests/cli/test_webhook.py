"""`idp webhook`: what an operator sees of webhooks, and sends again (issue 6, webhooks)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from idp.access.granting import Granter
from idp.identity.accounts import By
from idp.installation import Installation
from idp.settings import Settings
from idp.store.tenant import outbox
from idp.webhooks.ledger import Ledger
from idp.webhooks.registry import Webhooks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from command import Idp

OPERATOR = Granter(By("operator"))


@pytest.fixture
def made(idp: Idp) -> Iterator[dict[str, str]]:
    """A webhook with a delivery that was given up and one that waits."""
    installation = Installation(Settings.from_env(idp.environ), "test")
    tenant = installation.provisioning.find("acme")
    database = installation.store.tenant(tenant.id, tenant.database_url)
    registry = Webhooks(tenant, database, installation.settings, installation.services.outbound, installation.envelope)
    row, secret = registry.create("https://hooks.example/x", ["user.*"], granter=OPERATOR)
    ledger = Ledger(tenant.id, database)
    dead, waiting = (ledger.test(row.id, granter=OPERATOR) for _ in range(2))
    database.writing(lambda conn: outbox.finish(conn, dead.message_id, "dead", "the answer is 500"))
    yield {"hook": row.id, "secret": secret, "dead": dead.id, "waiting": waiting.id}
    installation.close()


def test_listed(idp: Idp, made: dict[str, str]) -> None:
    """Interfaces §3: webhooks and their deliveries, for people and programs, without the secret."""
    (hook,) = idp("webhook", "list", "acme", "--json").json
    assert (hook["id"], hook["url"], hook["state"]) == (made["hook"], "https://hooks.example/x", "enabled")
    assert made["hook"] in idp("webhook", "list", "acme").out
    listed = idp("webhook", "deliveries", "acme", made["hook"], "--json").json
    assert {each["id"] for each in listed} == {made["dead"], made["waiting"]}
    (dead,) = idp("webhook", "deliveries", "acme", made["hook"], "--state", "dead", "--json").json
    assert (dead["id"], dead["last_error"]) == (made["dead"], "the answer is 500")
    shown = idp("webhook", "deliveries", "acme", made["hook"]).out
    assert "the answer is 500" in shown
    for output in (shown, idp("webhook", "list", "acme", "--json").out):
        assert made["secret"] not in output


def test_sent_again(idp: Idp, made: dict[str, str]) -> None:
    """Interfaces §3: one delivery, or all that was given up in some hours; what is not there is one sentence."""
    assert idp("webhook", "replay", "acme", made["hook"], "--hours", "1", "--json").json == {"replayed": 1}
    states = {each["state"] for each in idp("webhook", "deliveries", "acme", made["hook"], "--json").json}
    assert states == {"waiting"}
    assert "will be sent again" in idp("webhook", "replay", "acme", made["hook"], made["dead"]).out
    for arguments, status in (
        (["replay", "acme", made["hook"], "msg_nothing"], 1),
        (["replay", "acme", "nothing", made["dead"]], 1),
        (["replay", "acme", made["hook"]], 2),
        (["replay", "acme", made["hook"], made["dead"], "--hours", "1"], 2),
        (["deliveries", "acme", "nothing"], 1),
        (["list", "nowhere"], 1),
    ):
        refused = idp("webhook", *arguments)
        assert refused.status == status
        assert refused.sentence
