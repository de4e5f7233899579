"""A thousand tenants stay small: open databases, files and connections are bounded, whichever door requests come by."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from databases import environment
from house import House
from serving import rows
from sqlalchemy.engine import make_url

from idp import opaque
from idp.store import connections
from idp.store.engines import allow_open_files
from idp.web.http import Headers, Request

if TYPE_CHECKING:
    import pytest

    from idp.tenancy.tenant import Tenant


def open_files(house: House) -> set[str]:
    """The tenants' databases that this process has open (itself, without its log and locks)."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = descriptor.readlink()
        except OSError:
            continue
        if target.parent == house.settings.data_dir.resolve() / "tenants" and target.suffix == ".db":
            found.add(target.name)
    return found


def ask(house: House, tenant: Tenant) -> int:
    """One introspection through the front's door if it is open, else through the router: as a served request goes."""
    headers = Headers.of(
        [("host", tenant.host), ("authorization", "Basic eDp5"), ("content-type", "application/x-www-form-urlencoded")]
    )
    request = Request(
        "POST",
        "http",
        tenant.host,
        f"{tenant.base_path}/introspect",
        "",
        headers,
        b"token=x",
        "127.0.0.1",
        opaque.new_correlation_id(),
    )
    door = house.router.door("POST", tenant.host, request.path)
    return (door.handle(request) if door is not None else house.router.respond(request)).status


def test_open_tenants_are_bounded_at_both_doors(tmp_path: Path) -> None:
    """Architecture §4: at most IDP_OPEN_TENANTS databases stay open, also when every tenant's server is still at hand."""
    house = House(tmp_path / "var", IDP_OPEN_TENANTS="3")
    tenants = [house.tenant(f"t{i}") for i in range(8)]
    for _ in range(3):
        for tenant in tenants:
            assert [ask(house, tenant) for _ in range(3)] == [401, 401, 401]
            gc.collect()
            assert len(open_files(house)) <= 3
            assert Path(tenant.database_url).name in open_files(house)
    house.close()
    gc.collect()
    assert open_files(house) == set()


def test_engines_of_a_kind_share_what_is_large(any_house: House) -> None:
    """Architecture §4: one dialect and one cache of compiled statements for all databases of a kind."""
    engines = [any_house.database(any_house.tenant(f"t{i}")).engine for i in range(3)]
    assert len({id(engine.dialect) for engine in engines}) == 1
    assert len({id(engine._compiled_cache) for engine in engines}) == 1
    assert len({engine.url for engine in engines}) == 3


MANY = """
import os, resource, shutil, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from idp.settings import Settings
from idp.store.db import Store
settings = Settings.from_env(os.environ)
store = Store(settings)
for i in range(200):
    copy = f"{sys.argv[2]}/{i}.db"
    shutil.copyfile(sys.argv[1], copy)
    store.tenant(str(i), f"sqlite:///{copy}").writing(lambda conn: conn.exec_driver_sql("DELETE FROM replays"))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_more_databases_than_files_at_first(house: House, tmp_path: Path) -> None:
    """Architecture §4: a process started with a low limit of open files raises it, as far as the system allows."""
    template = house.tenant("acme").database_url.removeprefix("sqlite:///")
    house.installation.store.close()
    (tmp_path / "copies").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", MANY, template, str(tmp_path / "copies")],
        env={"IDP_DATA_DIR": str(house.settings.data_dir)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) >= 512 * 4


def test_the_limit_of_files_is_never_lowered() -> None:
    """Architecture §4: who has allowed more keeps it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_open_files(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= before[0] or before[0] == resource.RLIM_INFINITY


def test_a_full_server_gets_idle_connections_back(tmp_path: Path) -> None:
    """Security S113: 7 tenants used in turn work on a PostgreSQL that allows this role 5 connections."""
    with environment("postgresql", is_bare=True) as environ:
        url = make_url(environ["IDP_DATABASE_URL"])
        role = f"{url.database}_few"
        rows(environ["IDP_DATABASE_URL"], f'CREATE ROLE "{role}" LOGIN CREATEDB')
        rows(environ["IDP_DATABASE_URL"], f'ALTER DATABASE "{url.database}" OWNER TO "{role}"')
        house = House(tmp_path / "var", IDP_DATABASE_URL=url.set(username=role).render_as_string(hide_password=False))
        try:
            tenants = [house.tenant(f"t{i}") for i in range(7)]
            rows(environ["IDP_DATABASE_URL"], f'ALTER ROLE "{role}" CONNECTION LIMIT 5')
            house.installation.store.close_idle(0)
            count = "SELECT count(*) AS n FROM pg_stat_activity WHERE usename = ?"
            deadline = time.monotonic() + 20  # a backend that was left takes its time to go, and counts until then
            while rows(environ["IDP_DATABASE_URL"], count, role)[0]["n"] > 1 and time.monotonic() < deadline:
                time.sleep(0.05)
            for _ in range(2):
                assert [ask(house, tenant) for tenant in tenants] == [401] * 7
        finally:
            rows(environ["IDP_DATABASE_URL"], f'ALTER ROLE "{role}" CONNECTION LIMIT -1')
            for tenant in house.installation.provisioning.list_all():
                house.installation.provisioning.delete(tenant)
            house.close()
            rows(environ["IDP_DATABASE_URL"], f'REASSIGN OWNED BY "{role}" TO "{url.username}"')
            for row in rows(
                environ["IDP_DATABASE_URL"],
                "SELECT datname FROM pg_database WHERE starts_with(datname, ?)",
                f"{url.database}_",
            ):
                rows(environ["IDP_DATABASE_URL"], f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')
            rows(environ["IDP_DATABASE_URL"], f'DROP ROLE "{role}"')


def test_unused_connections_are_given_back(any_house: House) -> None:
    """Architecture §4: a tenant that was not used for a minute keeps no connection once another tenant is opened."""
    store = any_house.installation.store
    old = any_house.tenant("old")
    ask(any_house, old)
    database = store.opened(old.id)
    assert database is not None
    assert database.connections.are_idle()
    ask(any_house, any_house.tenant("new"))
    assert database.connections.are_idle()  # a minute has not passed
    database.used_at -= 61
    ask(any_house, any_house.tenant("newest"))
    assert not database.connections.are_idle()
    assert store.opened(old.id) is database
    assert ask(any_house, old) == 401


def test_a_crowd_keeps_few_statements_and_a_busy_tenant_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §4 (memory a tenant): statements are 5 KiB each; a database that is used much prepares each of them once."""
    house.tenant("acme")
    database = house.installation.store.control
    texts = [f"SELECT {n}" for n in range(60)]

    def kept_after(rounds: int) -> int:
        for _ in range(rounds):
            for text in texts:
                with database.reading() as conn:
                    conn.connection.driver_connection.execute(text).close()
        with database.reading() as conn:
            held = conn.connection.driver_connection.execute("SELECT sql FROM sqlite_stmt").fetchall()
        return sum(text in texts for (text,) in held)

    database.connections.close()
    assert 0 < kept_after(3) <= connections.FEW
    monkeypatch.setattr(connections, "BUSY_USES", 100)
    database.connections.close()
    assert kept_after(4) == len(texts)
    database.connections.close()  # as after a minute without use
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.0)
    assert 0 < kept_after(4) <= connections.FEW, "many uses, but in a long time"
