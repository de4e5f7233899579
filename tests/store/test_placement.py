"""A tenant's database: made from a template, whole or not at all, and removed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from databases import environment
from house import House
from serving import rows, scalar, together
from sqlalchemy.engine import make_url

from idp.errors import Conflict, StorageUnavailable
from idp.store import placement
from idp.store.location import locate
from idp.tenancy.provisioning import Provisioning

if TYPE_CHECKING:
    from idp.store.db import Database
    from idp.tenancy.tenant import Tenant


def databases_of(house: House) -> set[str]:
    """Every tenant database that exists: file names, or names on the server, without templates."""
    if house.settings.uses_sqlite:
        return {
            path.name
            for path in (house.settings.data_dir / "tenants").glob("*")
            if not path.name.startswith("template-")
        }
    name = make_url(house.settings.control_url).database
    found = rows(
        house.settings.control_url, "SELECT datname FROM pg_database WHERE starts_with(datname, ?)", f"{name}_"
    )
    return {row["datname"] for row in found if "_template_" not in row["datname"]}


def with_seeder(house: House, seed: Any) -> Provisioning:
    """The house's provisioning with one more seeder."""
    own = house.installation.provisioning
    return Provisioning(own._store, own._settings, own._feed, [*own._seeders, seed])


def test_a_failed_creation_leaves_nothing(any_house: House) -> None:
    """Architecture §4, issue 3: a seeder that fails takes row, domain and database with it; the name is free again."""
    house = any_house
    before = databases_of(house)

    def seed(_tenant: Tenant, _database: Database) -> None:
        raise RuntimeError("the seeder fails")

    with pytest.raises(RuntimeError):
        with_seeder(house, seed).create("acme", "Acme", "id.acme.example")
    assert databases_of(house) == before
    assert scalar(house.settings.control_url, "SELECT count(*) FROM tenants WHERE slug = 'acme'") == 0
    assert scalar(house.settings.control_url, "SELECT count(*) FROM domains") == 0
    assert scalar(house.settings.control_url, "SELECT count(*) FROM pending_work WHERE tenant_id <> ''") == 0
    assert house.tenant("acme", "id.acme.example").state == "active"


def test_no_room_for_the_database_leaves_nothing(house: House) -> None:
    """Security S113: a folder that cannot be written is a 503, and leaves neither a row nor half a file."""
    folder = house.settings.data_dir / "tenants"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("in the way")
    with pytest.raises(StorageUnavailable):
        house.tenant("acme")
    assert scalar(house.settings.control_url, "SELECT count(*) FROM tenants") == 0
    folder.unlink()
    assert house.tenant("acme").state == "active"


def test_a_role_that_may_not_create_databases_is_told(tmp_path: Path) -> None:
    """Security S113: PostgreSQL refuses: one sentence that says why, and nothing is left."""
    with environment("postgresql", is_bare=True) as environ:
        url = make_url(environ["IDP_DATABASE_URL"])
        role = f"{url.database}_poor"
        rows(str(environ["IDP_DATABASE_URL"]), f'CREATE ROLE "{role}" LOGIN')
        rows(str(environ["IDP_DATABASE_URL"]), f'ALTER DATABASE "{url.database}" OWNER TO "{role}"')
        house = House(tmp_path / "var", IDP_DATABASE_URL=url.set(username=role).render_as_string(hide_password=False))
        try:
            with pytest.raises(StorageUnavailable, match="CREATEDB"):
                house.tenant("acme")
            assert scalar(environ["IDP_DATABASE_URL"], "SELECT count(*) FROM tenants") == 0
            rows(str(environ["IDP_DATABASE_URL"]), f'ALTER ROLE "{role}" CREATEDB')
            assert house.tenant("acme").state == "active"
            house.installation.provisioning.delete(house.installation.provisioning.find("acme"))
        finally:
            house.close()
            server = make_url(environ["IDP_DATABASE_URL"]).set(database="postgres", drivername="postgresql")
            with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as line:
                for (name,) in line.execute(
                    "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (url.database,)
                ).fetchall():
                    line.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]
                line.execute(f'DROP ROLE "{role}"')  # type: ignore[arg-type]


KILLED = """
import os, signal, sys
from idp.installation import Installation
from idp.settings import Settings
from idp.tenancy import provisioning
installation = Installation(Settings.from_env(os.environ), "killed")
own = installation.provisioning
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "reserved":
    provisioning.placement.create = die
own = provisioning.Provisioning(own._store, own._settings, own._feed, [*own._seeders, die])
if sys.argv[1] == "deleting":
    provisioning.placement.drop = die
    own.delete(own.find("acme"))
own.create("acme", "Acme")
"""


