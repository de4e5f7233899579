"""The command on PostgreSQL: the same installation, with a database a tenant on the server (interfaces.md §3)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from databases import environment

if TYPE_CHECKING:
    import pytest
    from command import Idp


def test_an_installation_on_postgresql(bare: Idp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interfaces §2, §3: init, tenants, users, clients, keys, schemas, doctor and the removal of a tenant's database."""
    with environment("postgresql", is_bare=True) as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert "idp init" in bare("tenant", "list").sentence
        assert bare("init").status == 0
        assert bare("init", "--json").json["made"] == []
        assert bare("tenant", "create", "acme", "--name", "Acme").status == 0
        assert bare("user", "create", "acme", "ada@example.com", "--role", "auditor").status == 0
        made = bare.client("acme", redirect_uris=["https://acme.example/callback"])
        assert bare("client", "update", "acme", made["client_id"], given='{"client_name": "New"}').status == 0
        assert bare("keys", "rotate", "acme").status == 0
        states = bare("db", "status", "--json").json["databases"]
        assert {each["state"] for each in states} == {"current"}
        assert len(states) == 4
        found = json.loads(bare("doctor", "--json").out)
        assert not [each for each in found if each["level"] == "error"], found
        assert bare("audit", "verify", "acme", "--json").json["is_sound"]
        assert bare("tenant", "delete", "acme", "--yes", "acme").status == 0
        assert "acme" not in {each["slug"] for each in bare("tenant", "list", "--json").json}
        key = bare.folder / "master.key"
        kept = key.rename(key.with_suffix(".kept"))
        assert "put its copy back" in bare("init").sentence
        kept.rename(key)
