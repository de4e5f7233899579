"""How long modules may be, what they may be called and that each says what it owns."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400
VAGUE = re.compile(r"(utils?|helpers?|common|misc)(\.py)?")


def modules() -> list[Path]:
    """Every module of the package, migrations aside."""
    return [path for path in sorted((ROOT / "idp").rglob("*.py")) if "migrations" not in path.parts]


def lengths(paths: list[Path]) -> dict[str, int]:
    """The number of lines of each file."""
    return {path.as_posix(): len(path.read_text("utf-8").splitlines()) for path in paths}


def test_no_module_is_long() -> None:
    """Architecture, layout: a module with two reasons to change is split before it has 400 lines; the median stays near 90."""
    found = lengths(modules())
    assert len(found) > 20
    assert {path: lines for path, lines in found.items() if lines > LONGEST} == {}
    assert median(lines for lines in found.values() if lines > 3) <= 135


def test_names_say_what_is_inside() -> None:
    """Architecture, layout: nothing is called utils, helpers, common or misc."""
    names = [part for path in modules() for part in path.relative_to(ROOT).parts]
    assert names
    assert [name for name in names if VAGUE.fullmatch(name)] == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_module_says_what_it_owns(path: Path) -> None:
    """Architecture, conventions: a module opens with a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_control_a_long_module_is_counted(tmp_path: Path) -> None:
    """Architecture, negative control: a file of 401 lines counts as longer than the limit, `utils.py` as vague."""
    (tmp_path / "long.py").write_text("x = 1\n" * (LONGEST + 1), "utf-8")
    assert next(iter(lengths([tmp_path / "long.py"]).values())) > LONGEST
    assert VAGUE.fullmatch("utils.py")
    assert not VAGUE.fullmatch("mint.py")
