"""A person with an account, in front of the account pages, on SQLite or on each database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from account_world import World

if TYPE_CHECKING:
    from house import House


@pytest.fixture
def world(house: House) -> World:
    """The product on SQLite with the tenant acme."""
    return World.made(house)


@pytest.fixture
def any_world(any_house: House) -> World:
    """The same on each kind of database."""
    return World.made(any_house)
