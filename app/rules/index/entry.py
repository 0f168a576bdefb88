"""The unit of the index: one alternative of one rule."""

from __future__ import annotations

from typing import NamedTuple

from app.rules.language.compile import Alternative
from app.rules.rule import Rule


class Entry(NamedTuple):
    """One alternative of one rule; `rank` orders it by the rule, then by the alternative, and no two share it."""

    rank: int
    rule: Rule
    alternative: Alternative
