"""Idempotency keys of what is made in a tenant."""

from __future__ import annotations

from idp.store.idempotency_table import IdempotencyTable

_keys = IdempotencyTable("tenant")
idempotency_keys = _keys.table
find, take, purge_expired = _keys.find, _keys.take, _keys.purge_expired
