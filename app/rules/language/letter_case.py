"""Compares text in which each character may be in its lower or its upper case, as event-ruler does it.

The cases are those of each character of the pattern by itself, so "ß" also finds "SS", but never "ss".
"""

from __future__ import annotations

import re
from functools import lru_cache


def holds_in_cases(text: str, where: str, value: str) -> bool:
    """Return whether the value equals, has as its prefix or has as its suffix the text in either case."""
    expression, shortest, longest = _cases(text)
    if where == "prefix":
        return expression.match(value) is not None
    if where == "equals":
        return expression.fullmatch(value) is not None
    sizes = range(shortest, min(longest, len(value)) + 1)
    return any(expression.fullmatch(value, len(value) - size) for size in sizes)


@lru_cache(maxsize=1024)
def _cases(text: str) -> tuple[re.Pattern[str], int, int]:
    """Return the expression for `text` with either case of each character, and its shortest and longest length."""
    expression, shortest, longest = [], 0, 0
    for character in text:
        lower, upper = character.lower(), character.upper()
        expression.append(re.escape(lower) if lower == upper else f"(?:{re.escape(lower)}|{re.escape(upper)})")
        shortest += min(len(lower), len(upper))
        longest += max(len(lower), len(upper))
    return re.compile("".join(expression), re.DOTALL), shortest, longest
