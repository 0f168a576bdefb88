"""app/livekit/README.md: each behaviour names what rests on it and its proof, and both exist."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "app/livekit/README.md").read_text("utf-8")
HEADER = "| LiveKit | rests on it | proof |"


def rows() -> list[tuple[str, str, str]]:
    """Return the rows of the tables of behaviours: behaviour, names, proof."""
    found = []
    for table in PAGE.split(HEADER)[1:]:
        lines = table.partition("\n\n")[0].strip().splitlines()[1:]
        for line in lines:
            behaviour, names, proof = (cell.strip() for cell in line.strip().strip("|").split(" | "))
            found.append((behaviour, names, proof))
    return found


ROWS = rows()


def exists(name: str) -> bool:
    """Return whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        for part in parts[size:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_page_has_its_tables() -> None:
    assert PAGE.count(HEADER) == 4
    assert len(ROWS) > 40


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_what_rests_on_a_behaviour_and_its_proof_exist(row: tuple[str, str, str]) -> None:
    _, names, proof = row
    named = re.findall(r"`([\w.]+)`", names)
    assert named
    assert [name for name in named if not exists(name)] == []
    if proof.startswith("read: "):
        return
    if proof.startswith("recorded: "):
        assert (ROOT / proof.removeprefix("recorded: ").strip("`")).is_file()
        return
    path, _, test = proof.strip("`").partition("::")
    assert test in functions_of(ROOT / path)


def test_every_module_of_the_package_is_listed() -> None:
    modules = {path.stem for path in (ROOT / "app/livekit").glob("*.py")} - {"__init__"}
    listed = set(re.findall(r"`(\w+)`", PAGE.partition(HEADER)[0].partition("| module |")[2]))
    assert modules <= listed
