"""Redis is a cache, never the truth: down, frozen, flushed, full or poisoned, it opens no limit and breaks no sign-in (S110)."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from cast import SigningKey, asserted
from serving import Served, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services import Redis

pytestmark = pytest.mark.slow
LIMIT = 600  # authorization requests a minute of one client at one address


def poison(redis: Redis) -> None:
    """Every key that is there becomes one of another type."""
    answer = redis.say("KEYS", "*")
    for key in [line for line in answer.decode().split("\r\n") if ":" in line and not line.startswith(("*", "$"))]:
        redis.say("DEL", key)
        redis.say("LPUSH", key, "poison")


def fill(redis: Redis) -> None:
    """No memory is left for anything new."""
    redis.say("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.say("CONFIG", "SET", "maxmemory", "1")


FAULTS: dict[str, Callable[[Redis], Any]] = {
    "down": lambda redis: redis.stop(),
    "frozen": lambda redis: redis.freeze(),
    "flushed": lambda redis: redis.say("FLUSHALL"),
    "poisoned": poison,
    "full": fill,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_s110_no_limit_opens_and_no_sign_in_breaks(redis: Redis, tmp_path: Path, fault: str) -> None:
    """S110: the fault comes in the middle of a flood and of a guessing: the flood is still limited, the account locked, others sign in."""
    with Served(tmp_path, workers=1, IDP_REDIS_URL=redis.url) as served:
        acme = served.tenant("acme")
        rp = served.client(acme)
        other = served.client(acme, "other")
        key = SigningKey.new("ES256", "k")
        signed = served.client(
            acme, "signed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key.public_jwk]}
        )
        served.house.user(acme, "victim@example.com")
        spent = {"grant_type": "client_credentials", **asserted(signed, key)}
        assert served.post(acme, "/token", spent).status == 200

        def flood(number: int) -> Counter[int]:
            address = f"{acme.base_path}/authorize?client_id={rp.client_id}&redirect_uri=https%3A%2F%2Fevil.example"
            return Counter(served.send("GET", address).status for _ in range(number))

        browser = served.browser(acme)
        page = browser.follow(browser.authorize(other, verifier="v" * 43))
        assert flood(LIMIT // 2) == {400: LIMIT // 2}
        for i in range(5):
            assert browser.submit(page, username="victim@example.com", password=f"guess {i}").status == 400
        FAULTS[fault](redis)
        began = time.monotonic()
        for i in range(5, 10):
            assert browser.submit(page, username="victim@example.com", password=f"guess {i}").status == 400
        assert (
            browser.submit(page, username="victim@example.com", password="correct horse battery staple").status == 400
        )
        assert max(row["count"] for row in rows(acme.database_url, "SELECT count FROM attempts")) >= 10
        assert flood(LIMIT // 2 + 30)[429] >= 25
        assert time.monotonic() - began < 20, "each request waits for a Redis that does not answer"
        # people and programs go on
        grant = served.browser(acme).sign_in(other, scope="openid offline_access")
        tokens = other.redeem(grant).json
        assert other.refresh(tokens["refresh_token"]).status == 200
        # what is used once stays used: that never rested on Redis
        assert other.redeem(grant).status == 400
        assert served.post(acme, "/token", spent).status == 401
        assert served.once("GET", "/health/ready").status == 200


def test_s110_redis_comes_back(redis: Redis, tmp_path: Path) -> None:
    """S110: two workers share a limit through Redis, count alone while it is gone, and share again when it is back."""
    with Served(tmp_path, workers=2, IDP_REDIS_URL=redis.url) as served:
        acme = served.tenant("acme")
        rp = served.client(acme)
        address = f"{acme.base_path}/authorize?client_id={rp.client_id}&redirect_uri=https%3A%2F%2Fevil.example"
        wires = [served.wire() for _ in range(8)]
        found = Counter(served.send("GET", address, wire=wires[i % 8]).status for i in range(LIMIT + 60))
        assert len({served.worker_of(wire) for wire in wires}) == 2
        # a minute may turn over in between, and half of the minute before still weighs then
        assert found[429] >= 1
        redis.stop()
        assert served.send("GET", address).status in (400, 429)
        redis.start()
        time.sleep(2.5)
        served.send("GET", address)
        assert b"idp:limit" in redis.say("KEYS", "*")


def test_nothing_readable_in_redis(redis: Redis, tmp_path: Path) -> None:
    """S118: neither a client's name nor an address, a token or a password stands readable in Redis."""
    with Served(tmp_path, workers=1, IDP_REDIS_URL=redis.url) as served:
        acme = served.tenant("acme")
        rp = served.client(acme, "planted-client-name")
        tokens = rp.redeem(served.browser(acme).sign_in(rp, scope="openid offline_access")).json
        rp.refresh(tokens["refresh_token"])
        found = redis.say("KEYS", "*")
        assert b"idp:limit" in found
        for planted in (
            "planted-client-name",
            "127.0.0.1",
            rp.secret or "",
            tokens["refresh_token"],
            "ada@example.com",
        ):
            assert planted.encode() not in found
