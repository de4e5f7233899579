"""Where tenants' databases are: relative to the installation (architecture §4; security §3, backup and restore)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from house import House

from idp.store.control import tenants
from idp.store.location import locate

if TYPE_CHECKING:
    from pathlib import Path


def test_a_copied_installation_is_its_own(tmp_path: Path) -> None:
    """Security S116: what is done in a restored copy is not done to the original."""
    original = House(tmp_path / "var")
    acme = original.tenant("acme")
    shutil.copytree(tmp_path / "var", tmp_path / "copy")
    copy = House(tmp_path / "copy")
    copied = copy.installation.provisioning.find("acme")
    copy.user(copied, "eve@example.com")
    counts = []
    for house, tenant in ((original, acme), (copy, copied)):
        with house.database(tenant).reading() as conn:
            counts.append(conn.exec_driver_sql("SELECT count(*) FROM users").scalar())
        house.close()
    assert counts == [1, 2]


def test_a_moved_installation_goes_on(tmp_path: Path) -> None:
    """Architecture §4: the data folder may be moved while nothing runs."""
    house = House(tmp_path / "var")
    house.tenant("acme")
    house.close()
    shutil.move(tmp_path / "var", tmp_path / "moved")
    moved = House(tmp_path / "moved")
    tenant = moved.installation.provisioning.find("acme")
    rp = moved.client(tenant)
    assert rp.redeem(moved.browser(tenant).sign_in(rp)).status == 200
    moved.close()


def test_no_address_and_no_password_is_stored(any_house: House) -> None:
    """Security rule 9, S118: the control database names no folder, no server and no password."""
    tenant = any_house.tenant("acme")
    with any_house.installation.store.control.reading() as conn:
        row = tenants.find(conn, tenant.id)
    assert row is not None
    assert row.database_url in (f"sqlite:tenants/{tenant.id}.db", f"postgresql:{tenant.id}")
    assert locate(any_house.settings, row.database_url) == tenant.database_url


def test_a_database_put_elsewhere_stays_there(house: House) -> None:
    """Architecture §4, placement: a whole URL is taken as it is."""
    for url in ("sqlite:////elsewhere/a.db", "postgresql+psycopg://user@host/name"):
        assert locate(house.settings, url) == url
