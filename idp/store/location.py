"""Where a tenant's database is, as the control database says it: relative to the installation.

So a copied, restored or moved installation never reaches into another one, and no password is stored. ``sqlite:tenants/ID.db``
lies in the data folder; ``postgresql:ID`` is beside the control database, named after it and the id. A whole URL is a database
that an operator has put elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from idp.settings import Settings


def locate(settings: Settings, stored: str) -> str:
    """Return the URL of a stored location."""
    kind, _, place = stored.partition(":")
    if kind == "sqlite" and not place.startswith("//"):
        return f"sqlite:///{settings.data_dir.resolve() / place}"
    if kind == "postgresql" and not place.startswith("//"):
        control = make_url(settings.control_url)
        # PostgreSQL cuts names at 63 characters.
        name = f"{control.database}_{place}"[:63].lower()
        return control.set(database=name).render_as_string(hide_password=False)
    return stored
