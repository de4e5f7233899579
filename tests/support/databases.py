"""Which databases a test runs on: SQLite always, PostgreSQL where ``IDP_TEST_POSTGRESQL_URL`` names a server."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "IDP_TEST_POSTGRESQL_URL"


@contextmanager
def environment(kind: str) -> Iterator[dict[str, str]]:
    """Yield the IDP_* variables of an empty control database of ``kind``; its databases are dropped afterwards."""
    if kind == "sqlite":
        yield {}
        return
    server = os.environ.get(VARIABLE)
    if not server:
        if os.environ.get("CI"):
            pytest.fail(f"{VARIABLE} is not set")
        pytest.skip(f"{VARIABLE} is not set (Debian: postgresql)")
    url = make_url(server)
    name = f"idp_{secrets.token_hex(4)}"
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]  # a name of ours
    try:
        yield {"IDP_DATABASE_URL": url.set(database=name).render_as_string(hide_password=False)}
    finally:
        with psycopg.connect(plain, autocommit=True) as connection:
            for (database,) in connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (name,)
            ).fetchall():
                connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')  # type: ignore[call-overload]
