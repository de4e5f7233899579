"""Control state: single values of the installation, by name (positions of spool files, the schema's age)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from idp.store.db import db
from idp.store.mixins import document, identifier, upsert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

control_state = db.Table("control_state", identifier("name"), document("value", nullable=True), bind_key="control")


def get(conn: Connection, name: str, default: Any = None) -> Any:
    """Return a value, or ``default``."""
    found = conn.execute(select(control_state.c.value).where(control_state.c.name == name)).first()
    return default if found is None else found.value


def put(conn: Connection, name: str, value: Any) -> None:
    """Store a value."""
    statement = upsert(conn, control_state).values(name=name, value=value)
    conn.execute(statement.on_conflict_do_update(index_elements=[control_state.c.name], set_={"value": value}))


def remove(conn: Connection, name: str) -> None:
    """Forget a value."""
    conn.execute(delete(control_state).where(control_state.c.name == name))
