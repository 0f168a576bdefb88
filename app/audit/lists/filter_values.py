"""What the filters of all lists share."""

from __future__ import annotations

from typing import Any

from app.audit.records.record_types import columns_of
from app.errors import InvalidInputError, Problem
from app.strict_json import UNSTORABLE_MESSAGE, is_storable

DEFAULT_LIMIT = 50


def refuse_unstorable(chosen: Any) -> None:
    """Raise InvalidInputError for texts in a filter that no column can hold; the database would fail on them."""
    problems = []
    for name in columns_of(type(chosen)):
        value = getattr(chosen, name)
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(one, str) and not is_storable(one) for one in texts):
            problems.append(Problem(name, UNSTORABLE_MESSAGE))
    if problems:
        raise InvalidInputError("query", problems)
