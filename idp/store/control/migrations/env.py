"""Alembic's environment for the control schema: works on the connection it is handed, inside the caller's transaction."""

from __future__ import annotations

from alembic import context

from idp.store import tables
from idp.store.db import db

tables.load()
connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=db.metadatas["control"], transactional_ddl=False, render_as_batch=True
)
context.run_migrations()
