"""One page of a table by a column and the key, from an offset or behind a row: the same for every list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, tuple_

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection, Row


def page(
    conn: Connection,
    columns: Iterable[Any],
    key: Any,
    here: Sequence[ColumnElement[bool]] = (),
    *,
    sort: Any,
    is_descending: bool,
    limit: int,
    offset: int = 0,
    after: tuple[Any, str] | None = None,
) -> tuple[Sequence[Row[Any]], int]:
    """Return rows in the order of ``sort`` and ``key``, each with ``sort_key``, and how many there are in all.

    ``here`` are conditions on the table that the columns are of; ``after`` is the sort key and the key of the row behind which to begin.
    """
    wanted = select(*columns, sort.label("sort_key")).where(*here)
    if after is not None:
        place = tuple_(sort, key)
        wanted = wanted.where(place < after if is_descending else place > after)
    wanted = wanted.order_by(*(each.desc() if is_descending else each.asc() for each in (sort, key)))
    rows: Any = conn.execute(wanted.limit(limit).offset(offset)).all()
    return rows, conn.execute(select(func.count()).select_from(key.table).where(*here)).scalar_one()
