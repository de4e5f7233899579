"""A control database and a tenant's, of each kind, and a signer that works like the tenant's keys."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from databases import emptied, needs_postgresql, on_server
from ready_made import lay_tables

from idp.store.db import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TENANT = "a" * 32
KINDS = ["sqlite", pytest.param("postgresql", marks=needs_postgresql)]


class SealKey:
    """Signs like a JWS: the text contains what it signs."""

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)

    def _tag(self, payload: bytes) -> str:
        return hmac.new(self.secret, payload, "sha256").hexdigest()

    def sign(self, payload: bytes) -> str:
        """The payload and its tag."""
        return f"{base64.urlsafe_b64encode(payload).decode()}.{self._tag(payload)}"

    def verify(self, signature: str) -> bytes:
        """What was signed; raises ValueError for anything else."""
        payload, tag = signature.split(".")
        found = base64.urlsafe_b64decode(payload)
        if not hmac.compare_digest(tag, self._tag(found)):
            raise ValueError
        return found


@dataclass
class Place:
    """A tenant's database and the control database."""

    tenant: Database
    control: Database


def new_sqlite(path: Path, kind: str) -> Database:
    """A database in a file, with its tables."""
    return Database(lay_tables(path, kind))


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Both databases, empty, of each kind."""
    if request.param == "sqlite":
        made = Place(new_sqlite(tmp_path / "tenant.db", "tenant"), new_sqlite(tmp_path / "control.db", "control"))
        yield made
        made.tenant.close()
        made.control.close()
        return
    made = Place(*(Database(emptied(on_server(kind, kind), kind)) for kind in ("tenant", "control")))
    yield made
    made.tenant.close()
    made.control.close()


@pytest.fixture
def key() -> SealKey:
    """A tenant's signer."""
    return SealKey()
