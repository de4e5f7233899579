"""A tenant with people, groups, applications and roles, on each kind of database."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from access_world import World


@pytest.fixture
def world(any_house) -> World:
    return World(any_house)
