"""Which JSON numbers can be compared as numbers."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, TypeGuard

_EXACT_IN_BINARY64 = 1 << 53


def is_number(value: Any) -> TypeGuard[int | float]:
    """Tell a JSON number from the rest; `True` and `False` are no numbers here, though they are in Python."""
    kind = type(value)
    return kind is int or kind is float


def is_comparable(value: float) -> bool:
    """Tell whether a number survives the way through binary64 unchanged.

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
