"""docs/settings.md and docs/specs.md are what the sources say now."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", ["settings", "specs"])
def test_the_committed_page_is_current(name: str) -> None:
    """Architecture, conventions: a generated page is the one that `make docs` would write."""
    written = (DOCS / f"{name}.md").read_text("utf-8")
    assert written == runpy.run_path(str(DOCS / f"generate_{name}.py"))["render"](), "run: make docs"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("RFC 7636 §4.6: the verifier", [("RFC 7636", "4.6")]),
        (
            "RFC 6749 §4.1.2 §10.5, RFC 9700 §2.1.1: once",
            [("RFC 6749", "4.1.2"), ("RFC 6749", "10.5"), ("RFC 9700", "2.1.1")],
        ),
        ("OIDC Core §3.1.2.1: prompt", [("OIDC Core", "3.1.2.1")]),
        ("RFC 9207: iss", [("RFC 9207", "")]),
        ("ASVS 7.2.4, S093: a session", [("OWASP ASVS 5.0", "7.2.4")]),
        ("OpenID Connect Discovery 1.0 §3 and §4.3: members", [("OIDC Discovery", "3"), ("OIDC Discovery", "4.3")]),
        ("SP 800-63B-4 §3.2.2: the lock", [("NIST SP 800-63B-4", "3.2.2")]),
        ("Isolation: a code", []),
    ],
)
def test_sections_are_read_from_docstrings(text: str, pairs: list[tuple[str, str]]) -> None:
    """Architecture, conventions: the opening of a docstring yields each specification with each of its sections."""
    generator = runpy.run_path(str(DOCS / "generate_specs.py"))
    assert generator["named"](generator["opening"](text)) == pairs
