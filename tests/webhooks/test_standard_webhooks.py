"""Standard Webhooks: headers and signatures as another's library verifies them, secrets that are replaced, the schedule of attempts."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from hooks_world import OPERATOR
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from idp import clock
from idp.keys import rewrap
from idp.keys.envelope import Envelope
from idp.webhooks import schedule, signing
from idp.webhooks.event_types import BY_NAME

if TYPE_CHECKING:
    from hooks_world import Told, World


def signatures(told: Told) -> list[str]:
    return told.headers["webhook-signature"].split(" ")


def signed_by(told: Told, secret: str) -> str:
    """What another's library signs the message with."""
    at = datetime.fromtimestamp(int(told.headers["webhook-timestamp"]), UTC)
    made: str = Verifier(secret).sign(told.id, at, told.body.decode())
    return made


def test_a_message_is_verified_by_another_library(any_world: World) -> None:
    """Standard Webhooks, signature scheme: id, time and body are signed; the library of others accepts it, and nothing changed."""
    world = any_world
    hook = world.hook("user.*")
    (user_id,) = world.happen()
    world.run()
    told = world.receiver.of()
    assert sorted(each.message["type"] for each in told) == ["user.created", "user.disabled"]
    for each in told:
        message = each.verified(hook.secret)
        assert message["data"]["user_id"] == user_id
        assert each.headers["content-type"] == "application/json"
        assert each.headers["webhook-timestamp"].isdigit()
        assert each.id.startswith("msg_")
        jsonschema_rs.Draft202012Validator(BY_NAME[message["type"]].schema, validate_formats=True).validate(message)
        other = Verifier(signing.new_secret())
        with pytest.raises(WebhookVerificationError):
            other.verify(each.body, each.headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(hook.secret).verify(each.body + b" ", each.headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(hook.secret).verify(each.body, each.headers | {"webhook-id": "msg_other"})
    assert len({each.id for each in told}) == 2


def test_a_secret_is_256_bits_of_base64() -> None:
    """Standard Webhooks, secrets: `whsec_` and the base64 of 24 to 64 random bytes."""
    made = {signing.new_secret() for _ in range(50)}
    assert len(made) == 50
    for secret in made:
        assert secret.startswith("whsec_")
        assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64


def test_while_a_secret_is_replaced_both_sign(any_world: World) -> None:
    """Standard Webhooks, key rotation: several signatures, separated by spaces, until the overlap is over."""
    world = any_world
    hook = world.hook("user.created")
    _, second = world.registry.rotate_secret(hook.id, 3600, granter=OPERATOR)
    _, third = world.registry.rotate_secret(hook.id, 3600, granter=OPERATOR)
    world.person()
    world.run()
    (told,) = world.receiver.of()
    assert signatures(told) == [signed_by(told, each) for each in (third, second, hook.secret)]
    for secret in (hook.secret, second, third):
        told.verified(secret)
    with clock.shifted(3601):
        world.person()
    world.run(later=3601)
    later = world.receiver.of()[1]
    assert signatures(later) == [signed_by(later, third)]
    # Who has lost a secret replaces it without an overlap.
    _, fourth = world.registry.rotate_secret(hook.id, 0, granter=OPERATOR)
    world.person()
    world.run()
    last = world.receiver.of()[-1]
    assert signatures(last) == [signed_by(last, fourth)]


def test_secrets_are_sealed_and_follow_the_master_key(world: World) -> None:
    """ASVS 5.0 §13.3, §11.2: nothing that signs is readable in the database; a new master key takes it over."""
    hook = world.hook("user.created")
    _, fresh = world.registry.rotate_secret(hook.id, 3600, granter=OPERATOR)
    stored = json.dumps(world.row(hook).sealed_secrets)
    for secret in (hook.secret, fresh):
        assert secret not in stored
        assert secret.removeprefix("whsec_") not in stored
    from cryptography.fernet import Fernet

    former = (world.house.installation.settings.data_dir / "master.key").read_text("ascii").strip()
    newer = Fernet.generate_key().decode()
    assert rewrap.rewrap(world.database, Envelope([newer, former]), world.acme.id) >= 2
    found = signing.in_force(Envelope([newer]), world.acme.id, hook.id, world.row(hook).sealed_secrets)
    assert found == [fresh, hook.secret]


def test_an_attempt_that_failed_is_repeated_with_the_same_id(any_world: World) -> None:
    """Standard Webhooks, retries and idempotency: another time and signature, the same `webhook-id` and body."""
    world = any_world
    hook = world.hook("user.created")
    world.receiver.answers["/hook"] = [500, 200]
    world.person()
    world.run()
    (delivery,) = world.deliveries(hook)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("waiting", 1, 500)
    assert world.row(hook).failing_since is not None
    world.run("outbox", later=10)
    first, second = world.receiver.of()
    assert (first.id, first.body) == (second.id, second.body) == (delivery.id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert signatures(second) == [signed_by(second, hook.secret)]
    (delivery,) = world.deliveries(hook)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 2, 200)
    attempts = world.attempts(hook, delivery)
    assert [(each.status, each.excerpt) for each in attempts] == [(500, "answered 500"), (200, "answered 200")]
    assert all(each.milliseconds is not None for each in attempts)
    assert world.row(hook).failing_since is None


def test_the_schedule(world: World) -> None:
    """Standard Webhooks, retry schedule: at once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, each with jitter; then it is dead."""
    hook = world.hook("user.created")
    world.receiver.answers["/hook"] = [503]
    world.person()
    world.run("chain")
    times: list[int] = []
    passed = 0
    for _ in range(40):
        world.run("outbox", later=passed)
        (delivery,) = world.deliveries(hook)
        if len(world.receiver.of()) > len(times):
            times.append(clock.now() + passed)
        if delivery.state != "waiting":
            break
        passed = max(passed + 1, delivery.next_attempt_at - clock.now())
    assert (delivery.state, delivery.attempts) == ("dead", 10)
    for expected, pause in zip(schedule.PAUSES, [b - a for a, b in pairwise(times)], strict=True):
        assert 0.8 * expected - 2 <= pause <= 1.2 * expected + 2
    assert len({each.id for each in world.receiver.of()}) == 1
    assert world.events("outbox.dead")[0].details["target"] == hook.id


@pytest.mark.parametrize(
    ("attempts", "most", "pause"),
    [(1, 10, 5), (2, 10, 300), (9, 10, 86400), (11, 20, 5), (19, 20, 86400), (1, 30, 5), (10, 10, 86400)],
)
def test_a_replay_begins_the_schedule_anew(attempts: int, most: int, pause: int) -> None:
    """Standard Webhooks, retry schedule: behind ten attempts a replay has ten more, with the same pauses."""
    assert schedule.pause_after(attempts, most) == pause
    assert sum(schedule.PAUSES) * 1.2 < schedule.LIFETIME


def test_nothing_secret_is_told(world: World) -> None:
    """Security rule 3 (S118): a message has what the table lists: no address, no name, no password, no token."""
    world.hook("*")
    client = world.house.client(world.acme, "app")
    browser = world.house.browser(world.acme)
    tokens = client.redeem(browser.sign_in(client)).json
    world.run()
    everything = b"\n".join(each.body for each in world.receiver.told).decode()
    assert "session.started" in everything
    known: list[Any] = [
        "ada@example.com",
        client.secret,
        tokens["access_token"],
        "correct horse",
        *browser.cookies.values(),
    ]
    assert not [each for each in known if each and each in everything]
