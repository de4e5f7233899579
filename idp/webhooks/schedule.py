"""When a delivery is tried: the schedule that Standard Webhooks recommends, ten attempts in three days and a bit."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400
# Seconds to the next attempt, after the first one and so on.
PAUSES = (5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
ATTEMPTS = len(PAUSES) + 1
LIFETIME = 5 * DAY  # seconds until a delivery is given up, whatever kept it from being tried
FAILING = 5 * DAY  # seconds for which an address may fail until it is disabled
FEWEST_FAILURES = ATTEMPTS + 2  # attempts that must have failed before that: more than one message


def pause_after(attempts: int, most_attempts: int) -> int:
    """Return the seconds to the next attempt, behind so many of at most so many; a replay begins from the start."""
    place = ATTEMPTS - 1 - (most_attempts - attempts)
    return PAUSES[min(max(place, 0), len(PAUSES) - 1)]
