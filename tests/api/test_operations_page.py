"""The page that maps the documented product's capabilities to ours names every operation there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from idp.api.services import SERVICES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "authsec-operations.md").read_text(encoding="utf-8")
OPERATIONS = {operation.name for service in SERVICES for operation in service.operations}
# Names in the same form that are none of operations.
OTHERS = {"mfa_verified", "biometric_verified", "access_token_lifetime"}


def test_every_operation_has_its_place() -> None:
    """Interfaces §5: `docs/authsec-operations.md` maps each capability to our operations; a new one joins the page."""
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", PAGE))
    assert named >= OPERATIONS
    assert {name for name in named if "_" in name} - OTHERS <= OPERATIONS
