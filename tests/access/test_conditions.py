"""Conditions of a binding: a second factor, a network, a time of the week."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from idp.access.conditions import Context, check, unmet
from idp.errors import Invalid

if TYPE_CHECKING:
    from access_world import World

MONDAY_NOON = int(datetime(2026, 11, 30, 12, 0, tzinfo=UTC).timestamp())
OFFICE = {"hours": {"from": "08:00", "to": "18:00", "days": ["monday", "friday"], "zone": "Europe/Berlin"}}


def test_a_condition_is_named(world: World) -> None:
    """Issue 6 (conditions): a binding whose condition does not hold is not followed, and the decision says which one it is."""
    world.role("editor", "document:write")
    binding = world.give("bob", "editor", conditions={"mfa": True})
    refused = world.decide("bob", "document:write", amr=["pwd"])
    assert (refused.allowed, refused.reason, refused.condition) == (False, "condition", "mfa")
    assert refused.binding_id == binding
    assert "a second factor" in refused.explanation
    assert world.decide("bob", "document:write", amr=["pwd", "otp", "mfa"]).allowed
    world.give("bob", "editor", resource="document:1")
    assert world.decide("bob", "document:write", "document:1", amr=["pwd"]).allowed


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("192.0.2.77", True),
        ("::ffff:192.0.2.77", True),
        ("2001:db8:1::5", True),
        ("198.51.100.1", False),
        ("192.0.2.300", False),
        ("", False),
        (None, False),
    ],
)
def test_networks(source: str | None, holds: bool) -> None:
    """Issue 6 (conditions, network): the source lies within one of the networks; one that is not known does not."""
    conditions = check({"networks": ["192.0.2.0/24", "2001:db8:1::/48"]})
    assert (unmet(conditions, Context(0, source)) is None) is holds


@pytest.mark.parametrize(
    ("shift", "holds"),
    [
        (0, True),
        (-5 * 3600 - 1, False),  # 06:59:59 UTC is 07:59:59 in Berlin
        (-5 * 3600, True),
        (5 * 3600 - 1, True),
        (5 * 3600, False),
        (24 * 3600, False),  # Tuesday
        (4 * 24 * 3600, True),  # Friday
    ],
)
def test_hours(shift: int, holds: bool) -> None:
    """Issue 6 (conditions, time window): from the first second to the one before the last, on the days, in the zone."""
    assert (unmet(check(OFFICE), Context(MONDAY_NOON + shift)) is None) is holds


def test_hours_past_midnight() -> None:
    """Issue 6 (conditions, time window): a night belongs to the day on which it begins."""
    night = check({"hours": {"from": "22:00", "to": "06:00", "days": ["monday"]}})
    for hour, holds in ((9, False), (10, True), (17.9, True), (18, False), (-13, False)):
        assert (unmet(night, Context(MONDAY_NOON + int(hour * 3600))) is None) is holds, hour


@pytest.mark.parametrize(
    ("given", "member"),
    [
        ([], "conditions"),
        ("mfa", "conditions"),
        ({"mfa": 1}, "conditions.mfa"),
        ({"python": "1"}, "conditions.python"),
        ({"networks": []}, "conditions.networks"),
        ({"networks": ["192.0.2.1/24"]}, "conditions.networks"),
        ({"networks": [5]}, "conditions.networks"),
        ({"networks": ["10.0.0.0/8"] * 51}, "conditions.networks"),
        ({"hours": {"from": "8:00", "to": "18:00"}}, "conditions.hours"),
        ({"hours": {"from": "08:00", "to": "08:00"}}, "conditions.hours"),
        ({"hours": {"from": "08:00", "to": "24:00"}}, "conditions.hours"),
        ({"hours": {"from": "٠8:00", "to": "18:00"}}, "conditions.hours"),
        ({"hours": {"from": "08:00", "to": "18:00", "days": ["Monday"]}}, "conditions.hours.days"),
        ({"hours": {"from": "08:00", "to": "18:00", "days": [{}]}}, "conditions.hours.days"),
        ({"hours": {"from": "08:00", "to": "18:00", "zone": "../etc/passwd"}}, "conditions.hours.zone"),
        ({"hours": {"from": "08:00", "to": "18:00", "zone": "Mars/Olympus"}}, "conditions.hours.zone"),
        ({"hours": {"from": "08:00", "to": "18:00", "eval": "1"}}, "conditions.hours"),
    ],
)
def test_what_is_no_condition(given: Any, member: str) -> None:
    """Security §1 rule 10: a condition that cannot be judged is refused where it is given, by the member's name."""
    with pytest.raises(Invalid) as refused:
        check(given)
    assert list(refused.value.errors) == [member]


def test_none_is_none() -> None:
    """Issue 6 (conditions): no condition, an empty object and a second factor that is not wanted are the same."""
    assert [check(each) for each in (None, {}, {"mfa": False}, {"mfa": None})] == [None] * 4
    assert unmet(None, Context(0)) is None
