"""Audit checkpoints of the tenant: signed marks along its audit chain, copied to the control database."""

from __future__ import annotations

from idp.store.checkpoint_table import CheckpointTable

_checkpoints = CheckpointTable("tenant")
audit_checkpoints = _checkpoints.table
last, after, add = _checkpoints.last, _checkpoints.after, _checkpoints.add
