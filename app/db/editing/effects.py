"""What holds of a row with values that cannot be used, until somebody mends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.errors import Problem


def with_effects(problems: Iterable[Problem], effects: Mapping[str, str]) -> list[str]:
    """Return problems as texts, each with what holds meanwhile.

    `effects` has that by the path of the problem; `kinds[]` stands for the items of `kinds`.
    """
    texts = []
    for one in problems:
        column, mark, _ = one.path.partition("[")
        effect = effects.get(f"{column}[]" if mark else column, "")
        texts.append(f"{one}; until it is mended, {effect}" if effect else str(one))
    return texts
