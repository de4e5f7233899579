"""Databases: reading, durable writing, the current tenant's database, and the store that opens them.

A write is a function of a connection (``work``) that runs inside one transaction and is durable when :meth:`Database.writing`
returns; on SQLite by :mod:`idp.store.group_commit`, on PostgreSQL in a transaction of its own.

A refusal must not undo its own defence: when ``work`` raises, its changes are rolled back, but if the exception carries a
``defence`` (a function of a connection, such as revoking a token family) that is committed before the exception goes on.

This module must not know tenants, only their databases; :mod:`idp.tenancy` sets :data:`current_database`.
"""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import exc

from idp.errors import Conflict, NoCurrentTenant
from idp.store.connections import Connections, Reading, command
from idp.store.engines import allow_open_files
from idp.store.group_commit import GroupCommit
from idp.store.location import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from idp.settings import Settings

T = TypeVar("T")

db = SQLAlchemy()
current_database: ContextVar[Database] = ContextVar("current_database")

IDLE = 60.0  # seconds after which an unused tenant's connections are closed when another tenant's database is opened
FILES_A_TENANT = (
    8  # that an open SQLite database needs: itself, its log, its index, the two of the lock, some connections more
)


def current() -> Database:
    """Return the current tenant's database; raises :class:`NoCurrentTenant` outside a tenant."""
    try:
        return current_database.get()
    except LookupError:
        message = "a tenant's data was asked for outside a tenant"
        raise NoCurrentTenant(message) from None


class NestedWriting(RuntimeError):
    """``work`` wrote to its own database by another transaction: a defect that would wait for itself for ever."""


class Database:
    """One database: the control database or a tenant's."""

    def __init__(self, url: str, *, cache_kib: int = 88) -> None:
        """Open nothing yet; the first use connects."""
        self.url = url
        self.connections = Connections(url, cache_kib=cache_kib)
        self.engine = self.connections.engine
        self.kind = self.engine.dialect.name
        self.blocking = self.kind != "sqlite"
        self.used_at = time.monotonic()
        self.is_kept = True  # until its store closes it for good; who holds it may go on, but is to ask the store anew
        self.make_room: Callable[[float], None] | None = None  # closes idle connections to other databases of the store
        # A tenant's: notes in the control database that a kind of job has work here from a moment on.
        self.mark_work: Callable[[str, int], None] | None = None
        self._writers: set[int] = set()  # threads that are inside a transaction of this database
        self._group = None if self.blocking else GroupCommit(self.connections, self._writers)

    def reading(self) -> Reading:
        """Return a context manager that yields a connection for SELECTs."""
        return Reading(self)

    def writing(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction; what it wrote is durable on return.

        ``work`` must be short (no hashing, signing or network) and may run on another thread.
        Raises what ``work`` raises, :class:`Conflict` for a key that is taken, or :class:`StorageUnavailable` when nothing
        could be written.
        """
        if threading.get_ident() in self._writers:
            raise NestedWriting("a transaction cannot contain another one of the same database")
        return self._write_alone(work) if self._group is None else self._group.write(work)

    def use(self) -> bool:
        """Note that the database is used now, and say whether its store still keeps it.

        The time is all that the store orders its databases by. Links between them would be touched here: with many tenants
        none of them is in the processor's caches.
        """
        self.used_at = time.monotonic()
        return self.is_kept

    def close(self) -> None:
        """Close idle connections and the lock's files; whoever still holds the object may go on using it."""
        self.connections.close()
        if self._group is not None:
            self._group.close()

    def _write_alone(self, work: Callable[[Connection], T]) -> T:
        me = threading.get_ident()
        with self.reading() as connection:
            command(connection, "BEGIN")
            self._writers.add(me)
            try:
                result = work(connection)
                command(connection, "COMMIT")
            except exc.OperationalError:
                raise
            except exc.IntegrityError as error:
                command(connection, "ROLLBACK")
                raise Conflict from error
            except BaseException as error:
                command(connection, "ROLLBACK")
                defence = getattr(error, "defence", None)
                if defence is not None:
                    command(connection, "BEGIN")
                    defence(connection)
                    command(connection, "COMMIT")
                raise
            finally:
                self._writers.discard(me)
            return result


class Store:
    """The databases of one process: the control database and the tenants' that are open."""

    def __init__(self, settings: Settings) -> None:
        """Open the control database; tenants' databases are opened on first use."""
        self.settings = settings
        allow_open_files(settings.open_tenants * FILES_A_TENANT)
        self.control = Database(settings.control_url, cache_kib=2048)
        self._open: dict[str, Database] = {}
        self._guard = threading.Lock()

    def tenant(self, tenant_id: str, url: str) -> Database:
        """Return a tenant's database; at most ``open_tenants`` stay open, the least recently used is closed."""
        found = self._open.get(tenant_id)
        if found is None:
            return self._open_tenant(tenant_id, url)
        found.use()
        return found

    def _open_tenant(self, tenant_id: str, url: str) -> Database:
        self.close_idle(IDLE)
        made = Database(locate(self.settings, url))
        made.make_room = self.close_idle
        made.mark_work = partial(self._mark_work, tenant_id)
        with self._guard:
            found = self._open.setdefault(tenant_id, made)
            self._trim()
        return found

    def _mark_work(self, tenant_id: str, kind: str, due: int) -> None:
        from idp.store.control import pending_work  # whose table is declared by this module's `db`

        self.control.writing(lambda conn: pending_work.mark(conn, tenant_id, kind, due))

    def close_idle(self, seconds: float) -> None:
        """Close the idle connections to tenants' databases that nobody has used for ``seconds``; they stay open as objects."""
        before = time.monotonic() - seconds
        for database in list(self._open.values()):
            if database.used_at <= before and database.connections.are_idle():
                database.connections.close()

    def opened(self, tenant_id: str) -> Database | None:
        """Return a tenant's database if it is open; whoever keeps another object has one that was closed to make room."""
        return self._open.get(tenant_id)

    def forget(self, tenant_id: str) -> None:
        """Close a tenant's database, because it was deleted or moved."""
        with self._guard:
            found = self._open.pop(tenant_id, None)
        if found is not None:
            found.is_kept = False
            found.close()

    def close(self) -> None:
        """Close every database."""
        with self._guard:
            for database in self._open.values():
                database.is_kept = False
                database.close()
            self._open.clear()
        self.control.close()

    def _trim(self) -> None:
        while len(self._open) > self.settings.open_tenants:
            oldest = self._open.pop(min(self._open, key=lambda tenant_id: self._open[tenant_id].used_at))
            oldest.is_kept = False
            oldest.close()

    def __enter__(self) -> Self:
        """Use the store as a context manager that closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every database."""
        self.close()
