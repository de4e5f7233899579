"""Receivers of every kind, real ones on loopback: what counts as taken, what is tried again, what ends a webhook (S097, S107)."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from hooks_world import OPERATOR, Receiver
from letters import letters

from idp import clock
from idp.access.bindings import Bindings, Wanted
from idp.errors import Conflict, Invalid
from idp.outbound import Outbound
from idp.settings import Settings
from idp.store.tenant import webhooks
from idp.webhooks import schedule
from idp.webhooks.delivering import LONGEST_EXCERPT
from idp.webhooks.registry import Change, Webhooks

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from hooks_world import World

DAY = 86400


def only(world: World, hook: Any) -> Any:
    (delivery,) = world.deliveries(hook)
    return delivery


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "delivered"), (201, "delivered"), (204, "delivered"), (299, "delivered")]
    + [(status, "waiting") for status in (304, 400, 401, 404, 408, 409, 418, 429, 500, 502, 503, 599)],
)
def test_2xx_alone_is_success(world: World, status: int, state: str) -> None:
    """Standard Webhooks, status codes: 2xx is success, everything else is tried again."""
    hook = world.hook("user.created")
    world.receiver.answers["/hook"] = [status]
    world.person()
    world.run()
    delivery = only(world, hook)
    assert (delivery.state, delivery.last_status, delivery.attempts) == (state, status, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(world: World, status: int) -> None:
    """Standard Webhooks, redirects; S107: a redirect is a failure, and nobody goes where it leads."""
    hook = world.hook("user.created")
    target = world.receiver.uri("secret")
    world.receiver.answers["/hook"] = lambda http: Receiver.answer(http, status, location=target)
    world.person()
    world.run()
    delivery = only(world, hook)
    assert (delivery.state, delivery.last_status) == ("waiting", status)
    assert "redirects are not followed" in delivery.last_error
    assert [told.path for told in world.receiver.told] == ["/hook"]


def test_of_a_huge_answer_a_short_piece_is_kept(world: World) -> None:
    """S111: 20 MB as an answer are neither read nor kept; the status counts."""
    hook = world.hook("user.created")
    sent: list[int] = []

    def huge(http: BaseHTTPRequestHandler) -> None:
        http.send_response(200)
        http.send_header("content-length", str(20_000_000))
        http.end_headers()
        try:
            for _ in range(200):
                http.wfile.write(b"0123456789" * 10_000)
                sent.append(100_000)
        except OSError:
            http.close_connection = True

    world.receiver.answers["/hook"] = huge
    world.person()
    world.run()
    delivery = only(world, hook)
    assert delivery.state == "delivered"
    (attempt,) = world.attempts(hook, delivery)
    assert len(attempt.excerpt) <= LONGEST_EXCERPT
    assert sum(sent) < 20_000_000


def test_an_answer_is_kept_cleaned(world: World) -> None:
    """Security rule 3: control characters and what looks like a secret do not reach the ledger; what is no text is not kept."""
    hook = world.hook("user.created")
    body = b"no\x00t \xff\n<b>now</b> eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
    world.receiver.answers["/hook"] = lambda http: Receiver.answer(http, 500, body)
    world.person()
    world.run()
    (attempt,) = world.attempts(hook, only(world, hook))
    assert attempt.excerpt.isprintable()
    assert "<b>now</b>" in attempt.excerpt
    assert "eyJ" not in attempt.excerpt
    world.receiver.answers["/hook"] = lambda http: Receiver.answer(
        http, 500, b"\x1f\x8b", **{"content-encoding": "gzip"}
    )
    world.run("outbox", later=10)
    assert world.attempts(hook, only(world, hook))[1].excerpt is None


def test_one_that_closes_the_connection(world: World) -> None:
    """Standard Webhooks, retries: no answer is a failure."""
    hook = world.hook("user.created")

    def close(http: BaseHTTPRequestHandler) -> None:
        http.connection.shutdown(socket.SHUT_RDWR)
        http.close_connection = True

    world.receiver.answers["/hook"] = close
    world.person()
    world.run()
    delivery = only(world, hook)
    assert (delivery.state, delivery.last_status) == ("waiting", None)
    assert "could not be read" in delivery.last_error


def test_one_that_hangs_and_one_that_is_slow_hold_up_no_other(world: World) -> None:
    """S097: each attempt has its end; meanwhile the others get theirs."""
    hangs, slow, good = (world.hook("user.created", name=name) for name in ("hangs", "slow", "good"))

    def drip(http: BaseHTTPRequestHandler) -> None:
        try:
            for _ in range(100):
                http.wfile.write(b"H")
                time.sleep(0.1)
        except OSError:
            http.close_connection = True

    world.receiver.answers["/hangs"] = lambda _http: world.receiver.release.wait(30) and None  # type: ignore[func-returns-value]
    world.receiver.answers["/slow"] = drip
    for _ in range(3):
        world.person()
    world.run("chain")
    world.run("outbox", seconds=1.0)
    assert [each.state for each in world.deliveries(good)] == ["delivered"] * 3
    for hook in (hangs, slow):
        assert {each.state for each in world.deliveries(hook)} == {"waiting"}
        assert "within 1 seconds" in world.deliveries(hook)[0].last_error


def test_410_disables(any_world: World) -> None:
    """Standard Webhooks, status codes: 410 Gone ends the webhook; what waits is given up, administrators and the trail are told."""
    world = any_world
    admin = world.house.user(world.acme, "admin@acme.example")
    Bindings(world.database).create(Wanted("user", admin, "tenant-admin"), granter=OPERATOR)
    hook = world.hook("user.created")
    world.receiver.answers["/hook"] = [503]
    world.person()
    world.run()
    world.receiver.answers["/hook"] = [410]
    world.person()
    world.run()
    row = world.row(hook)
    assert (row.state, row.disabled_reason) == ("disabled", "gone")
    assert [each.state for each in world.deliveries(hook)] == ["discarded", "dead"]
    (event,) = world.events("webhook.disabled")
    assert (event.details["webhook"], event.details["host"], event.details["reason"]) == (hook.id, "localhost", "gone")
    (letter,) = letters(world.house, world.acme, "webhook_disabled")
    assert (letter.to, letter.context["host"], letter.context["is_gone"]) == ("admin@acme.example", "localhost", True)
    before = len(world.receiver.told)
    world.person()
    world.run()
    world.run("outbox", later=DAY)
    assert len(world.receiver.told) == before
    assert len(world.deliveries(hook)) == 2
    with pytest.raises(Conflict):
        world.ledger.test(hook.id, granter=OPERATOR)


def test_410_of_an_address_that_was_left_disables_nothing(world: World) -> None:
    """Standard Webhooks, status codes: the answer of a former address says nothing about the present one."""
    hook = world.hook("user.created")

    def gone(http: BaseHTTPRequestHandler) -> None:
        world.registry.change(hook.id, Change(url=world.receiver.uri("new")), granter=OPERATOR)
        Receiver.answer(http, 410)

    world.receiver.answers["/hook"] = gone
    world.person()
    world.run()
    assert world.row(hook).state == "enabled"


def test_days_of_failures_disable(any_world: World) -> None:
    """Issue 6 (webhooks): an address that takes nothing for five days is disabled, not before; administrators are told by mail."""
    world = any_world
    admin = world.house.user(world.acme, "admin@acme.example")
    Bindings(world.database).create(Wanted("user", admin, "tenant-admin"), granter=OPERATOR)
    hook = world.hook("user.created")
    world.receiver.answers["/hook"] = [500]
    passed = 0
    while world.row(hook).state == "enabled" and passed < 10 * DAY:
        with clock.shifted(passed):
            world.person()
        world.run(later=passed)
        last, passed = passed, passed + DAY // 3
    row = world.row(hook)
    assert (row.state, row.disabled_reason) == ("disabled", "failing")
    assert schedule.FAILING - 60 <= last <= schedule.FAILING + DAY
    assert {each.state for each in world.deliveries(hook)} <= {"discarded", "dead"}
    (letter,) = letters(world.house, world.acme, "webhook_disabled")
    assert letter.context["is_gone"] is False
    world.registry.change(hook.id, Change(enabled=True), granter=OPERATOR)
    world.receiver.answers["/hook"] = [200]
    world.ledger.replay_failed(hook.id, 0, granter=OPERATOR)
    world.run("outbox")
    assert {each.state for each in world.deliveries(hook)} == {"delivered"}


def test_a_success_ends_a_bad_time(world: World) -> None:
    """Issue 6 (webhooks): what fails now and then is not disabled, however many days pass."""
    hook = world.hook("user.created")
    for day in range(12):
        world.receiver.answers["/hook"] = [500] if day % 3 else [200]
        with clock.shifted(day * DAY):
            world.person()
        world.run(later=day * DAY)
    assert world.row(hook).state == "enabled"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data",
        "https://192.168.0.1/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://user:pass@hooks.example/x",
        "https://hooks.example/x#fragment",
        "ftp://hooks.example/x",
        "javascript:alert(1)",
        "//hooks.example/x",
        "https:///x",
        "https://hooks.example:0/x",
        "https://hooks.example:99999/x",
        "https://hooks.example/ x",
        "https://hooks.éxample/",
        "",
        "https://hooks.example/" + "a" * 2000,
    ],
)
def test_s107_an_address_that_cannot_be_one(world: World, url: str) -> None:
    """S107: only https (http on loopback in development), never a private address, while somebody can still correct it."""
    with pytest.raises(Invalid) as refused:
        world.registry.create(url, ["*"], granter=OPERATOR)
    assert "url" in (refused.value.errors or {})
    hook = world.hook("*")
    with pytest.raises(Invalid):
        world.registry.change(hook.id, Change(url=url), granter=OPERATOR)


def test_s107_plain_http_is_for_development(world: World) -> None:
    """S107, security rule 8: in production plain HTTP is refused on loopback too, though the operator allows the host."""
    made = world.house.installation
    settings = Settings.from_env(
        {"IDP_ENV": "production", "IDP_PUBLIC_URL": "https://id.example", "IDP_ALLOWED_PRIVATE_HOSTS": "localhost"}
    )
    strict = Webhooks(world.acme, world.database, settings, Outbound(settings), made.envelope)
    with pytest.raises(Invalid, match="https"):
        strict.create("http://localhost:1/x", ["*"], granter=OPERATOR)
    strict.create("https://localhost:1/x", ["*"], granter=OPERATOR)


def test_s107_a_name_that_has_become_private_is_not_reached(world: World) -> None:
    """S107: what a name leads to is judged at each attempt, not when the webhook is made; no connection is opened."""
    name = socket.gethostname()  # leads to this machine, and stands for one that led elsewhere before
    if name == "localhost":
        pytest.skip("this machine has no name of its own")
    row, _ = world.registry.create(f"https://{name}:{world.receiver.port}/hook", ["user.created"], granter=OPERATOR)
    world.person()
    world.run()
    (delivery,), _ = world.ledger.search(row.id, limit=10)
    assert (delivery.state, delivery.last_status) == ("waiting", None)
    assert "private" in delivery.last_error
    assert world.receiver.told == []


def test_an_address_that_is_not_allowed_any_more(world: World) -> None:
    """S107: a host that the operator takes off IDP_ALLOWED_PRIVATE_HOSTS is reached no more."""
    hook = world.hook("user.created")
    url = f"http://127.0.0.1:{world.receiver.port}/hook"
    world.database.writing(lambda conn: webhooks.change(conn, hook.id, url=url))
    world.person()
    world.run()
    assert "not https" in only(world, hook).last_error
    assert world.receiver.told == []


def test_what_is_sent_is_json_without_our_secrets(world: World) -> None:
    """Standard Webhooks, headers: no cookie, no authorization, no referrer; the body is what the ledger shows."""
    hook = world.hook("user.created")
    world.person()
    world.run()
    (told,) = world.receiver.of()
    assert not {"cookie", "authorization", "referer"} & told.headers.keys()
    delivery, _ = world.ledger.get(hook.id, told.id)
    assert told.body.decode() == delivery.body
    assert json.loads(delivery.body)["type"] == "user.created"
