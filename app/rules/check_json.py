"""Checks that a value of a rule is JSON that both databases can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.errors import Problem, join_path
from app.strict_json import MAX_DEPTH, UNSTORABLE_MESSAGE, is_storable
from app.translation import translatable

_LONGEST_SHOWN: Final = 100


def type_name(value: Any) -> str:
    """Return what people call the type of a value."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return translatable("a number")
    return _TYPE_NAMES.get(type(value)) or type(value).__name__


_TYPE_NAMES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: translatable("true or false"),
    str: translatable("text"),
    list: translatable("a list"),
    dict: translatable("an object"),
}


def json_problems(path: str, value: Any, depth: int = 0) -> list[Problem]:
    """Return what in `value` is not JSON, or is JSON that only one of the databases can hold."""
    if depth > MAX_DEPTH:
        return [Problem(path, translatable("nests deeper than %(most)s levels", most=MAX_DEPTH))]
    if isinstance(value, str):
        return [] if is_storable(value) else [Problem(path, UNSTORABLE_MESSAGE)]
    if isinstance(value, dict):
        problems = []
        for key, item in value.items():
            if isinstance(key, str):
                problems += json_problems(path, key, depth + 1) + json_problems(join_path(path, key), item, depth + 1)
            else:
                problems.append(Problem(path, translatable("has a key that is not text; put it in quotes"), found=key))
        return problems
    if isinstance(value, list):
        return [
            problem
            for index, item in enumerate(value)
            for problem in json_problems(f"{path}[{index}]", item, depth + 1)
        ]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and value - value == 0):
        return []
    message = translatable("is not a JSON value but %(name)s; put it in quotes", name=type(value).__name__)
    return [Problem(path, message, found=str(value)[:_LONGEST_SHOWN])]
