"""What holds of a row with values that cannot be used, until somebody mends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.errors import Problem
from app.translation import translatable


def with_effects(problems: Iterable[Problem], effects: Mapping[str, str]) -> list[str]:
    """Return problems as texts, each with what holds meanwhile.

    `effects` has that by the path of the problem; `kinds[]` stands for the items of `kinds`.
    """
    texts = []
    for one in problems:
        column, mark, _ = one.path.partition("[")
        effect = effects.get(f"{column}[]" if mark else column, "")
        text = str(one)
        if effect:
            text = translatable("%(problem)s; until it is mended, %(effect)s", problem=one, effect=effect)
        texts.append(text)
    return texts
