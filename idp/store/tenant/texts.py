"""A tenant's own texts: what a sentence of the pages and mails is to read instead, by language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import identifier, moment, text, upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Row

texts = db.Table(
    "texts",
    identifier("language"),
    identifier("digest"),  # of the sentence: databases set bounds to what a key holds
    db.Column("form", db.Integer, primary_key=True, autoincrement=False),  # plural form; 0 where there is one only
    text("sentence"),
    text("text"),
    moment("updated_at"),
    bind_key="tenant",
)


def list_all(conn: Connection) -> Sequence[Row[Any]]:
    """Return every text, by language and sentence."""
    return conn.execute(select(texts).order_by(texts.c.language, texts.c.sentence, texts.c.form)).all()


def put(conn: Connection, **values: Any) -> None:
    """Insert a text, or replace it; the columns by keyword."""
    statement = upsert(conn, texts).values(updated_at=now(), **values)
    changed = {name: statement.excluded[name] for name in ("text", "updated_at")}
    conn.execute(statement.on_conflict_do_update(index_elements=["language", "digest", "form"], set_=changed))


def remove(conn: Connection, language: str, digest: str | None = None) -> int:
    """Delete the texts of a sentence, or of all, in a language; returns how many there were."""
    here = texts.c.language == language
    if digest is not None:
        here &= texts.c.digest == digest
    return conn.execute(delete(texts).where(here)).rowcount
