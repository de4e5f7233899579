"""Schema versions: two Alembic folders, a quick look at a database's version, and upgrading it under a lock.

``alembic.context`` is global to a process, so upgrades of one process take turns; ``idp db upgrade --jobs`` uses processes.
Migrations are expand and contract: a release serves the schema of the release before it, and refuses one that is newer.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc

from idp.errors import StorageUnavailable
from idp.language import N_

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from idp.store.db import Database

_lock = threading.Lock()
_heads: dict[str, str] = {}
# PostgreSQL: the advisory lock that two nodes which start an upgrade at once take turns on.
_ADVISORY_LOCK = 7_264_110


def _folder(kind: str) -> Path:
    return Path(__file__).parent / kind / "migrations"


def _config(kind: str) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder(kind)).replace("%", "%%"))
    return config


def head(kind: str) -> str:
    """Return the newest version of the ``control`` or ``tenant`` schema: the last file name in its folder, which are numbered."""
    if kind not in _heads:
        _heads[kind] = max(path.stem for path in (_folder(kind) / "versions").glob("[0-9]*.py"))
    return _heads[kind]


def versions(kind: str) -> list[str]:
    """Return every version, oldest first."""
    return sorted(path.stem for path in (_folder(kind) / "versions").glob("[0-9]*.py"))


def version(database: Database) -> str | None:
    """Return the version of a database's schema; None when it has none yet."""
    try:
        with database.reading() as conn:
            return conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except exc.ProgrammingError:  # PostgreSQL: no such table
        return None
    except StorageUnavailable as error:  # SQLite says the same as an operational error
        if "no such table" in str(error.__cause__):
            return None
        raise


def upgrade(database: Database, kind: str, target: str = "head") -> None:
    """Bring a database to ``target``; does nothing when it is there. Two processes at once: one does it, the other waits."""
    from alembic import command

    def work(conn: Connection) -> None:
        conn.exec_driver_sql("SELECT 1")  # SQLAlchemy must know of our transaction, else Alembic ends it with its own
        if database.kind == "postgresql":
            # The other node's upgrade, and this one's statements, may take longer than a request may.
            conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
            conn.exec_driver_sql("SET LOCAL lock_timeout = 0")
            conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        config = _config(kind)
        config.attributes["connection"] = conn
        command.upgrade(config, target)

    with _lock:
        database.writing(work)


def check(database: Database, kind: str) -> None:
    """Upgrade a database that is behind; refuse one that is ahead of this release with :class:`StorageUnavailable`."""
    found = version(database)
    if found == head(kind):
        return
    if found is not None and found not in versions(kind):
        title = N_("The database was written by a newer release of this program; upgrade this node.")
        raise StorageUnavailable(title, retry_after=30)
    upgrade(database, kind)
