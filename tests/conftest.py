"""Fixtures of the whole suite: a house (the product in one process) with two tenants, on SQLite or on each database."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

from databases import environment
from house import House

if TYPE_CHECKING:
    from collections.abc import Iterator

    from house import Browser, RelyingParty

    from idp.tenancy.tenant import Tenant


def pytest_collection_finish() -> None:
    """Ten thousand tests are a million objects that stay: the collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The product on SQLite."""
    made = House(tmp_path / "var")
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """The product on each kind of database."""
    with environment(request.param) as environ:
        made = House(tmp_path / "var", **environ)
        yield made
        made.close()


@pytest.fixture
def acme(house: House) -> Tenant:
    """A tenant with the user ada@example.com, profile strict."""
    return house.tenant("acme")


@pytest.fixture
def rp(house: House, acme: Tenant) -> RelyingParty:
    """A confidential client of acme with every grant type."""
    return house.client(acme)


@pytest.fixture
def browser(house: House, acme: Tenant) -> Browser:
    """A browser in front of acme."""
    return house.browser(acme)
