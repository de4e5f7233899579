"""The import line of docs/architecture.md: a package imports only from packages to its left, and libraries stay in their room."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL = {
    "feature",
    "settings",
    "errors",
    "clock",
    "opaque",
    "spool",
    "waiting",
    "language",
    "templating",
    "folders",
    "browsers",
}
COMPOSITION = {"installation", "work", "app", "cli"}
# Left may not import right; names that share a place do not import one another (the kernel and the composition may).
# Names that are not there yet have their place already.
LINE: list[set[str]] = [
    KERNEL,
    {"store"},
    {"tenancy"},
    {"audit", "outbound"},
    {"keys", "notify"},
    {"jobs"},
    {"identity"},
    {"access"},
    {"tokens", "webhooks"},
    {"web"},
    {"flow"},
    {"mfa", "oauth", "federation", "directory"},
    {"saml", "oidc", "device", "ciba", "scim", "account"},
    {"api", "console", "demo"},
    {"features", "checks"},
    COMPOSITION,
]
PLACE = {name: place for place, names in enumerate(LINE) for name in names}
FLASK = re.compile(r"(app|cli(/.*)?|(web|api|console|demo)/.*|.*/routes|tenancy/context|store/db)\.py")
# Who needs SQLAlchemy's Connection and Row as types takes them from idp.store.rows.
LIBRARIES = {
    "sqlalchemy": re.compile(r"store/.*"),
    "alembic": re.compile(r"store/.*"),
    "flask": FLASK,
    "greenlet": re.compile(r"waiting\.py"),
    "authlib.integrations.flask_oauth2": FLASK,
    "authlib.integrations.flask_client": re.compile(r"demo/.*"),
}
LIBRARIES |= {"flask_sqlalchemy": LIBRARIES["sqlalchemy"], "flask_migrate": LIBRARIES["sqlalchemy"], "flask_wtf": FLASK}


def imported(source: str) -> set[str]:
    """All modules that a source names, also inside functions and for type checking; `from a import b` names a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return found


def violations(root: Path) -> list[str]:
    """Every import below `root`/idp that crosses the line, as a sentence."""
    found = []
    for path in sorted((root / "idp").rglob("*.py")):
        inside = path.relative_to(root / "idp").as_posix()
        home = inside.split("/")[0].removesuffix(".py")
        if home != "__init__" and home not in PLACE:
            found.append(f"{inside}: {home} has no place in the line")
            continue
        for module in sorted(imported(path.read_text("utf-8"))):
            if module.startswith("."):
                found.append(f"{inside}: relative import {module}")
            elif module.startswith("idp."):
                other = module.split(".")[1]
                siblings = other != home and not {home, other} <= KERNEL and not {home, other} <= COMPOSITION
                if other in PLACE and siblings and PLACE[other] >= PLACE.get(home, -1):
                    found.append(f"{inside}: {home} may not import {module}")
                elif other not in PLACE and other not in {"static", "templates"}:
                    found.append(f"{inside}: {module} has no place in the line")
            found += [
                f"{inside}: {library} does not belong here"
                for library, allowed in LIBRARIES.items()
                if f"{module}.".startswith(f"{library}.") and not allowed.fullmatch(inside)
            ]
    return found


def test_every_import_keeps_to_the_line() -> None:
    """Architecture, the import line: no module of idp/ imports from the right or a library outside its room."""
    assert len(list((ROOT / "idp").rglob("*.py"))) > 20
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        (
            "store/tenant/users.py",
            "from idp.tenancy.tenant import Tenant",
            "store may not import idp.tenancy.tenant.Tenant",
        ),
        ("web/pages.py", "def f():\n    import idp.oauth.pkce", "web may not import idp.oauth.pkce"),
        ("flow/login.py", "if TYPE_CHECKING:\n    from idp import oauth", "flow may not import idp.oauth"),
        ("oidc/x.py", "from idp.saml import entity", "oidc may not import idp.saml.entity"),
        ("clock.py", "from idp.store import db", "clock may not import idp.store.db"),
        ("tokens/mint.py", "from .refresh import rotate", "relative import .refresh.rotate"),
        ("tokens/mint.py", "import sqlalchemy.orm", "sqlalchemy does not belong here"),
        ("oauth/server.py", "from flask import g", "flask does not belong here"),
        ("utils/x.py", "", "utils has no place in the line"),
    ],
)
def test_control_a_crossing_is_seen(tmp_path: Path, path: str, source: str, complaint: str) -> None:
    """Architecture, negative control: a planted import from the right, or of a library outside its room, is reported."""
    target = tmp_path / "idp" / path
    target.parent.mkdir(parents=True)
    target.write_text(source, "utf-8")
    assert [line for line in violations(tmp_path) if complaint in line]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("oauth/routes.py", "from flask import request\nfrom idp.flow.interaction import begin"),
        ("store/db.py", "import sqlalchemy\nfrom idp.settings import Settings"),
        ("settings.py", "from idp.errors import SettingError"),
        ("cli.py", "from idp.app import create_app\nimport flaskless"),
    ],
)
def test_control_an_import_from_the_left_is_allowed(tmp_path: Path, path: str, source: str) -> None:
    """Architecture, positive control: what the line allows is not reported."""
    target = tmp_path / "idp" / path
    target.parent.mkdir(parents=True)
    target.write_text(source, "utf-8")
    assert violations(tmp_path) == []
