"""What setup.cfg says is what is there, and a built wheel serves its pages from another folder."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", "utf-8")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Where the name of an import is not the name of its distribution.
DISTRIBUTIONS = {
    "_argon2_cffi_bindings": "argon2-cffi-bindings",
    "argon2": "argon2-cffi",
    "dns": "dnspython",
    "email_validator": "email-validator",
    "flask_sqlalchemy": "flask-sqlalchemy",
    "passlib": "libpass",
    "prometheus_client": "prometheus-client",
    "swagger_ui_bundle": "swagger-ui-bundle-v2",
}


def requirements(text: str) -> dict[str, str]:
    """Distribution → what follows its name, of a list in setup.cfg."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    return {NAME.match(line)[0].lower(): line for line in lines}  # type: ignore[index]


def test_every_package_is_listed() -> None:
    """Packaging, setup.cfg: the list of packages is the list of folders, so that no folder is missing from a wheel."""
    inits = [path.parent for path in (ROOT / "idp").rglob("__init__.py") if "migrations" not in path.parts]
    found = {path.relative_to(ROOT).as_posix().replace("/", ".") for path in inits}
    assert set(SETUP["options"]["packages"].split()) == found | {"idp.static", "idp.templates"}


def test_dependencies_have_both_bounds_and_a_reason() -> None:
    """Packaging, decision 3: each dependency has a lower and an upper bound and a line that says why it is there."""
    needed = requirements(SETUP["options"]["install_requires"])
    assert {name for name, line in needed.items() if not (">=" in line and ",<" in line)} == set()
    page = (ROOT / "docs" / "decisions" / "0003-dependencies.md").read_text("utf-8")
    assert set(re.findall(r"^\| ([a-z0-9-]+) \| ", page, re.MULTILINE)) - {"distribution"} == set(needed)


def test_imports_and_dependencies_agree() -> None:
    """Packaging, setup.cfg: what idp/ imports is declared, and what is declared is imported or named as a driver."""
    imported = set()
    for path in (ROOT / "idp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    outside = {DISTRIBUTIONS.get(name, name) for name in imported - set(sys.stdlib_module_names) - {"idp"}}
    declared = set(requirements(SETUP["options"]["install_requires"]))
    by_url = {"psycopg", "redis"}  # chosen by the scheme of a database or Redis URL
    by_library = {"requests"}  # imported by Authlib's Flask client
    by_file = {"flask-openapi3-redoc"}  # a script inside is served
    assert outside - declared == set()
    assert declared - outside - by_url - by_library - by_file == set()


def test_the_lock_pins_every_dependency_with_hashes() -> None:
    """Packaging, lock file: each declared dependency is pinned, with hashes, within its bounds; the two files agree."""
    pins = {}
    for lock in ("requirements.lock", "requirements-test.lock"):
        text = (ROOT / lock).read_text("utf-8")
        blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
        pins[lock] = {tuple(block.split()[0].split("==")) for block in blocks}
    names = {name for name, _ in pins["requirements.lock"]}
    assert set(requirements(SETUP["options"]["install_requires"])) - names == set()
    assert pins["requirements.lock"] <= pins["requirements-test.lock"]


def test_tools_are_configured_with_reasons() -> None:
    """Packaging, habits: ruff selects everything, and each rule that is ignored has its reason beside it."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    assert lint["select"] == ["ALL"]
    listed = re.search(r"^ignore = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1]  # type: ignore[index]
    assert [line for line in listed.splitlines() if not re.search(r"# \w", line)] == []


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a virtual environment that holds the wheel and, by path, this environment's libraries."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    source.mkdir()
    for name in ("idp", "templates", "static"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(base), str(source)]
    built = subprocess.run(build, capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    shutil.rmtree(source)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(base / "venv")], check=True, timeout=60)
    python = base / "venv" / "bin" / "python"
    wheel = next(base.glob("authsec-*.whl"))
    install = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True, timeout=120)
    libraries = next(Path(entry) for entry in sys.path if (Path(entry) / "flask" / "__init__.py").exists())
    own = next((base / "venv" / "lib").glob("python3.*")) / "site-packages"
    (own / "libraries.pth").write_text(f"{libraries}\n", "utf-8")
    return base


def files_of(folder: Path) -> set[str]:
    """The files below a folder, caches aside."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_the_wheel_holds_pages_and_migrations(installed: Path) -> None:
    """Packaging, wheel: every module, template, static file and migration of the checkout is in the installed package."""
    package = next((installed / "venv" / "lib").glob("python3.*")) / "site-packages" / "idp"
    expected = files_of(ROOT / "idp")
    expected |= {f"{name}/{file}" for name in ("templates", "static") for file in files_of(ROOT / name)}
    assert {"templates/base.html", "store/db.py"} <= expected
    assert [name for name in expected if "/migrations/versions/" in name]
    assert expected - files_of(package) == set()


@pytest.mark.slow
def test_the_wheel_serves_its_pages_from_another_folder(installed: Path) -> None:
    """Packaging, wheel: installed elsewhere, `idp init` and `idp serve` answer with the sign-in page and its stylesheet."""
    listen = f"127.0.0.1:{free_port()}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("IDP_", "PYTHON"))}
    environ |= {"IDP_PUBLIC_URL": f"http://{listen}", "IDP_DATA_DIR": str(installed / "data")}
    idp = str(installed / "venv" / "bin" / "idp")
    made = subprocess.run(
        [idp, "init"], cwd=installed, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert made.returncode == 0, made.stdout + made.stderr
    log = (installed / "log").open("w+")
    server = subprocess.Popen([idp, "serve", "--listen", listen], cwd=installed, env=environ, stdout=log, stderr=log)
    try:
        page = eventually(f"http://{listen}/t/demo", server)
        assert page.status_code == 200, page.text
        assert "text/html" in page.headers["content-type"]
        styles = re.findall(r'href="(/static/[^"]+\.css[^"]*)"', page.text)
        assert styles
        sheet = httpx.get(f"http://{listen}{styles[0]}")
        assert (sheet.status_code, sheet.headers["content-type"].split(";")[0]) == (200, "text/css")
        assert sheet.content == (ROOT / "static" / Path(httpx.URL(styles[0]).path).name).read_bytes()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        log.close()


def eventually(url: str, server: subprocess.Popen[bytes]) -> httpx.Response:
    """The answer of a server that is starting; fails when it exits or needs more than 20 seconds."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return httpx.get(url, headers={"Accept": "text/html"})
        except httpx.TransportError:
            assert server.poll() is None, "the server exited"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)
