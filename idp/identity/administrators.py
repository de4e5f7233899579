"""A tenant is never left without an administrator: the last one who holds the role for good, on no condition, stays.

Whoever takes a role away, empties a group, disables or deletes an account does it :func:`keeping` one, in the transaction. Who has
a shell on the machine can make another administrator at any time, and is not kept from anything.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from idp.errors import Conflict
from idp.store.tenant import role_bindings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idp.store.rows import Connection

# The built-in roles without which nobody could put a tenant right again.
ADMINISTRATORS = ("tenant-admin", "platform-admin")


class LastAdministrator(Conflict):
    """The change would leave the tenant without an administrator."""

    code = "last_administrator"


@contextmanager
def keeping(conn: Connection, *, is_operator: bool) -> Iterator[None]:
    """Raise :class:`LastAdministrator`, so that the transaction is undone, when the block takes the last administrator away.

    A tenant that has none already is not kept from anything. Two who remove one another take turns.
    """
    if is_operator:
        yield
        return
    role_bindings.lock_administration(conn)
    had = _any(conn)
    yield
    if had and not _any(conn):
        raise LastAdministrator(
            "This is the tenant's last administrator. Give somebody else the role tenant-admin first, without an end."
        )


def _any(conn: Connection) -> bool:
    return bool(role_bindings.holders_for_good(conn, ADMINISTRATORS, limit=1))
