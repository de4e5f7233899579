"""A tenant's database with its tables, an envelope and what tests of keys do with them."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from databases import emptied, needs_postgresql, on_server
from ready_made import lay_tables

from idp import clock
from idp.keys.envelope import Envelope
from idp.keys.rotation import create_initial
from idp.keys.signer import TenantKeys
from idp.store.db import Database
from idp.store.tenant import signing_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

ALL = ("ES256", "RS256", "EdDSA", "PS256")


class Site:
    """A tenant as far as keys know one: its id, its database and the envelope."""

    issuer = "https://id.example.com/t/acme"

    def __init__(self, database: Database, envelope: Envelope, tenant_id: str = "a" * 32) -> None:
        self.database, self.envelope, self.id = database, envelope, tenant_id

    def keys(self, envelope: Envelope | None = None) -> TenantKeys:
        """The keys as of now."""
        with self.database.reading() as conn:
            return TenantKeys.load(conn, envelope or self.envelope, self.id)

    def rows(self, *states: str) -> Sequence[Any]:
        """The rows of the table, of some states or all."""
        with self.database.reading() as conn:
            return [row for row in signing_keys.list_all(conn) if not states or row.state in states]

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a token that is valid for an hour; None takes a claim out."""
        now = clock.now()
        made = {"iss": self.issuer, "sub": "u1", "aud": "https://api.example.com", "iat": now, "exp": now + 3600}
        return {name: value for name, value in (made | changes).items() if value is not None}


def new_sqlite(folder: Path, bind: str = "tenant") -> Database:
    """A database in a file, with its tables."""
    return Database(lay_tables(folder / f"{secrets.token_hex(4)}.db", bind))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def site(request: pytest.FixtureRequest, tmp_path: Path, envelope: Envelope) -> Iterator[Site]:
    """A tenant without keys, on each kind of database."""
    if request.param == "sqlite":
        made = new_sqlite(tmp_path)
        yield Site(made, envelope)
        made.close()
        return
    made = Database(emptied(on_server("keys", "tenant"), "tenant"))
    yield Site(made, envelope)
    made.close()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Database]:
    """An empty control database."""
    made = new_sqlite(tmp_path, "control")
    yield made
    made.close()


@pytest.fixture(scope="session")
def envelope() -> Envelope:
    """An envelope under a fresh master key."""
    return Envelope([Fernet.generate_key().decode()])


def _signing(folder: Path, envelope: Envelope, tenant_id: str) -> Site:
    made = Site(new_sqlite(folder), envelope, tenant_id)
    create_initial(made.database, envelope, tenant_id, ALL)
    return made


@pytest.fixture(scope="session")
def acme(tmp_path_factory: pytest.TempPathFactory, envelope: Envelope) -> Site:
    """A tenant that signs with every algorithm; tests leave its keys alone."""
    return _signing(tmp_path_factory.mktemp("acme"), envelope, "a" * 32)


@pytest.fixture(scope="session")
def globex(tmp_path_factory: pytest.TempPathFactory, envelope: Envelope) -> Site:
    """Another tenant that signs with every algorithm."""
    return _signing(tmp_path_factory.mktemp("globex"), envelope, "b" * 32)


@pytest.fixture(scope="session")
def new_site(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Envelope], Site]:
    """Makes a tenant without keys, on SQLite."""
    return lambda envelope: Site(new_sqlite(tmp_path_factory.mktemp("site")), envelope, secrets.token_hex(16))


class Forge:
    """Makes tokens by hand, so that they can be wrong in one way at a time."""

    @staticmethod
    def segment(value: Any) -> str:
        """Base64url of JSON, of text or of bytes."""
        raw = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    @staticmethod
    def unpack(token: str) -> tuple[dict[str, Any], bytes, bytes]:
        """Header, payload and signature of a token."""
        head, body, tail = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
        return json.loads(head), body, tail

    def sealed(self, keys: TenantKeys, header: Any, payload: Any, alg: str = "ES256") -> str:
        """A token with any header and payload and a right signature of the tenant's key."""
        text = f"{self.segment(header)}.{self.segment(payload)}"
        signer = keys._signer(alg)
        from idp.keys.algorithms import ALGORITHMS

        return f"{text}.{self.segment(ALGORITHMS[alg].jws.sign(text.encode(), signer.key))}"


@pytest.fixture(scope="session")
def forge() -> Forge:
    """The forger."""
    return Forge()
