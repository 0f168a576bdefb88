"""The steps of `a + b + c …`, each of which takes the value of what is on its left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.rules.templates.jsone.binary_operators import BINARY
from app.rules.templates.jsone.budget import UNKNOWN, Node, Run, Scope

Step = Callable[[Any, Scope, Run], Any]
"""Returns what an operator makes of the value on its left."""


def step_of(sign: str, right: Node) -> Step:
    """Return the step of the operator `sign` with its right operand."""
    if sign in {"||", "&&"}:
        return _logical(right, decided_by=sign == "||")
    apply = BINARY[sign]

    def binary(one: Any, scope: Scope, run: Run) -> Any:
        run.spend(1)
        other = right(scope, run)
        if one is UNKNOWN or other is UNKNOWN:
            return UNKNOWN
        return apply(one, other, run)

    return binary


def _logical(right: Node, *, decided_by: bool) -> Step:
    """Return the step of `||`, which is decided by a left operand that is true, or of `&&`, by one that is false."""

    def logical(value: Any, scope: Scope, run: Run) -> Any:
        if value is UNKNOWN:
            right(scope, run)
            return UNKNOWN
        if bool(value) is decided_by:
            return decided_by
        value = right(scope, run)
        return value if value is UNKNOWN else bool(value)

    return logical
