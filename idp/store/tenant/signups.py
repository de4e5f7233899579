"""Sign-ups under way: who has typed what, and waits for the code that was sent to the address.

A row of an address that has an account already is like any other, but no code is the right one for it. Guesses are counted
in the row, atomically, so that parallel ones share their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from idp.clock import now
from idp.store.db import db
from idp.store.mixins import delete_some, document, identifier, moment, number, text

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Row

signups = db.Table(
    "signups",
    identifier(),
    text("interaction_id"),
    text("browser_hash"),
    text("address"),
    text("password_hash"),
    document("claims"),
    text("terms_version", nullable=True),  # what was accepted
    text("language", nullable=True),  # of the mails
    text("code_hash"),
    moment("code_expires_at"),
    number("guesses"),
    number("sendings"),
    moment("sent_at"),
    moment("created_at"),
    moment("expires_at", index=True),
    moment("used_at", nullable=True),
    bind_key="tenant",
)


def create(conn: Connection, **values: Any) -> None:
    """Insert a sign-up whose first code is sent now; the columns by keyword."""
    at = now()
    row = {"guesses": 0, "sendings": 1, "sent_at": at, "created_at": at, "used_at": None, **values}
    conn.execute(insert(signups).values(**row))


def find(conn: Connection, signup_id: str) -> Row[Any] | None:
    """Return a sign-up, or None; used and expired ones too."""
    return conn.execute(select(signups).where(signups.c.id == signup_id)).first()


def guess(conn: Connection, signup_id: str, most: int) -> Row[Any] | None:
    """Count one guess and return the row with it; None when there is none left, or nothing to guess any more."""
    at = now()
    here = (
        (signups.c.id == signup_id)
        & (signups.c.guesses < most)
        & signups.c.used_at.is_(None)
        & (signups.c.code_expires_at > at)
        & (signups.c.expires_at > at)
    )
    counted = update(signups).where(here).values(guesses=signups.c.guesses + 1).returning(signups)
    return conn.execute(counted).first()


def consume(conn: Connection, signup_id: str) -> bool:
    """Use a sign-up up; of any number of callers one is told True."""
    here = (signups.c.id == signup_id) & signups.c.used_at.is_(None)
    return conn.execute(update(signups).where(here).values(used_at=now())).rowcount == 1


def send_again(
    conn: Connection, signup_id: str, code_hash: str, *, lifetime: int, most: int, pause: int, most_guesses: int
) -> bool:
    """Give a sign-up another code; False when it was sent too often or too lately, or when no guess is left."""
    at = now()
    here = (
        (signups.c.id == signup_id)
        & (signups.c.sendings < most)
        & (signups.c.sent_at <= at - pause)
        & (signups.c.guesses < most_guesses)
        & signups.c.used_at.is_(None)
        & (signups.c.expires_at > at)
    )
    values = {"code_hash": code_hash, "code_expires_at": at + lifetime, "sent_at": at}
    sent = update(signups).where(here).values(sendings=signups.c.sendings + 1, **values)
    return conn.execute(sent).rowcount == 1


def purge_expired(conn: Connection, before: int, limit: int = 1000) -> int:
    """Delete sign-ups that expired before a moment, at most ``limit`` at once."""
    return delete_some(conn, signups, signups.c.expires_at < before, limit)
