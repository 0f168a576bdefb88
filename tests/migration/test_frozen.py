"""Released revisions stay as they are: databases exist that were made by them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"

RELEASED = {
    "0008_first_schema.py": "cc22225da79ae57181dd89bb2d0b6f390e66b04d22e0e7cf69106949db598a5f",
    "0008_first_schema.sqlite.sql": "f00cb3d0883e1e7f44b6c22a5940184498f7e7d263a0db5bbb94719876694fa1",
    "0008_first_schema.postgresql.sql": "02b6956a6844fe9c21a324ea8d85dfc629746c793c5a14c798ac8f1be469396f",
}


def test_released_revisions_are_unchanged() -> None:
    found = {name: hashlib.sha256((VERSIONS / name).read_bytes()).hexdigest() for name in RELEASED}
    assert found == RELEASED


def test_every_further_revision_says_when_it_runs() -> None:
    files = {path.name for path in VERSIONS.glob("*.py")} - set(RELEASED) - {"__init__.py"}
    assert [name for name in files if not re.fullmatch(r"\d{4}_(pre|post)_[a-z0-9_]+\.py", name)] == []


def test_revisions_do_not_change_with_the_application() -> None:
    imports = re.compile(r"^\s*(?:from|import)\s+(?:app|migrations)\b", re.MULTILINE)
    assert [path.name for path in VERSIONS.glob("*.py") if imports.search(path.read_text("utf-8"))] == []
