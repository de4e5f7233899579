"""The conditions of a role binding: a second factor, a network, a time of the week. Data, judged here; nothing is evaluated as code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from idp.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MOST_NETWORKS = 50
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a request: when, from where, and how the subject was authenticated (RFC 8176 values)."""

    at: int  # seconds since the epoch
    source: str | None = None  # an address
    amr: Collection[str] = ()


def check(given: Any) -> dict[str, Any] | None:
    """Return conditions in their stored form, None for none; raises :class:`Invalid` that names the member at fault."""
    if given is None or given == {}:
        return None
    if not isinstance(given, dict):
        raise _invalid("conditions", "an object with mfa, networks or hours")
    unknown = given.keys() - {"mfa", "networks", "hours"}
    if unknown:
        raise _invalid(f"conditions.{min(map(str, unknown))[:50]}", "no condition that there is: mfa, networks, hours")
    found: dict[str, Any] = {}
    if given.get("mfa") is not None:
        if not isinstance(given["mfa"], bool):
            raise _invalid("conditions.mfa", "true or false")
        if given["mfa"]:
            found["mfa"] = True
    if given.get("networks") is not None:
        found["networks"] = _networks(given["networks"])
    if given.get("hours") is not None:
        found["hours"] = _hours(given["hours"])
    return found or None


def unmet(conditions: Mapping[str, Any] | None, context: Context) -> str | None:
    """Return the name of the first condition that does not hold, None when all do. What is not known does not hold."""
    if not conditions:
        return None
    if conditions.get("mfa") and "mfa" not in context.amr:
        return "mfa"
    networks = conditions.get("networks")
    if networks is not None and not _is_within(context.source, networks):
        return "networks"
    hours = conditions.get("hours")
    if hours is not None and not _is_open(hours, context.at):
        return "hours"
    return None


def _networks(given: Any) -> list[str]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_NETWORKS:
        raise _invalid("conditions.networks", f"a list of 1 to {MOST_NETWORKS} networks such as 192.0.2.0/24")
    found = []
    for each in given:
        try:
            found.append(str(ip_network(each if isinstance(each, str) else "")))
        except ValueError:
            raise _invalid("conditions.networks", "a list of networks such as 192.0.2.0/24 or 2001:db8::/32") from None
    return list(dict.fromkeys(found))


def _hours(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or given.keys() - {"from", "to", "days", "zone"}:
        raise _invalid("conditions.hours", "an object with from, to, days and zone")
    begin, end, zone = given.get("from"), given.get("to"), given.get("zone", "UTC")
    if not all(isinstance(each, str) and _CLOCK.fullmatch(each) for each in (begin, end)) or begin == end:
        raise _invalid("conditions.hours", "two different times such as 08:00 and 18:00, as from and to")
    days = given.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not all(isinstance(day, str) and day in DAYS for day in days):
        raise _invalid("conditions.hours.days", f"a list of days: {', '.join(DAYS)}")
    if not isinstance(zone, str) or not _is_zone(zone):
        raise _invalid("conditions.hours.zone", "a time zone such as Europe/Berlin")
    return {"from": begin, "to": end, "days": [day for day in DAYS if day in days], "zone": zone}


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        return False
    return True


def _is_within(source: str | None, networks: Collection[str]) -> bool:
    try:
        address = ip_address(source or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in ip_network(each) for each in networks)


def _is_open(hours: Mapping[str, Any], at: int) -> bool:
    """Say whether it is within the hours; those that go past midnight belong to the day on which they begin."""
    local = datetime.fromtimestamp(at, ZoneInfo(hours["zone"]))
    begin, end, clock = time.fromisoformat(hours["from"]), time.fromisoformat(hours["to"]), local.time()
    today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
    if begin < end:
        return today in hours["days"] and begin <= clock < end
    return (today in hours["days"] and clock >= begin) or (yesterday in hours["days"] and clock < end)


def _invalid(member: str, wanted: str) -> Invalid:
    return Invalid(f"{member} must be {wanted}.", errors={member: f"must be {wanted}"})
