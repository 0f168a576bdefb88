"""Which JSON numbers can be compared as numbers."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, TypeGuard

_EXACT_IN_BINARY64 = 1 << 53


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether a value is a JSON number; `True` and `False` are not, though Python counts them as such."""
    kind = type(value)
    return kind is int or kind is float


def is_comparable(value: float) -> bool:
    """Return whether a number survives conversion to binary64 unchanged.

    Those that do not (most integers beyond 2**53, infinities) equal only themselves and lie in no range, as in
    event-ruler's `ComparableNumber`.
    """
    if type(value) is int:
        if -_EXACT_IN_BINARY64 <= value <= _EXACT_IN_BINARY64:
            return True
        try:
            shortest = repr(float(value))
        except OverflowError:
            return False
        return Decimal(shortest) == value
    return math.isfinite(value)
