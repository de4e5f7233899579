"""Idempotency keys of requests that make tenants: taken in the transaction in which a tenant begins to exist."""

from __future__ import annotations

from idp.store.idempotency_table import IdempotencyTable

_keys = IdempotencyTable("control")
idempotency_keys = _keys.table
find, take, purge_expired = _keys.find, _keys.take, _keys.purge_expired
