"""What people get: the built packages run the snippets as they are printed, and the examples of both READMEs have right types."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from packages import PYTHON, ROOT, TYPESCRIPT, environment, npm_package, run, typescript
from sdk_world import ADMIN, PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from sdk_world import SdkWorld

pytestmark = pytest.mark.slow
SNIPPET_PYTHON = (
    'client = AuthSecClient(base_url="http://localhost:8000"); client.login(email, password); client.users.list()'
)
SNIPPET_TYPESCRIPT = (
    "const client = new AuthSecClient({ baseUrl }); await client.login(email, password); await client.users.list();"
)


def examples(page: Path, language: str) -> list[str]:
    """The examples of a README in a language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment where the built wheel is installed."""
    return environment(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the packed npm package is installed."""
    typescript()
    return npm_package(tmp_path_factory.mktemp("npm"))


def test_the_printed_python_snippet(world: SdkWorld, python: Path) -> None:
    """Interfaces §6: the snippet as it is printed, with the wheel that is published."""
    snippet = SNIPPET_PYTHON.replace("http://localhost:8000", world.url)
    lines = ["from authsec import AuthSecClient", f"email, password = {ADMIN!r}, {PASSWORD!r}", snippet]
    lines.append(
        "import authsec; print(authsec.__file__); print([each['username'] for each in client.users.iterate()])"
    )
    said = run(python, "-c", "\n".join(lines), cwd=python.parent)
    assert "site-packages" in said
    assert ADMIN in said


def test_the_printed_typescript_snippet(world: SdkWorld, application: Path) -> None:
    """Interfaces §6: the snippet as it is printed, with the package that npm packs."""
    given = f"const [baseUrl, email, password] = {json.dumps([world.url, ADMIN, PASSWORD])};"
    lines = ['import { AuthSecClient } from "@authsec/sdk";', given, SNIPPET_TYPESCRIPT]
    lines.append("for await (const each of client.users.iterate()) console.log(each.username);")
    (application / "snippet.mjs").write_text("\n".join(lines), "utf-8")
    assert ADMIN in run("node", "snippet.mjs", cwd=application)


def test_the_readmes_print_the_snippets() -> None:
    """Interfaces §6: what is run above stands in the READMEs, a statement a line."""
    for page, snippet in ((PYTHON / "README.md", SNIPPET_PYTHON), (TYPESCRIPT / "README.md", SNIPPET_TYPESCRIPT)):
        text = page.read_text("utf-8")
        for statement in snippet.split("; "):
            assert f"\n{statement}" in text, statement


def test_the_python_package_is_typed(python: Path, tmp_path: Path) -> None:
    """Interfaces §6 (typed): mypy --strict accepts every example of the README against the installed wheel; it sees a wrong one."""
    head = "from authsec import AuthSecClient\nemail = password = user_id = group_id = token = ''\n"
    given = "client = AuthSecClient('http://localhost')\n"
    found = examples(PYTHON / "README.md", "python")
    assert len(found) >= 9
    for number, text in enumerate(found):
        site = "from flask import Flask\napp = Flask('x')\n" if "@app" in text and "Flask(" not in text else ""
        (tmp_path / f"example_{number}.py").write_text(f"{head}{given}{site}{text}", "utf-8")
    check = ("-m", "mypy", "--strict", "--python-executable", python, "--no-incremental", "--allow-redefinition")
    run(sys.executable, *check, *sorted(tmp_path.glob("example_*.py")), cwd=tmp_path)
    (tmp_path / "wrong.py").write_text(f"{head}{given}client.groups.create(nam='x')\nclient.groups.get(7)\n", "utf-8")
    with pytest.raises(AssertionError, match=r"(?s)nam.*7|arg-type"):
        run(sys.executable, *check, tmp_path / "wrong.py", cwd=tmp_path)


def test_the_typescript_package_is_typed(application: Path) -> None:
    """Interfaces §6 (types): tsc --strict accepts every example of the README against the packed package; it sees a wrong one."""
    found = examples(TYPESCRIPT / "README.md", "ts")
    assert len(found) >= 8
    imports = sorted({line for text in found for line in text.splitlines() if line.startswith("import ")})
    bodies = ["\n".join(line for line in text.splitlines() if not line.startswith("import ")) for text in found]
    given = "declare const baseUrl: string, email: string, password: string, userId: string, token: string;"
    page = "\n".join([*imports, given, *bodies])
    (application / "examples.mts").write_text(page, "utf-8")
    tools = TYPESCRIPT / "node_modules"
    for name in ("@types", "express"):
        link = application / "node_modules" / name
        if not link.exists():
            link.symlink_to(tools / name)
    check = (
        tools / ".bin" / "tsc",
        "--noEmit",
        "--strict",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--lib",
        "es2022,dom",
    )
    run(*check, "examples.mts", cwd=application)
    (application / "wrong.mts").write_text(f'{page}\nawait client.groups.create({{ nam: "x" }});', "utf-8")
    with pytest.raises(AssertionError, match="nam"):
        run(*check, "wrong.mts", cwd=application)


def test_what_is_in_the_packages(python: Path, application: Path) -> None:
    """Packaging: licence, types and version are in both; the npm package has no dependency; both have one version."""
    (built,) = python.parents[2].glob("authsec_sdk-*.whl")
    with zipfile.ZipFile(built) as opened:
        names = opened.namelist()
        metadata = next(opened.read(name).decode() for name in names if name.endswith("METADATA"))
    assert "authsec/py.typed" in names
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert re.findall(r"^Requires-Dist: (\w+)", metadata, re.MULTILINE) == ["cryptography", "httpx", "flask"]
    package = json.loads((application / "node_modules" / "@authsec" / "sdk" / "package.json").read_text())
    there = {path.name for path in (application / "node_modules" / "@authsec" / "sdk").iterdir()}
    assert there == {"LICENSE", "README.md", "dist", "package.json"}
    assert "dependencies" not in package
    assert f"Version: {package['version']}\n" in metadata
    assert f'"{package["version"]}"' in (TYPESCRIPT / "src" / "version.ts").read_text("utf-8")
    for folder in (PYTHON, TYPESCRIPT):
        assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_python_sources_are_typed() -> None:
    """Interfaces §6: mypy --strict finds nothing in the SDK itself."""
    run(sys.executable, "-m", "mypy", "--no-incremental", cwd=PYTHON)


def test_the_benches_run() -> None:
    """Issue 6 (a validation beside one bare verification): both scripts print both figures and their ratio."""
    typescript()
    for said in (
        run(sys.executable, "bench/validation.py", "--rounds", "1", "--times", "20", cwd=PYTHON, PYTHONPATH="src"),
        run("node", "bench/validation.mjs", "1", "20", cwd=TYPESCRIPT),
    ):
        figures = json.loads(said)
        assert figures["validation_us"] > 0
        assert figures["ratio"] == pytest.approx(figures["validation_us"] / figures["verification_us"], rel=0.05)
