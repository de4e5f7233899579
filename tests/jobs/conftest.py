"""A control database with tenants, of each kind, and programs that do what a worker process does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from databases import emptied, needs_postgresql, on_server
from ready_made import lay_tables

from idp.settings import Settings
from idp.store.control import tenants
from idp.store.db import Database, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
KINDS = ["sqlite", pytest.param("postgresql", marks=needs_postgresql)]


@dataclass
class House:
    """An installation without a server: a store, two tenants, a folder."""

    store: Store
    settings: Settings
    folder: Path
    make: Callable[[str, str], str]

    @property
    def spool(self) -> Path:
        """The folder of the spool."""
        return self.folder / "spool"

    def add_tenant(self, tenant_id: str, state: str = "active") -> None:
        """A tenant with a database."""
        url = self.make(tenant_id, "tenant")
        values = {
            "slug": tenant_id,
            "name": tenant_id,
            "state": state,
            "issuer": f"https://{tenant_id}",
            "placement": "",
        }
        self.store.control.writing(
            lambda conn: tenants.create(conn, id=tenant_id, database_url=url, settings={}, **values)
        )

    def tenant(self, tenant_id: str) -> Database:
        """A tenant's database."""
        with self.store.control.reading() as conn:
            row: Any = tenants.find(conn, tenant_id)
        return self.store.tenant(row.id, row.database_url)

    def count(self, tenant_id: str, table: str, where: str = "1=1") -> int:
        """How many rows there are; the empty tenant id stands for the control database."""
        database = self.tenant(tenant_id) if tenant_id else self.store.control
        with database.reading() as conn:
            return conn.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE {where}").scalar_one()

    def program(self, source: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start a Python program that finds `store` and `folder` ready."""
        prologue = (
            "import sys, time, os\nfrom pathlib import Path\nfrom dataclasses import replace\n"
            "from idp.settings import Settings\nfrom idp.store import tables\nfrom idp.store.db import Store\n"
            "tables.load()\nfolder = Path(sys.argv[1])\n"
            "store = Store(replace(Settings(), data_dir=folder, database_url=sys.argv[2]))\n"
        )
        command = [sys.executable, "-c", prologue + source, str(self.folder), self.settings.control_url, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | environ)


@pytest.fixture(params=KINDS)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A house with the tenants `a` and `b`."""

    def make(name: str, kind: str) -> str:
        if request.param == "sqlite":
            return lay_tables(tmp_path / f"{name}.db", kind)
        return emptied(on_server(name, kind), kind)

    settings = replace(Settings(), data_dir=tmp_path, database_url=make("control", "control"))
    with Store(settings) as store:
        made = House(store, settings, tmp_path, make)
        made.add_tenant("a")
        made.add_tenant("b")
        yield made


def until(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Wait for something; says whether it came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.03)
    return condition()


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., bool]:
    """Wait for something."""
    return until
