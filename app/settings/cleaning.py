"""The texts of environment variables, without what shells, secret stores and .env files leave around them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from app.errors import Problem

_QUOTES: Final = "\"'"
_UNEXPANDED: Final = re.compile(r"\$(?:\w+|\{[^}]*\}|\([^)]*\))|%\w+%|\{\{.*\}\}")


def unquoted(text: str) -> str:
    """Return `text` without white space and one pair of quotes around it."""
    text = text.strip()
    quote = text[:1]
    if len(text) > 1 and quote in _QUOTES and text.endswith(quote) and quote not in text[1:-1]:
        return text[1:-1].strip()
    return text


def clean_values(environment: Mapping[str, str], names: frozenset[str]) -> tuple[dict[str, str], list[Problem]]:
    """Return the values of the settings `names` that are not empty, cleaned, and what cannot be cleaned.

    An empty value counts as unset: `USHER_PORT=$PORT` in a shell or compose file where PORT is not set.
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for name in sorted(names & environment.keys()):
        text = unquoted(environment[name])
        if not text:
            continue
        problem = _leftover(name, text)
        if problem is None:
            values[name] = text
        else:
            problems.append(problem)
    return values, problems


def _leftover(name: str, text: str) -> Problem | None:
    if (text[0] in _QUOTES) != (text[-1] in _QUOTES):
        return Problem(name, "has a quotation mark at one end only; remove it")
    if _UNEXPANDED.fullmatch(text):
        return Problem(name, f"is {text[:60]!r}: a variable whose value nothing has put in its place")
    if "\0" in text:
        return Problem(name, "holds a NUL character")
    return None
