"""The credentials of the demo data: made once, kept in the data folder for the owner's eyes only, never in production."""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from idp.settings import Settings

TENANT = "demo"
RP_CLIENT = "demo-rp"


class Person(NamedTuple):
    """Somebody whom `idp init` makes."""

    tenant: str
    username: str
    name: str
    roles: tuple[str, ...]


# By their names in the file.
PEOPLE = {
    "demo_user": Person(TENANT, "ada@demo.example", "Ada Lovelace", ()),
    "demo_admin": Person(TENANT, "admin@demo.example", "Demo Administrator", ("tenant-admin",)),
    "platform_admin": Person(
        "system",
        "admin@platform.example",
        "Platform Administrator",
        ("platform-admin",),
    ),
}
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that is taken for another


def path(settings: Settings) -> Path:
    """Return the file's path."""
    return settings.data_dir / "credentials"


def read(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return what is kept, by name; empty when there is no file that can be read."""
    try:
        found = json.loads(path(settings).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(settings: Settings, content: dict[str, dict[str, Any]]) -> None:
    """Replace the file, whole or not at all."""
    draft = settings.data_dir / f".credentials.{secrets.token_hex(6)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path(settings))
    finally:
        draft.unlink(missing_ok=True)


def new_password() -> str:
    """Return a password of 100 random bits that can be typed: four groups of five."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))
