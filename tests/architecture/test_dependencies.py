"""pyproject.toml declares what is imported, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = {"app", "migrations", "tests"}
SHARED_NAMESPACES = {
    "livekit.api": "livekit-api",
    "livekit.protocol": "livekit-protocol",
    "google.protobuf": "protobuf",
}
LOADED_WITHOUT_IMPORT = {
    "aiosqlite": "SQLAlchemy loads it for the handler that benchmarks compare with",
    "asyncpg": "SQLAlchemy loads it for the same handler on PostgreSQL",
    "psycopg": "SQLAlchemy loads it for postgresql+psycopg://",
    "tzdata": "zoneinfo reads it where the system has no zones",
}
TOOLS = {
    "hypothesis", "import-linter", "mypy", "oidc-provider-mock", "pytest-asyncio", "pytest-xdist", "ruff",
    "schemathesis", "types-pyyaml", "uv",
}  # fmt: skip
"""Started by name, or found by pytest and mypy."""


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


RUNTIME = {_name(one) for one in PROJECT["dependencies"]}
EXTRA = PROJECT["optional-dependencies"]
EXTRAS = {_name(one) for extra in EXTRA.values() for one in extra}


@cache
def _imported(*folders: str) -> frozenset[str]:
    """Return the distributions of the modules that the folders import, typing-only imports included."""
    known = packages_distributions()
    found: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        if path.is_relative_to(ROOT / "tests/harness/livekit/programs"):  # run in an environment of their own
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for module in modules:
                top, _, rest = module.partition(".")
                if top in OURS or top in sys.stdlib_module_names:
                    continue
                shared = SHARED_NAMESPACES.get(f"{top}.{rest.partition('.')[0]}")
                names = {shared} if shared else {_name(one) for one in known.get(top, [top])}
                assert len(names) == 1, f"{path.name}: {module} is of {sorted(names)}; add it to SHARED_NAMESPACES"
                found |= names
    return frozenset(found)


def test_what_the_service_imports_is_declared() -> None:
    # Imported only where DATABASE_URL names a PostgreSQL
    assert _imported("app", "migrations") - RUNTIME == {_name(one) for one in EXTRA["postgres"]}


def test_what_is_declared_is_used() -> None:
    assert RUNTIME - _imported("app", "migrations") == LOADED_WITHOUT_IMPORT.keys() - EXTRAS


def test_what_tests_import_is_declared() -> None:
    assert _imported("tests") - RUNTIME - EXTRAS == set()


def test_what_is_declared_for_development_is_used() -> None:
    assert EXTRAS - _imported("tests") - LOADED_WITHOUT_IMPORT.keys() - RUNTIME <= TOOLS


@pytest.mark.parametrize("requirement", PROJECT["dependencies"])
def test_every_dependency_has_a_lower_bound_that_make_lowest_tries(requirement: str) -> None:
    assert re.search(r">=\d", requirement), requirement
