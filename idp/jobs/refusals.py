"""Finding why a request was refused, by its correlation id: in the databases and in what is not yet drained."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp import spool
from idp.errors import Refusal, StorageUnavailable
from idp.jobs import spool_records
from idp.store.control import refusals as control_refusals
from idp.store.control import tenants
from idp.store.tenant import refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from idp.store.db import Store

LONGEST_ID = 64
MOST_TENANTS = 10_000  # that are looked through


@dataclass(frozen=True, slots=True)
class FoundRefusal:
    """A refusal record with the request it belongs to; ``tenant_id`` is None when no tenant was known."""

    correlation_id: str
    tenant_id: str | None
    tenant_slug: str | None
    at: int
    error_code: str
    refusal: Refusal
    method: str
    path: str
    client_id: str | None
    source: str | None


def find_refusal(
    store: Store, spool_directory: Path, correlation_id: str, tenant_slug: str | None = None
) -> list[FoundRefusal]:
    """Return the refusals of one request, oldest first; mostly one, none for an id that is unknown or older than a week.

    Looks into the spool of this node, the control database, then each tenant (or the one named), and leaves out a tenant
    whose database cannot be reached. Letters may be typed small, and O, I and L for the digits they look like.
    """
    wanted = _as_written(correlation_id)
    if not wanted:
        return []
    spooled = list(_in_spool(spool_directory, wanted))  # first: what is drained meanwhile is in a database then
    with store.control.reading() as conn:
        places = {row.id: row for row in tenants.list_all(conn)}
        found = [_from_row(row, None, None) for row in control_refusals.find(conn, wanted)]
    slugs = {tenant_id: row.slug for tenant_id, row in places.items()}
    found += [_from_record(record, slugs) for record in spooled]
    for row in list(places.values())[:MOST_TENANTS]:
        if found or row.state not in ("active", "suspended") or tenant_slug not in (None, row.slug):
            continue
        try:
            with store.tenant(row.id, row.database_url).reading() as conn:
                found += [_from_row(each, row.id, row.slug) for each in refusals.find(conn, wanted)]
        except StorageUnavailable:
            continue
    return sorted(dict.fromkeys(found), key=lambda each: each.at)


def _as_written(typed: str) -> str:
    """Return the id as it was made, empty for what cannot be one."""
    plain = typed.strip().upper().replace("-", "").translate(str.maketrans("OIL", "011"))
    return plain if plain.isascii() and plain.isalnum() and len(plain) <= LONGEST_ID else ""


def _in_spool(directory: Path, wanted: str) -> Iterator[dict[str, Any]]:
    needle = f'"{wanted}"'.encode("ascii")
    for path in spool.files(directory):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # drained meanwhile: it is in a database
            continue
        try:
            place, following = -1, 0
            while place != following:
                place = following
                lines, following = spool.read_lines(fd, place)
                for _, line in lines:
                    record = spool_records.parse(line) if needle in line else None
                    if record is not None and record["is"] == "refusal" and record.get("correlation_id") == wanted:
                        yield record
        finally:
            os.close(fd)


def _from_record(record: dict[str, Any], slugs: dict[str, str]) -> FoundRefusal:
    row = spool_records.refusal_row(record)
    return _made(row, record.get("tenant"), slugs.get(record.get("tenant") or ""))


def _from_row(row: Any, tenant_id: str | None, slug: str | None) -> FoundRefusal:
    names = (
        "correlation_id",
        "at",
        "error_code",
        "check",
        "spec",
        "reason",
        "fix",
        "received",
        "registered",
        "method",
        "path",
    )
    return _made({name: getattr(row, name) for name in (*names, "client_id", "source")}, tenant_id, slug)


def _made(row: dict[str, Any], tenant_id: str | None, slug: str | None) -> FoundRefusal:
    why = Refusal(row["check"], row["spec"], row["reason"], row["fix"], row["received"], tuple(row["registered"]))
    told = {name: row[name] for name in ("correlation_id", "at", "error_code", "method", "path", "client_id", "source")}
    return FoundRefusal(tenant_id=tenant_id, tenant_slug=slug, refusal=why, **told)
