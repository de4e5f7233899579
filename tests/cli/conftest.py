"""Fixtures of the command's tests: the command where there is no installation, with one, and as a served process."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from command import Idp, Program, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def _environ(folder: Path, port: int) -> dict[str, str]:
    return {
        "IDP_DATA_DIR": str(folder),
        "IDP_PUBLIC_URL": f"http://localhost:{port}",
        "IDP_ARGON2_MEMORY_KIB": "7168",
    }


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Idp:
    """The command where there is no installation."""
    return Idp(monkeypatch, _environ(tmp_path / "var", free_port()))


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with the tenant acme, made once and only copied from: each has two RSA keys a tenant to make."""
    folder = tmp_path_factory.mktemp("furnished") / "var"
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Idp(monkeypatch, _environ(folder, 1))
        assert made("init").status == 0
        assert made("tenant", "create", "acme", "--name", "Acme").status == 0
    return folder


@pytest.fixture
def idp(bare: Idp, furnished: Path) -> Idp:
    """The command with an installation of its own and the tenant acme."""
    shutil.copytree(furnished, bare.folder)
    with sqlite3.connect(bare.folder / "control.db") as connection:
        moved = (str(furnished), str(bare.folder), "http://localhost:1/", bare.environ["IDP_PUBLIC_URL"] + "/")
        connection.execute(
            "UPDATE tenants SET database_url = replace(database_url, ?, ?), issuer = replace(issuer, ?, ?)", moved
        )
    connection.close()
    return bare


@pytest.fixture
def serve(idp: Idp) -> Iterator[Callable[..., Program]]:
    """Start `idp serve`; everything is ended afterwards."""
    started = []

    def start(*arguments: str, **environ: str) -> Program:
        started.append(Program({**idp.environ, **environ}, *arguments))
        return started[-1]

    yield start
    for program in started:
        program.close()
