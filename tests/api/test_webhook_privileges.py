"""What a webhook was about once is not let out by who may read only what it is about now; on each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from test_webhooks import URL, deliver, done, made, refused, writer_of

if TYPE_CHECKING:
    from api_world import World

SINCE = {"since": "2020-01-01T00:00:00Z"}


def narrowed(world: World) -> tuple[str, str, Any]:
    """A webhook with a delivery about a group, narrowed by somebody who may not read groups; its path, the token, the delivery."""
    hook = made(world, "group.created", "client.created")
    done(world.uflow("POST", "/groups", {"name": "Editors"}), 201)
    deliver(world)
    (item,) = done(world.uflow("GET", f"/webhooks/{hook['id']}/deliveries"))["items"]
    token = writer_of(world, "clients:read")
    path = f"/webhooks/{hook['id']}"
    done(world.uflow("PATCH", path, {"event_types": ["client.created"]}, token=token))
    return path, token, item


def test_what_waits_follows_a_new_address_only_for_who_may_read_it(any_world: World) -> None:
    """Decision 14 (permission): who narrows a webhook does not have what waits for it, of the other types, sent to another address."""
    world = any_world
    path, token, _ = narrowed(world)
    problem = refused(world.uflow("PATCH", path, {"url": "https://evil.example/"}, token=token), 403, "more_than_held")
    assert "groups:read" in str(problem["errors"])
    both = {"url": "https://evil.example/", "event_types": ["client.created"]}
    refused(world.uflow("PATCH", path, both, token=token), 403, "more_than_held")
    assert done(world.uflow("GET", path))["url"] == URL
    assert done(world.uflow("PATCH", path, {"url": URL + "/new"}))["url"] == URL + "/new"


def test_what_was_given_up_is_sent_again_only_by_who_may_read_it(any_world: World) -> None:
    """Decision 14 (permission): a replay tells what the delivery tells, whatever the webhook is about by now."""
    world = any_world
    path, token, item = narrowed(world)
    # Nothing waits any more, so that the address may be changed.
    done(world.uflow("PATCH", path, {"enabled": False}, token=token))
    done(world.uflow("PATCH", path, {"enabled": True, "url": "https://evil.example/"}, token=token))
    one = f"{path}/deliveries/{item['id']}/replay"
    refused(world.uflow("POST", one, token=token), 403, "more_than_held")
    refused(world.uflow("POST", f"{path}/replay", SINCE, token=token), 403, "more_than_held")
    assert done(world.uflow("GET", f"{path}/deliveries"))["items"][0]["status"] == "discarded"
    assert not world.events("webhook.replayed")
    assert done(world.uflow("POST", f"{path}/replay", SINCE))["replayed"] == 1
    assert done(world.uflow("POST", one), 202)["status"] == "pending"
