"""Schema versions: from nothing to head, twice, two at once, killed half-way, and newer than this release."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from databases import environment
from serving import rows, scalar
from sqlalchemy import create_engine

from idp.errors import StorageUnavailable
from idp.store import migrate, tables
from idp.store.db import Database, db

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = ["control", "tenant"]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without a schema."""
    with environment(request.param, is_bare=True) as environ:
        url = environ.get("IDP_DATABASE_URL")
        if url is None:
            (tmp_path / "empty.db").touch()
            url = f"sqlite:///{tmp_path / 'empty.db'}"
        made = Database(url)
        yield made
        made.close()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_newest_name_is_the_newest_version(schema: str) -> None:
    """Architecture §4: the last name is taken for the newest version; with another one every database would be behind for ever."""
    folder = Path(migrate.__file__).parent / schema / "migrations"
    linked = [each.revision for each in ScriptDirectory(str(folder)).walk_revisions()]
    assert linked[0] == migrate.head(schema)
    assert sorted(linked) == migrate.versions(schema)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_migrations_make_what_the_code_declares(empty: Database, schema: str) -> None:
    """Security S115: from nothing to head gives exactly the tables, columns, indexes and keys that the store declares."""
    tables.load()
    migrate.upgrade(empty, schema)
    with create_engine(empty.url).connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "target_metadata": db.metadatas[schema]})
        assert compare_metadata(context, db.metadatas[schema]) == []


@pytest.mark.parametrize("schema", SCHEMAS)
def test_upgrading_twice_changes_nothing(empty: Database, schema: str) -> None:
    """Security S115: a second run is no error and keeps the rows."""
    assert migrate.version(empty) is None
    migrate.check(empty, schema)
    table, columns = (
        ("control_state", "(name, value) VALUES ('kept', '1')")
        if schema == "control"
        else ("revoked_tokens", "VALUES ('kept', 1)")
    )
    rows(empty.url, f"INSERT INTO {table} {columns}")
    for _ in range(2):
        migrate.upgrade(empty, schema)
        migrate.check(empty, schema)
    assert scalar(empty.url, f"SELECT count(*) FROM {table}") == 1
    assert migrate.version(empty) == migrate.head(schema)


UPGRADE = """
import sys
from idp.store import migrate
from idp.store.db import Database
migrate.check(Database(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("schema", SCHEMAS)
def test_two_nodes_upgrade_at_once(empty: Database, schema: str) -> None:
    """Security S115: nodes that start an upgrade together take turns: one does it, all go on."""
    nodes = [
        subprocess.Popen([sys.executable, "-c", UPGRADE, empty.url, schema], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [(node.wait(60), node.communicate()[1]) for node in nodes] == [(0, "")] * 3
    assert rows(empty.url, "SELECT version_num FROM alembic_version") == [{"version_num": migrate.head(schema)}]


KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from idp.store import migrate
from idp.store.db import Database
seen = []
@event.listens_for(Engine, "before_cursor_execute")
def count(conn, cursor, statement, *rest):
    if statement.lstrip().startswith("CREATE TABLE"):
        seen.append(statement)
        if len(seen) == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
migrate.check(Database(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("step", [2, 5])
def test_an_upgrade_killed_half_way_is_done_again(empty: Database, step: int) -> None:
    """Security S115: SIGKILL in the middle of a migration leaves nothing of it; the next start does it whole."""
    dead = subprocess.run([sys.executable, "-c", KILLED, empty.url, "control", str(step)], check=False, timeout=60)
    assert dead.returncode == -signal.SIGKILL
    migrate.check(empty, "control")
    assert migrate.version(empty) == migrate.head("control")


def test_a_newer_schema_is_refused(any_house) -> None:
    """Security §3, rolling upgrade: a node refuses to start on a schema it does not know, and an old one is not ready."""
    house = any_house
    rows(house.settings.control_url, "UPDATE alembic_version SET version_num = '9999_future'")
    with pytest.raises(StorageUnavailable, match="newer release"):
        house.restart()
    assert house.installation.health.ready().status == 503
    rows(house.settings.control_url, "UPDATE alembic_version SET version_num = ?", migrate.head("control"))
    house.restart()
    assert house.installation.health.ready().status == 200
