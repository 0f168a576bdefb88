"""The pages for users, and the blocks of code and the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.server.documentation.library import APP, library, page_files

ROOT = APP.parent
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: the page, its place, its language and its text."""

    page: str
    at: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.at}"


def user_pages() -> dict[str, str]:
    """Return the text of README and of each page of the documentation, by its path in the repository."""
    files = page_files()
    paths = [Path("README.md"), *(Path("app") / files[page.name] for page in library().order)]
    return {str(path): (ROOT / path).read_text("utf-8") for path in paths}


@cache
def blocks(language: str) -> list[Block]:
    """Return all blocks of a language."""
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[2], _dedented(found[3], found[1]))
        for page, text in user_pages().items()
        for found in _FENCE.finditer(text)
        if found[2] == language
    ]


def _dedented(text: str, indent: str) -> str:
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


def shell_commands() -> list[tuple[str, str]]:
    """Return the page and the text of each line of a shell block that runs usher."""
    return [
        (block.page, line.strip())
        for block in blocks("sh")
        for line in block.text.replace("\\\n", " ").splitlines()
        if line.strip().split(" ")[0].endswith("usher")
    ]


def inline_commands() -> Iterator[tuple[str, str]]:
    """Yield the page and the text of each `usher …` that stands in running text."""
    for page, text in user_pages().items():
        for found in re.finditer(r"(?<!`)`((?:\.venv/bin/)?usher [^`\n]+(?:\n[^`\n]+)?)`(?!`)", _FENCE.sub("", text)):
            yield page, " ".join(found[1].split())
