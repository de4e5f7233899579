"""Refusals of a tenant: why each refused request was refused, found by its correlation id; kept for a week."""

from __future__ import annotations

from idp.store.refusal_table import RefusalTable

_refusals = RefusalTable("tenant")
refusals = _refusals.table
add, find, trim, purge_expired = _refusals.add, _refusals.find, _refusals.trim, _refusals.purge_expired
reasons = _refusals.reasons
