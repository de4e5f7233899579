"""Audit checkpoints, the copies in the control database: what is cut off in a tenant's database is still known here."""

from __future__ import annotations

from idp.store.checkpoint_table import CheckpointTable

_checkpoints = CheckpointTable("control")
audit_checkpoints = _checkpoints.table
last, after, copy, delete_of = _checkpoints.last, _checkpoints.after, _checkpoints.copy, _checkpoints.delete_of
