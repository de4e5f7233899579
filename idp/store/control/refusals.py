"""Refusals of requests whose tenant is not known, and of the front before it knows one; kept for a week."""

from __future__ import annotations

from idp.store.refusal_table import RefusalTable

_refusals = RefusalTable("control")
refusals = _refusals.table
add, find, trim, purge_expired = _refusals.add, _refusals.find, _refusals.trim, _refusals.purge_expired
