"""S110, architecture §5: rate limits of hot endpoints, per worker or in Redis, never open when Redis is not well."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time

import pytest
import redis as client

from idp.errors import TooManyRequests
from idp.settings import Settings
from idp.web import ratelimit
from idp.web.ratelimit import Limiter, Rule

RULE = Rule("token", 5, 60)


def passed(limiter: Limiter, key: str, hits: int = 20, rule: Rule = RULE) -> int:
    return sum(limiter.hit(key, rule).allowed for _ in range(hits))


def test_local():
    """Architecture §5: after the amount, refusals with Retry-After; other keys and rules are untouched."""
    limiter = Limiter(Settings())
    assert not limiter.blocking
    assert passed(limiter, "a") == 5
    verdict = limiter.hit("a", RULE)
    fields = dict(verdict.headers)
    assert not verdict.allowed
    assert 1 <= int(fields["retry-after"]) <= 120
    assert (fields["ratelimit-limit"], fields["ratelimit-remaining"]) == ("5", "0")
    with pytest.raises(TooManyRequests) as refused:
        verdict.require()
    assert refused.value.retry_after == verdict.reset_after
    assert limiter.hit("b", RULE).remaining == 4
    assert limiter.hit("a", Rule("other", 5, 60)).allowed
    assert not limiter.hit("c", RULE, cost=6).allowed


def test_retry_after_is_the_truth():
    """RFC 9110 §10.2.3: who waits as long as told is let in, and who comes at once is not."""
    limiter, rule = Limiter(Settings()), Rule("short", 3, 2)
    assert passed(limiter, "a", 5, rule) == 3
    verdict = limiter.hit("a", rule)
    assert not limiter.hit("a", rule).allowed
    time.sleep(verdict.reset_after)
    assert limiter.hit("a", rule).allowed


def test_window_slides():
    """Architecture §5: two windows' amounts never fit around a boundary."""
    limiter, rule = Limiter(Settings()), Rule("slide", 10, 2)
    time.sleep(2 - time.monotonic() % 2 - 0.1)  # just before a window ends
    before = passed(limiter, "a", 20, rule)
    time.sleep(0.2)
    assert before == 10
    assert passed(limiter, "a", 20, rule) <= 2


def test_memory_is_bounded():
    """S111: keys that an attacker makes up are bounded in number and in length."""
    limiter = Limiter(Settings())
    for number in range(ratelimit.MAX_KEYS + 6000):
        limiter.hit(f"key-{number}", RULE)
    kept = limiter._local_store._windows
    assert len(kept) <= ratelimit.MAX_KEYS
    limiter.hit("x" * 1_000_000, RULE)
    assert max(map(len, kept)) < 200


def test_threads_count_exactly():
    """S110: 8 threads at once let exactly the amount through."""
    limiter, rule, through = Limiter(Settings()), Rule("many", 100, 60), []
    barrier = threading.Barrier(8)

    def hit() -> None:
        barrier.wait()
        through.append(passed(limiter, "a", 50, rule))

    threads = [threading.Thread(target=hit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(through) == 100


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    """A Redis of our own on a socket in a temporary folder."""
    program = shutil.which("redis-server")
    if program is None:
        message = "redis-server is not installed (Debian package redis-server)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"

    def start():
        process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                client.Redis(unix_socket_path=str(socket)).ping()
            except client.RedisError:
                time.sleep(0.02)
            else:
                return process
        raise AssertionError("redis did not start")

    return socket, start


@pytest.fixture
def running(redis_server):
    socket, start = redis_server
    process = start()
    yield Settings(redis_url=f"unix://{socket}"), client.Redis(unix_socket_path=str(socket)), process
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


def test_shared_between_workers(running):
    """Architecture §5: with Redis two workers share one amount."""
    settings, _, _ = running
    one, two = Limiter(settings), Limiter(settings)
    assert one.blocking
    assert passed(one, "a", 3) == 3
    assert passed(two, "a", 20) == 2
    refused = two.hit("a", RULE)
    assert not refused.allowed
    assert 1 <= refused.reset_after <= 120
    assert passed(one, "b", 20) == 5


def test_nothing_readable_in_redis(running):
    """Security.md §1.9: keys of Redis show neither addresses nor names."""
    settings, store, _ = running
    Limiter(settings).hit("alice@example.com 203.0.113.9", RULE)
    names = b" ".join(store.keys())
    assert names
    assert b"alice" not in names
    assert b"203.0.113.9" not in names


def test_redis_is_killed_in_the_middle(running, redis_server):
    """S110: a lost Redis opens nothing: the local count already holds what this worker let through; it recovers alone."""
    settings, _, process = running
    lost = []
    limiter = Limiter(settings, on_fallback=lambda: lost.append(1))
    assert passed(limiter, "a", 3) == 3
    process.kill()
    process.wait()
    started = time.monotonic()
    assert passed(limiter, "a", 100) == 2
    assert passed(limiter, "b", 100) == 5
    assert time.monotonic() - started < 10
    assert lost
    again = redis_server[1]()
    try:
        time.sleep(1.1)
        other = Limiter(settings)
        assert passed(other, "c", 4) == 4
        assert passed(limiter, "c", 20) == 1
    finally:
        again.kill()
        again.wait()


def test_redis_was_never_there(tmp_path):
    """S110: a Redis that cannot be reached at the start is like one that was lost."""
    assert passed(Limiter(Settings(redis_url=f"unix://{tmp_path}/none")), "a") == 5


def test_slow_redis(running):
    """S110: a Redis that does not answer costs a tenth of a second, then nothing; the limit holds."""
    settings, _, process = running
    limiter, rule = Limiter(settings), Rule("slow", 100, 60)
    assert limiter.hit("a", rule).allowed
    process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    assert passed(limiter, "a", 200, rule) == 99
    assert time.monotonic() - started < 10


def test_flushed_redis(running):
    """S110: FLUSHALL gives nobody a fresh allowance at a worker that counted."""
    settings, store, _ = running
    limiter = Limiter(settings)
    assert passed(limiter, "a") == 5
    store.flushall()
    assert passed(limiter, "a") == 0


def test_wrong_type_and_full_redis(running):
    """S110: keys of the wrong type and a full memory leave the local limit in force, without giving up on Redis."""
    settings, store, _ = running
    limiter = Limiter(settings)
    limiter.hit("a", RULE)
    for name in store.scan_iter():
        store.delete(name)
        store.lpush(name, "x")
    assert passed(limiter, "a") == 4
    store.flushall()
    store.config_set("maxmemory", "1mb")
    store.config_set("maxmemory-policy", "noeviction")
    try:
        for number in range(200):
            store.set(f"fill-{number}", "x" * 20_000)
    except client.ResponseError:
        pass
    assert passed(limiter, "full") == 5
    store.config_set("maxmemory", "0")
    assert passed(Limiter(settings), "z", 3) == 3
    assert passed(limiter, "z") == 2
