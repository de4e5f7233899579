"""A tenant's own wording of mails, by template, language and part; an empty language means every one that has none of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment, text, upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

PARTS = ("subject", "text", "html")

mail_templates = db.Table(
    "mail_templates",
    identifier("name"),
    identifier("language"),
    identifier("part"),
    text("body"),
    moment("updated_at"),
    bind_key="tenant",
)


def put(conn: Connection, name: str, language: str, part: str, body: str) -> None:
    """Store the wording of a part, in place of what was there."""
    values = {"body": body, "updated_at": now()}
    key = [mail_templates.c.name, mail_templates.c.language, mail_templates.c.part]
    statement = upsert(conn, mail_templates).values(name=name, language=language, part=part, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=key, set_=values))


def list_of(conn: Connection, name: str) -> Sequence[Row[Any]]:
    """Return every wording of one template."""
    return conn.execute(select(mail_templates).where(mail_templates.c.name == name)).all()


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every wording, in order."""
    return conn.execute(select(mail_templates).order_by(*mail_templates.primary_key)).all()


def remove(conn: Connection, name: str, language: str | None, part: str | None) -> int:
    """Forget wordings of a template: of one language or all, of one part or all; returns how many that were."""
    here = mail_templates.c.name == name
    if language is not None:
        here &= mail_templates.c.language == language
    if part is not None:
        here &= mail_templates.c.part == part
    return conn.execute(delete(mail_templates).where(here)).rowcount
