"""What the source must keep to, besides the import order that `make check` holds."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(ROOT.glob("app/**/*.py"))
LONGEST_MODULE = 300
WHOLE_ON_ONE_PAGE = {
    "app/rules/language/matcher.py",  # every match type: one judges them,
    "app/rules/language/value_list.py",  # the other reads them, side by side
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_short(path: Path) -> None:
    if str(path.relative_to(ROOT)) not in WHOLE_ON_ONE_PAGE:
        assert len(path.read_text("utf-8").splitlines()) <= LONGEST_MODULE


def test_no_vague_module_names() -> None:
    vague = {"utils", "util", "common", "helpers", "services", "models", "misc"}
    assert not {path.stem for path in MODULES} & vague


def test_only_the_clock_reads_time_and_randomness() -> None:
    forbidden = {
        *(("time", name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")),
        *(("datetime", name) for name in ("now", "utcnow", "today")),
        *(("loop", "time"), ("", "time")),  # also asyncio.get_running_loop().time()
        *(("uuid", "uuid4"), ("random", "random")),
    }
    # The simulator plays another machine and has a clock of its own.
    allowed = ("app/clock.py", "app/simulator/")
    found = [
        f"{path.relative_to(ROOT)}:{line} {module}.{name}()"
        for path in MODULES
        if not str(path.relative_to(ROOT)).startswith(allowed)
        for line, module, name in _calls(path)
        if (module, name) in forbidden
    ]
    assert found == []


def test_only_the_writer_commits() -> None:
    """Flows get an open transaction; migrations and reads have their own connections."""
    # A statement given to the driver begins the transaction that SQLAlchemy would begin; it does not commit.
    # The engine writes the first number by which an overwritten SQLite file is noticed.
    # The connection to PostgreSQL is the driver's.
    engines = {"driver.py", "sqlite.py", "postgres/pipelined_connection.py"}
    allowed = {"app/db/transaction.py", "app/db/schema.py"} | {f"app/db/engine/{name}" for name in engines}
    found = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for _, _, name in _calls(path)
        if name == "commit" or (name == "begin" and not {"server", "simulator"} & set(path.relative_to(ROOT).parts))
    }
    assert found == allowed


def test_server_and_command_line_run_no_sql_of_their_own() -> None:
    """They read through `app.audit` and write through flows; types such as `Connection` are no statements."""
    statements = {"select", "insert", "update", "delete", "text", "func", "union_all"}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {alias.name}"
        for path in MODULES
        if str(path.relative_to(ROOT)).startswith(("app/server/", "app/cli/"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
        for alias in node.names
        if alias.name in statements
    ]
    found += [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in MODULES
        if str(path.relative_to(ROOT)).startswith(("app/server/", "app/cli/"))
        for line, _, name in _calls(path)
        if name in {"exec_driver_sql", "execute", "scalar", "scalars"}
    ]
    assert found == []


def test_top_level_holds_nothing_unexpected() -> None:
    expected = {
        "pyproject.toml", "README.md", "app", "migrations", "tests", "Dockerfile",
        "LICENSE", "CHANGELOG.md", "Makefile", "compose.yaml",
    }  # fmt: skip
    present = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    made_by_tools = {name for name in present if name.endswith((".egg-info", ".db", ".db-wal", ".db-shm", ".serving"))}
    made_by_readers_of_the_readme = {"rules.yaml"}
    assert present - made_by_tools - made_by_readers_of_the_readme - {"build", "dist"} == expected


def test_every_package_is_in_the_table_of_stages() -> None:
    page = (ROOT / "app/README.md").read_text("utf-8")
    table = page.partition("## Stages")[2].partition("## Flows")[0]
    named = set(re.findall(r"`([a-z_]+)`", "\n".join(line for line in table.splitlines() if line.startswith("|"))))
    packages = {path.parent.name for path in ROOT.glob("app/*/__init__.py")}
    assert packages - named == set()


def test_every_environment_variable_is_documented() -> None:
    documented = (ROOT / ".env.example").read_text("utf-8") + (ROOT / "README.md").read_text("utf-8")
    source = "\n".join(path.read_text("utf-8") for path in MODULES)
    assert {name for name in re.findall(r"\bUSHER_[A-Z_]+\b", source) if name not in documented} == set()


@cache
def _calls(path: Path) -> list[tuple[int, str, str]]:
    """Return the line, the owner's name ("" if it has none) and the name of each method or function that is called."""
    return [
        (node.lineno, node.func.value.id if isinstance(node.func.value, ast.Name) else "", node.func.attr)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
