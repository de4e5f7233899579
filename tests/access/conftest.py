"""A tenant with people, groups, applications and roles, on each kind of database."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from access_world import World
from authzen_point import Point


@pytest.fixture
def world(any_house) -> World:
    return World(any_house)


@pytest.fixture
def point(world: World) -> Point:
    return Point(world)
