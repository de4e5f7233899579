"""The conditions of a role binding: a second factor, a network, a time of the week, properties of who asks for what.

Data, judged here; nothing is evaluated as code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, time
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from idp.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MOST_NETWORKS = 50
MOST_PROPERTIES, MOST_VALUES, LONGEST_VALUE = 20, 100, 500
ENTITIES = ("subject", "resource", "action", "context")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a request: when, from where, and how the subject was authenticated (RFC 8176 values)."""

    at: int  # seconds since the epoch
    source: str | None = None  # an address
    amr: Collection[str] = ()
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by entity, as whoever asks states them


def check(given: Any) -> dict[str, Any] | None:
    """Return conditions in their stored form, None for none; raises :class:`Invalid` that names the member at fault."""
    if given is None or given == {}:
        return None
    if not isinstance(given, dict):
        raise _invalid("conditions", "an object with mfa, networks or hours")
    unknown = given.keys() - {"mfa", "networks", "hours", "properties"}
    if unknown:
        named = f"conditions.{min(map(str, unknown))[:50]}"
        raise _invalid(named, "a condition that there is: mfa, networks, hours, properties")
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
    if given.get("properties"):
        found["properties"] = _properties(given["properties"])
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
    return next(
        (name for name, wish in conditions.get("properties", {}).items() if not _is_so(name, wish, context.properties)),
        None,
    )


def needs_properties(conditions: Mapping[str, Any] | None) -> bool:
    """Say whether a condition is about properties, which may have to be looked up."""
    return bool(conditions and conditions.get("properties"))


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


def _properties(given: Any) -> dict[str, Any]:
    """Return conditions on properties: ``entity.name`` → ``in`` or ``not_in`` a list of texts, numbers, true and false."""
    if not isinstance(given, dict) or not 1 <= len(given) <= MOST_PROPERTIES:
        raise _invalid("conditions.properties", f"an object with 1 to {MOST_PROPERTIES} properties")
    found: dict[str, Any] = {}
    for name, wish in given.items():
        entity, dot, member = name.partition(".")
        if entity not in ENTITIES or not dot or not 1 <= len(member) <= 100 or not member.isprintable():
            raise _invalid("conditions.properties", f"named entity.property, the entity one of {', '.join(ENTITIES)}")
        if not isinstance(wish, dict) or len(wish) != 1 or wish.keys() - {"in", "not_in"}:
            raise _invalid("conditions.properties", 'objects with "in" or "not_in"')
        ((how, values),) = wish.items()
        if not isinstance(values, list) or not 1 <= len(values) <= MOST_VALUES or not all(map(_is_value, values)):
            raise _invalid("conditions.properties", f"lists of 1 to {MOST_VALUES} texts, numbers, true or false")
        found[name] = {how: values}
    return found


def _is_value(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_VALUE and value.isprintable()
    return isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < 2**53)


def _is_so(name: str, wish: Mapping[str, Any], properties: Mapping[str, Mapping[str, Any]]) -> bool:
    """Say whether a property is as it shall be. One that is not there is in no list; true is not 1."""
    entity, _, member = name.partition(".")
    stated = properties.get(entity, {})
    has = member in stated
    value = stated.get(member)
    if "in" in wish:
        return has and any(type(value) is type(each) and value == each for each in wish["in"])
    return not has or not any(type(value) is type(each) and value == each for each in wish["not_in"])


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
