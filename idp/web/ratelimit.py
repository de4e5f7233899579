"""Rate limits of requests, per worker or shared in Redis, on the `limits` library.

Owns sliding-window counters that never open: each hit is counted here first, and Redis only adds what other workers saw;
while it is down, slow, full or answers nonsense, the local count stands alone. What protects accounts (lockout, guess and
send counters) lives in the tenant's database, not here. Must not know who is limited, or why.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from idp.errors import TooManyRequests
from idp.web.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from idp.settings import Settings

MAX_KEYS = 50_000
_REDIS_SECONDS = 0.1
_LONGEST_PAUSE = 10.0
_LONGEST_KEY = 64


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `amount` per `seconds`; `name` keeps the counters of different rules apart."""

    name: str
    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a hit is allowed; times are in seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset_after: int
    window: int

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The RateLimit fields (draft-ietf-httpapi-ratelimit-headers), with Retry-After when refused."""
        fields = [
            ("ratelimit-limit", str(self.limit)),
            ("ratelimit-remaining", str(self.remaining)),
            ("ratelimit-reset", str(self.reset_after)),
        ]
        return fields if self.allowed else [*fields, ("retry-after", str(self.reset_after))]

    def require(self) -> None:
        """Raise TooManyRequests when the hit was refused."""
        if not self.allowed:
            raise TooManyRequests(retry_after=self.reset_after)


class LocalCounters(MemoryStorage):
    """Sliding windows in memory, at most 50,000 of them: one dictionary, no timer thread, a clock that never jumps."""

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[int, int, int, int]] = {}  # key → (window number, count, count before, seconds)
        self._guard = threading.Lock()

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` and say True if that stays within `limit`."""
        now = time.monotonic()
        number = int(now // expiry)
        with self._guard:
            count, before = self._counts(key, number)
            if before * (1 - now / expiry % 1) + count + amount > limit:
                return False
            if key not in self._windows and len(self._windows) >= MAX_KEYS:
                self._make_room(now)
            self._windows[key] = (number, count + amount, before, expiry)
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return (count before, its remaining seconds, count, its remaining seconds), as `limits` asks."""
        now = time.monotonic()
        with self._guard:
            count, before = self._counts(key, int(now // expiry))
        left = (1 - now / expiry % 1) * expiry
        return before, left if before else 0.0, count, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a key."""
        del expiry
        with self._guard:
            self._windows.pop(key, None)

    def _counts(self, key: str, number: int) -> tuple[int, int]:
        kept = self._windows.get(key)
        if kept is None or kept[0] < number - 1:
            return 0, 0
        return (kept[1], kept[2]) if kept[0] == number else (0, kept[1])

    def _make_room(self, now: float) -> None:
        gone = [key for key, kept in self._windows.items() if kept[0] + 2 <= now // kept[3]]
        # All still in force: the oldest tenth goes, so that a flood of keys costs time once in 5,000 hits.
        for key in gone or list(self._windows)[: MAX_KEYS // 10]:
            del self._windows[key]


class Limiter:
    """The rate limiter of one process."""

    def __init__(self, settings: Settings, *, on_fallback: Callable[[], object] | None = None) -> None:
        """Use the Redis of the settings if there is one; `on_fallback` is told each time it could not be used."""
        self._local_store = LocalCounters()
        self._local = SlidingWindowCounterRateLimiter(self._local_store)
        self._shared = SlidingWindowCounterRateLimiter(_redis(settings.redis_url)) if settings.redis_url else None
        self._on_fallback = on_fallback
        self._closed_until = 0.0
        self._pause = 1.0
        self._lock = threading.Lock()

    @property
    def blocking(self) -> bool:
        """Whether a hit may wait for the network (0.1 s at most): then it does not belong on the event loop."""
        return self._shared is not None

    def hit(self, key: str, rule: Rule, cost: int = 1) -> Verdict:
        """Count `cost` on `key` under `rule` and say whether that is allowed."""
        item = _item(rule)
        name = key if len(key) <= _LONGEST_KEY else _hashed(key)
        store: Any = self._local_store
        allowed = self._local.hit(item, name, cost=cost)
        if allowed and self._shared is not None:
            # A client's choice of words and a person's address do not stand readable in Redis.
            hidden = _hashed(key)
            if not self._shared_hit(item, hidden, cost):
                allowed, store, name = False, self._shared.storage, hidden
        try:
            window = store.get_sliding_window(item.key_for(name), rule.seconds)
        except Exception:  # noqa: BLE001 - only the hint is missing; the verdict stands
            window = (0, 0.0, rule.amount, 2.0 * rule.seconds)
        remaining, reset = _outlook(rule, *window, allowed=allowed)
        return Verdict(allowed, rule.amount, remaining, reset, rule.seconds)

    def _shared_hit(self, item: Any, name: str, cost: int) -> bool:
        shared = self._shared
        if shared is None or not self._may_try():
            return True
        try:
            allowed = shared.hit(item, name, cost=cost)
        except Exception as error:  # noqa: BLE001 - whatever a broken Redis does, the local count has already decided
            self._failed(error)
            return True
        self._pause, self._closed_until = 1.0, 0.0
        return allowed

    def _may_try(self) -> bool:
        if not self._closed_until:
            return True
        now = time.monotonic()
        if now < self._closed_until:
            return False
        with self._lock:
            # After the pause one thread tries; the others go on without for the length of another pause.
            if now < self._closed_until:
                return False
            self._closed_until = now + self._pause
        return True

    def _failed(self, error: Exception) -> None:
        from redis.exceptions import ConnectionError as Lost
        from redis.exceptions import ResponseError
        from redis.exceptions import TimeoutError as TooSlow

        if self._on_fallback is not None:
            self._on_fallback()
        if isinstance(error, ResponseError) and not isinstance(error, Lost | TooSlow):
            # Redis itself is well: a key of the wrong type, or a full memory, answers at once.
            return
        with self._lock:
            if not self._closed_until:
                get_logger(__name__).warning("redis_unavailable", error=type(error).__name__)
            self._closed_until = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)


@lru_cache(maxsize=1024)
def _item(rule: Rule) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(rule.amount, rule.seconds, namespace=rule.name)


def _outlook(rule: Rule, before: int, left: float, count: int, ends: float, *, allowed: bool) -> tuple[int, int]:
    # Arguments as `limits` hands them: `left` and `ends` are seconds until the window before, and this one, are gone.
    seconds = rule.seconds
    this_window = ends - seconds if ends > seconds else ends
    if allowed:
        return max(0, int(rule.amount - before * left / seconds - count)), max(1, ceil(this_window))
    if before and count < rule.amount:
        # The window before fades evenly; a place is free once only (amount - count - 1) of it still weigh.
        wait = left - seconds * (rule.amount - count - 1) / before
    else:
        # This window must end first and then fade until one place is free.
        wait = this_window + seconds * (1 - (rule.amount - 1) / max(count, 1))
    return 0, max(1, ceil(wait))


def _hashed(key: str) -> str:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _redis(url: str) -> Any:
    from limits.storage import RedisStorage
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options: dict[str, Any] = {
        "socket_timeout": _REDIS_SECONDS,
        "socket_connect_timeout": _REDIS_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    return RedisStorage(url, key_prefix="idp:limit", **options)
