"""Writes docs/interop.md, the matrix client × feature, from what the tests of tests/interop/ showed: `make interop`.

Each test that passed has left a record in the folder that is named on the command line; without a record a cell says so.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "interop.md"


def page(records: Path) -> str:
    """The page that a folder of records yields."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(records.glob("*.json"))]
    shown = {(each["client"], each["feature"]) for each in found}
    versions = {each["client"]: each["version"] for each in found}
    return str(runpy.run_path(str(ROOT / "tests" / "interop" / "matrix.py"))["render"](shown, versions))


if __name__ == "__main__":
    TARGET.write_text(page(Path(sys.argv[1])), "utf-8")
    print(f"wrote {TARGET}")
