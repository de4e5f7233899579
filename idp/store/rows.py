"""The two types that cross the store's boundary, so that no other package needs to name SQLAlchemy.

A store function takes a :class:`Connection` first and returns a :class:`Row` (attribute access), a list of them or None.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection, Row

__all__ = ["Connection", "Row"]
