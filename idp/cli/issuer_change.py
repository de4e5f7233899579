"""What breaks when a tenant's issuer moves, said before it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.store.tenant import clients, users
from idp.tenancy.context import entered

if TYPE_CHECKING:
    from idp.installation import Installation
    from idp.tenancy.tenant import Tenant


def consequences(installation: Installation, tenant: Tenant, new: str) -> list[str]:
    """Return the sentences that an operator should read first."""
    with entered(installation.store, tenant) as database, database.reading() as conn:
        ids = [row.client_id for row in clients.list_all(conn)]
        people = users.count(conn)
    shown = ", ".join(ids[:10]) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
    return [
        f"The issuer of {tenant.slug} moves from {tenant.issuer} to {new}. From then on:",
        f"- each of its {len(ids)} clients must be given the new issuer{f': {shown}' if ids else ''};",
        "- access tokens and ID tokens issued under the former issuer are refused;",
        f"- its {people} users must sign in again, because browsers keep their sessions with the former address;",
        f"- every address below {tenant.issuer} answers 404.",
    ]
