"""The two packages as they are published: built from the sources, installed where nothing else is."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from running import need

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PYTHON, TYPESCRIPT = ROOT / "sdk" / "python", ROOT / "sdk" / "typescript"


def run(*command: str | Path, cwd: Path, seconds: float = 180, **environ: str) -> str:
    """Run a program that must succeed; returns what it prints."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("IDP_", "PYTHON"))} | environ
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env=given,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@contextmanager
def _alone() -> Iterator[None]:
    """Let processes of a parallel run take turns."""
    with (TYPESCRIPT / "package-lock.json").open() as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def typescript() -> Path:
    """The TypeScript SDK with its tools installed from the lock file, compiled."""
    need("Node.js 18", "Debian package nodejs", is_there=shutil.which("node") is not None)
    installed, lock = TYPESCRIPT / "node_modules" / ".package-lock.json", TYPESCRIPT / "package-lock.json"
    with _alone():
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            need("npm", "Debian package npm", is_there=shutil.which("npm") is not None)
            done = subprocess.run(
                ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=TYPESCRIPT,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            what = f"`npm ci` there says: {done.stderr[-500:]}"
            need("the packages of sdk/typescript", what, is_there=done.returncode == 0)
        compiled = TYPESCRIPT / "dist" / "index.js"
        newest = max(path.stat().st_mtime for path in (TYPESCRIPT / "src").rglob("*.ts"))
        if not compiled.exists() or compiled.stat().st_mtime <= newest:
            run("node_modules/.bin/tsc", "-p", "tsconfig.json", cwd=TYPESCRIPT)
            compiled.touch()
    return TYPESCRIPT


def npm_package(folder: Path) -> Path:
    """A folder where the packed TypeScript SDK, and nothing else, is installed."""
    typescript()
    with _alone():
        packed = run("npm", "pack", "--ignore-scripts", "--pack-destination", folder, cwd=TYPESCRIPT).split()[-1]
    there = folder / "application"
    there.mkdir()
    (there / "package.json").write_text('{"type": "module", "private": true}')
    run("npm", "install", "--no-audit", "--no-fund", "--offline", "--loglevel=error", folder / packed, cwd=there)
    return there


def wheel(folder: Path) -> Path:
    """The built wheel."""
    source = folder / "source"
    shutil.copytree(PYTHON, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, cwd=folder)
    shutil.rmtree(source)
    return next(folder.glob("authsec_sdk-*.whl"))


def environment(folder: Path) -> Path:
    """A virtual environment with the wheel and, by path, this environment's libraries; returns its Python."""
    built = wheel(folder)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-deps", "--no-index", built)
    run(*pip, cwd=folder)
    libraries = next(Path(entry) for entry in sys.path if (Path(entry) / "httpx" / "__init__.py").exists())
    own = next((folder / "venv" / "lib").glob("python3.*")) / "site-packages"
    (own / "libraries.pth").write_text(f"{libraries}\n", "utf-8")
    return python
