"""The unit of the index: one alternative of one rule."""

from __future__ import annotations

from dataclasses import dataclass

from app.rules.language.compile import Alternative
from app.rules.rule import Rule


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One alternative of one rule; `rank` orders it by the rule, then by the alternative, and no two share it."""

    rank: int
    rule: Rule
    alternative: Alternative
