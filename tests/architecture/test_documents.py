"""What documents say about the repository must be true in every clone of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (".ci", ".github", "app", "migrations", "tests")
PAGES = sorted({*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))})
SUFFIXES = {".cfg", ".json", ".mako", ".md", ".py", ".sql", ".toml", ".yaml", ".yml", ""}
TEXTS = sorted(
    {
        path
        for pattern in ("*", *(f"{folder}/**/*" for folder in FOLDERS))
        for path in ROOT.glob(pattern)
        if path.is_file()
        and path.name != ".git"
        and path.suffix in SUFFIXES
        and path != Path(__file__)
        and "__pycache__" not in path.parts
    }
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
_NAMED_PATH = re.compile(r"`{1,2}((?:app|migrations|tests|\.github)/[\w./-]+|\.ci/run|\.env\.example)`")
_NAMED_PAGE = re.compile(r"[\w./-]*\w\.md\b")
_DESIGN = re.compile(r"\bDESIGN\b")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = _CODE.sub("", page.read_text("utf-8"))
    targets = [one or other for one, other in _LINK.findall(text)]
    broken = [
        target
        for target in targets
        if "://" not in target and not target.startswith("mailto:") and not _leads_somewhere(page, target)
    ]
    assert broken == []


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    if not found.is_relative_to(ROOT) or not found.exists():
        return False
    return not anchor or anchor in _anchors(found)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_paths_that_are_named_exist() -> None:
    missing = [
        f"{_name(path)}: {named}"
        for path in TEXTS
        for named in _NAMED_PATH.findall(path.read_text("utf-8"))
        if not (ROOT / named).exists() and not named.endswith((".", "-"))
    ]
    assert missing == []


def test_pages_that_are_named_exist() -> None:
    """Nothing refers to a document that a clone does not have."""
    known = [f"/{_name(page)}" for page in PAGES]
    unknown = [
        f"{_name(path)}: {named}"
        for path in TEXTS
        for named in _NAMED_PAGE.findall(path.read_text("utf-8"))
        if not any(page.endswith(f"/{named.rpartition('../')[2].removeprefix('./')}") for page in known)
    ]
    assert unknown == []


def test_nothing_refers_to_a_design_outside_the_repository() -> None:
    assert [_name(path) for path in TEXTS if _DESIGN.search(path.read_text("utf-8"))] == []
