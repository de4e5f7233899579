"""`idp init` makes an installation, once, and only what is missing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from command import Idp


def test_it_makes_an_installation_that_can_be_used(bare: Idp) -> None:
    """Interfaces §1: the data folder, the master key, the tenants system and demo, credentials for the owner alone."""
    assert bare("init").status == 0
    assert stat.S_IMODE(bare.folder.stat().st_mode) == 0o700
    for name in ("master.key", "credentials", "control.db"):
        assert stat.S_IMODE((bare.folder / name).stat().st_mode) == 0o600, name
    assert [each["slug"] for each in bare("tenant", "list", "--json").json] == ["demo", "system"]
    people = {each["username"]: each["roles"] for each in bare("user", "list", "demo", "--json").json}
    assert people == {"ada@demo.example": [], "admin@demo.example": ["tenant-admin"]}
    (admin,) = bare("user", "list", "system", "--json").json
    assert admin["roles"] == ["platform-admin"]
    assert not admin["must_change_password"]
    known = json.loads((bare.folder / "credentials").read_text())
    assert {each["password"] for each in known.values() if "password" in each}.isdisjoint({""})
    assert len({each["password"] for each in known.values() if "password" in each}) == 3
    (client,) = bare("client", "list", "demo", "--json").json
    assert client["client_id"] == known["demo_rp"]["client_id"]


def test_again_it_changes_nothing(bare: Idp) -> None:
    """Interfaces §1: run again, same data; an account that exists keeps its password, a lost file is not made up anew."""
    first = bare("init", "--json").json
    assert first["made"]
    before = {
        path.name: path.read_bytes() for path in bare.folder.iterdir() if path.name in ("master.key", "credentials")
    }
    assert bare("init", "--json").json["made"] == []
    assert {name: (bare.folder / name).read_bytes() for name in before} == before
    (bare.folder / "credentials").unlink()
    assert bare("init", "--json").json["made"] == []
    assert not (bare.folder / "credentials").exists()


def test_what_is_missing_is_made(bare: Idp) -> None:
    """Interfaces §2, idempotent: a deleted tenant and a deleted user come back, what stands is left alone."""
    bare("init")
    before = json.loads((bare.folder / "credentials").read_text())
    bare("tenant", "delete", "demo", "--yes", "demo")
    bare("user", "delete", "system", "admin@platform.example", "--yes", "admin@platform.example")
    made = " ".join(bare("init", "--json").json["made"])
    assert "tenant demo" in made
    assert "admin@platform.example" in made
    assert json.loads((bare.folder / "credentials").read_text()) == before
    assert bare("init", "--json").json["made"] == []


def test_production_gets_no_demo(bare: Idp, monkeypatch) -> None:
    """Interfaces §1: credentials are never made when IDP_ENV=production."""
    monkeypatch.setenv("IDP_ENV", "production")
    monkeypatch.setenv("IDP_PUBLIC_URL", "https://id.example.org")
    assert bare("init").status == 0
    assert [each["slug"] for each in bare("tenant", "list", "--json").json] == ["system"]
    assert bare("user", "list", "system", "--json").json == []
    assert not (bare.folder / "credentials").exists()
    assert bare("init", "--json").json["made"] == []


def test_two_at_once_make_one_installation(bare: Idp) -> None:
    """Issue 3: two `idp init` at once are safe."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")} | bare.environ
    command = [sys.executable, "-m", "idp.cli", "init", "--json"]
    both = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ended = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], ended
    made = [each for out, _ in ended for each in json.loads(out)["made"]]
    assert len(made) == len(set(made)), "something is said to have been made twice"
    assert {"the tenant system", "the tenant demo", f"the data folder {bare.folder}"} <= set(made)
    assert len(bare("user", "list", "demo", "--json").json) == 2


def test_a_missing_master_key_is_never_replaced(bare: Idp) -> None:
    """ASVS 5.0 §11.2: without its master key an installation is not given another one, which would open nothing."""
    bare("init")
    key = bare.folder / "master.key"
    kept = key.read_bytes()
    key.unlink()
    assert "put its copy back" in bare("init").sentence
    assert not key.exists()
    key.write_bytes(kept)
    key.chmod(0o600)
    assert bare("init", "--json").json["made"] == []


def test_a_creation_that_was_killed_is_finished(bare: Idp) -> None:
    """Architecture §4: a tenant that a killed process left half made does not stay half made."""
    import sqlite3

    bare("init")
    with sqlite3.connect(bare.folder / "control.db") as connection:
        connection.execute("UPDATE tenants SET state = 'creating' WHERE slug = 'demo'")
    connection.close()
    assert "the tenant demo" in bare("init", "--json").json["made"]
    states = {each["slug"]: each["state"] for each in bare("tenant", "list", "--json").json}
    assert states == {"demo": "active", "system": "active"}
