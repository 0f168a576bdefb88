"""The limits of one expression, and what is said beyond them."""

from __future__ import annotations

from typing import Final

from app.rules.templates.jsone.budget import DEEPEST, Mistake
from app.translation import translatable

LONGEST_EXPRESSION: Final = 2000
"""Characters; parsing so many takes a few milliseconds."""


def too_long(length: int, longest: int) -> Mistake:
    """Return what is wrong with an expression of `length` characters."""
    return Mistake(
        translatable(
            "an expression may have at most %(most)s characters, found %(count)s; name parts of it with $let",
            most=longest,
            count=length,
        )
    )


def too_deep() -> Mistake:
    """Return what is wrong with an expression whose parentheses, lists, objects, signs or accesses nest too deep."""
    return Mistake(
        translatable(
            "the expression nests deeper than %(most)s levels; name inner parts of it with $let",
            most=DEEPEST,
        )
    )
