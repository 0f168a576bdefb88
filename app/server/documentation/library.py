"""All pages of the documentation, in the order of the index."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

from app.server.documentation.links import DOCS
from app.server.documentation.markdown import Page, read_page

APP: Final = Path(__file__).parents[2]
INDEX: Final = "index"
_OF_FOLDER: Final = "README.md"

_ELSEWHERE: Final = {
    "rule-language": "rules/README.md",
    "rule-conditions": "rules/CONDITIONS.md",
    "livekit": "livekit/README.md",
    "licences": "NOTICE.md",
}
"""Pages that stand beside the code which they describe, below `app`."""
_FILES: Final = {
    "server/static/prometheus-alerts.yaml": "/console/static/prometheus-alerts.yaml",
    "server/static/grafana-dashboard.json": "/console/static/grafana-dashboard.json",
}
_ENTRY: Final = re.compile(r"^- \[[^\]]+\]\(([^)#]+)\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the index: its heading and its pages."""

    title: str
    pages: Sequence[Page]


@dataclass(frozen=True, slots=True)
class Library:
    """The pages by name. `groups` are those of the index; pages for maintainers are in no group."""

    pages: Mapping[str, Page]
    groups: Sequence[Group]

    @property
    def order(self) -> Sequence[Page]:
        """The index and the pages that it lists."""
        return [self.pages[INDEX], *(page for group in self.groups for page in group.pages)]

    def neighbours(self, page: Page) -> tuple[Page | None, Page | None]:
        """Return the pages before and after `page` in the order of the index."""
        order = self.order
        if page not in order:
            return None, None
        at = order.index(page)
        return (order[at - 1] if at else None), (order[at + 1] if at + 1 < len(order) else None)


def page_files() -> Mapping[str, str]:
    """Return the file of each page, relative to `app`, by the name of the page."""
    docs = {
        _name_of(path.relative_to(APP / "docs")): path.relative_to(APP).as_posix()
        for path in sorted((APP / "docs").rglob("*.md"))
    }
    return {**docs, **_ELSEWHERE}


@cache
def library() -> Library:
    """Return all pages; reading them takes some 0.1 s, once in a process."""
    files = page_files()
    names = {file: name for name, file in files.items()}
    texts = {name: (APP / file).read_text("utf-8") for name, file in files.items()}
    pages = {name: read_page(name, text, partial(_served, files[name], names)) for name, text in texts.items()}
    return Library(pages, _groups(texts[INDEX], pages, names))


def _name_of(path: Path) -> str:
    return path.parent.as_posix() if path.name == _OF_FOLDER else path.with_suffix("").as_posix()


def _served(file: str, names: Mapping[str, str], target: str) -> str | None:
    """Return the address at which the target of a link in `file` is served; None if it is not."""
    if target.startswith(("#", "/", "https://", "http://", "mailto:")):
        return target
    path, _, anchor = target.partition("#")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
    name = names.get(file, names.get(posixpath.join(file, _OF_FOLDER)))
    if name is None:
        return _FILES.get(file)
    return (DOCS if name == INDEX else DOCS + name) + (f"#{anchor}" if anchor else "")


def _groups(index: str, pages: Mapping[str, Page], names: Mapping[str, str]) -> Sequence[Group]:
    parts = re.split(r"^## +(.+)$", index, flags=re.MULTILINE)[1:]
    found = []
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        files = (posixpath.normpath(posixpath.join("docs", target)) for target in _ENTRY.findall(text))
        listed = [pages[names[file]] for file in files if file in names]
        if listed:
            found.append(Group(title.strip(), listed))
    return found
