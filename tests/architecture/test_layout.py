"""Where things are: how full folders may be, what names may mean, what each package says of itself."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_MODULES = 12
NAMED_FOR_SUBJECTS = ("app/cli/", "app/db/tables/", "app/server/", "app/simulator/")
"""Interfaces, tables and the stand-in LiveKit: their modules bear the names of the subjects that they are about."""

TIERS = {"unit", "integration", "contract", "migration", "acceptance", "browser", "e2e"}
BORROWED = {("integration", "tests.unit.rules.books")}  # events and rows with everything in them


def _modules(top: str) -> list[Path]:
    return [path for path in sorted((ROOT / top).rglob("*.py")) if not path.stem.startswith("__")]


def test_folders_hold_about_a_dozen_modules() -> None:
    sizes = Counter(str(path.parent.relative_to(ROOT)) for top in ("app", "tests") for path in _modules(top))
    assert {folder: size for folder, size in sizes.items() if size > MOST_MODULES} == {}


def test_a_module_name_means_one_thing() -> None:
    names = Counter(
        path.stem for path in _modules("app") if not str(path.relative_to(ROOT)).startswith(NAMED_FOR_SUBJECTS)
    )
    assert {name for name, count in names.items() if count > 1} == set()


def test_every_package_says_what_it_is_for() -> None:
    packages = [path for top in ("app", "tests") for path in (ROOT / top).rglob("__init__.py")]
    silent = [
        str(path.relative_to(ROOT)) for path in packages if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_tiers_import_nothing_from_each_other() -> None:
    """What two tiers need is in a folder of its own, such as tests/harness; benchmarks may use everything."""
    borrowed = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in _modules("tests")
        for module in _imported(path)
        if (tier := path.relative_to(ROOT).parts[1]) in TIERS
        and module.startswith("tests.")
        and module.split(".")[1] in (TIERS | {"benchmark"}) - {tier}
        and (tier, module) not in BORROWED
    ]
    assert borrowed == []


def _imported(path: Path) -> list[str]:
    tree = ast.walk(ast.parse(path.read_text("utf-8")))
    return [node.module for node in tree if isinstance(node, ast.ImportFrom) and node.module]
