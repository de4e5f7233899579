"""Where the folders stand that are packaged with the code: `templates/`, `static/`."""

from __future__ import annotations

from pathlib import Path


def packaged(name: str) -> Path:
    """Return the folder packaged as `idp.{name}`, or, in a checkout, the one at the top of the repository."""
    package = Path(__file__).resolve().parent
    for candidate in (package / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"The folder {name!r} is missing from this installation of the identity provider.")