@pytest.mark.parametrize("moment", ["reserved", "seeding", "deleting"])
def test_a_killed_creation_or_deletion_can_be_removed(any_house: House, moment: str) -> None:
    """Security §3: what SIGKILL leaves of a tenant is served to nobody, is deleted like any other, and its name is free then."""
    house = any_house
    if moment == "deleting":
        house.tenant("acme")
    environ = {"IDP_DATA_DIR": str(house.settings.data_dir), "IDP_DATABASE_URL": house.settings.database_url}
    dead = subprocess.run([sys.executable, "-c", KILLED, moment], env=environ, check=False, timeout=60)
    assert dead.returncode == -signal.SIGKILL
    house.installation.feed.poll()
    assert house.send("GET", "/t/acme/.well-known/openid-configuration").status == 404
    provisioning = house.installation.provisioning
    left = provisioning.find("acme")
    assert left.state == ("deleting" if moment == "deleting" else "creating")
    provisioning.delete(left)
    assert databases_of(house) == set()
    assert house.tenant("acme").state == "active"


def test_many_first_tenants_at_once(any_house: House) -> None:
    """Architecture §4: the template is made once and whole, whoever comes first; each tenant is a copy with every table."""
    made = together(8, lambda i: any_house.installation.provisioning.create(f"t{i}", f"T{i}"))
    for tenant in made:
        assert scalar(tenant.database_url, "SELECT count(*) FROM signing_keys WHERE state = 'active'") == 2
        assert scalar(tenant.database_url, "SELECT count(*) FROM users") == 0


def test_a_half_made_template_is_no_template(house: House) -> None:
    """Architecture §4: what a killed process left of a template is not taken for one, and nothing of it stays in the way."""
    folder = house.settings.data_dir / "tenants"
    folder.mkdir(exist_ok=True)
    (folder / "template-0001_foundation.deadbeef").write_bytes(b"half")
    assert scalar(house.tenant("acme").database_url, "SELECT count(*) FROM users") == 1


def test_a_slug_is_given_once(any_house: House) -> None:
    """Architecture §4: eight creations of one slug at once: one tenant, seven conflicts, one database."""

    def create(_: int) -> str:
        try:
            return any_house.installation.provisioning.create("acme", "Acme").id
        except Conflict:
            return ""

    ids = [each for each in together(8, create) if each]
    assert len(ids) == 1
    found = databases_of(any_house)
    assert all(ids[0] in name for name in found), found
    assert found


def test_files_are_their_owner_s_alone(house: House) -> None:
    """Security S118 (ASVS 13.3): databases are readable by the owner only, also their logs and locks."""
    tenant = house.tenant("acme")
    house.user(tenant, "eve@example.com")
    folder = house.settings.data_dir / "tenants"
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {
        path.name: oct(path.stat().st_mode & 0o777)
        for path in [*folder.iterdir(), *house.settings.data_dir.glob("control.db*")]
    }
    assert set(modes.values()) == {"0o600"}, modes


def test_a_missing_file_is_never_made_anew(house: House) -> None:
    """Security S113: a tenant whose file is lost answers 503; an empty database in its place would forget every revocation."""
    acme, beta = house.tenant("acme"), house.tenant("beta")
    path = Path(acme.database_url.removeprefix("sqlite:///"))
    house.installation.store.forget(acme.id)
    path.rename(path.with_suffix(".away"))
    answer = house.post(acme, "/token", {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"})
    assert (answer.status, bool(answer.header("retry-after"))) == (503, True)
    assert not path.exists()
    assert house.get(beta, "/jwks").status == 200
    path.with_suffix(".away").rename(path)
    assert house.get(acme, "/jwks").status == 200


def test_deleting_leaves_the_neighbour(any_house: House) -> None:
    """Security S100: a deleted tenant's database is gone from the server, the neighbour's is not."""
    acme, beta = any_house.tenant("acme"), any_house.tenant("beta")
    before = databases_of(any_house)
    any_house.installation.provisioning.delete(acme)
    gone = before - databases_of(any_house)
    assert gone
    assert all(acme.id in name for name in gone)
    assert scalar(beta.database_url, "SELECT count(*) FROM users") == 1
    with pytest.raises(StorageUnavailable), any_house.database(acme).reading():
        pass


def test_places_are_known_before_they_are_made(any_house: House) -> None:
    """Architecture §4: where a tenant's database will lie stands in the control database first, so that nothing is orphaned."""
    seen: list[Any] = []

    def seed(tenant: Tenant, _database: Database) -> None:
        seen.append(scalar(any_house.settings.control_url, "SELECT database_url FROM tenants WHERE id = ?", tenant.id))

    tenant = with_seeder(any_house, seed).create("acme", "Acme")
    assert [locate(any_house.settings, each) for each in seen] == [tenant.database_url]
    assert placement.url_of(any_house.settings, tenant.id)[1] == seen[0]
