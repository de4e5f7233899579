"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PASSING = (502, 503, 504)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and for how long at most between two attempts."""

    times: int = 3
    longest: float = 30.0
    first: float = 0.25

    def after_failure(self, attempt: int, error: httpx.TransportError, *, is_idempotent: bool) -> float | None:
        """Return the seconds to wait after a request without an answer; None: give up."""
        if attempt >= self.times or not (is_idempotent or isinstance(error, _NEVER_ARRIVED)):
            return None
        return self._pause(attempt)

    def after_answer(
        self, attempt: int, status: int, retry_after: float | None, *, is_idempotent: bool
    ) -> float | None:
        """Return the seconds to wait after an answer; None: it stands."""
        # A request that is answered 429 was not done, whatever its method.
        if attempt >= self.times or not (status == 429 or (is_idempotent and status in _PASSING)):
            return None
        if retry_after is None:
            return self._pause(attempt)
        # All who were sent away come back at the same second, unless each adds a little.
        return retry_after + random.uniform(0, 0.25) if retry_after <= self.longest else None  # noqa: S311

    def _pause(self, attempt: int) -> float:
        most = min(self.longest, self.first * 2**attempt)
        return random.uniform(most / 2, most)  # noqa: S311


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After (RFC 9110 §10.2.3), which may also name a date."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), 1e9)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
