"""The operators between two operands of an expression."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.rules.templates.jsone.budget import Mistake, Run, are_equal, is_number, kind_of, whole_if_exact, within_bounds
from app.translation import translatable


def a_kind(value: Any) -> str:
    """Return the type of `value` with its article, for messages."""
    kind = kind_of(value)
    return _WITH_ARTICLE.get(kind, kind)


_WITH_ARTICLE: Final[Mapping[str, str]] = {
    "boolean": translatable("a boolean"),
    "string": translatable("a string"),
    "number": translatable("a number"),
    "array": translatable("an array"),
    "object": translatable("an object"),
    "function": translatable("a function"),
}


def _add(left: Any, right: Any, run: Run) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        run.spend_text(len(left) + len(right))
        return left + right
    if is_number(left) and is_number(right):
        return _calculate(operator.add, left, right)
    raise Mistake(
        translatable(
            "+ needs two numbers or two strings, found %(left)s and %(right)s; str() makes a string",
            left=a_kind(left),
            right=a_kind(right),
        )
    )


def _arithmetic(sign: str, apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Run], Any]:
    def calculate(left: Any, right: Any, _run: Run) -> Any:
        if not (is_number(left) and is_number(right)):
            raise Mistake(
                translatable(
                    "%(sign)s needs two numbers, found %(left)s and %(right)s",
                    sign=sign,
                    left=a_kind(left),
                    right=a_kind(right),
                )
            )
        return _calculate(apply, left, right)

    return calculate


def _calculate(apply: Callable[[Any, Any], Any], left: float, right: float) -> int | float:
    try:
        return within_bounds(apply(left, right))
    except ZeroDivisionError as error:
        raise Mistake(translatable("division by zero")) from error
    except OverflowError as error:
        raise Mistake(translatable("a number became too large")) from error


def _divide(left: float, right: float) -> int | float:
    return whole_if_exact(left / right)


def _power(base: float, exponent: float) -> int | float:
    if isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1:
        # Refused before it is worked out: 9**9**9 has 370 million digits.
        if abs(exponent) > 1100 or abs(exponent) * base.bit_length() > 1100:
            raise Mistake(translatable("a number became larger than 2**1023"))
    elif isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        exponent = exponent % 2 or 2
    result: Any = base**exponent
    if isinstance(result, complex):
        raise Mistake(translatable("a negative number has no such power"))
    return within_bounds(result)


def _compare(sign: str, apply: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Run], bool]:
    def compare(left: Any, right: Any, run: Run) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            run.spend_text(min(len(left), len(right)))
        elif not (is_number(left) and is_number(right)):
            raise Mistake(
                translatable(
                    "%(sign)s needs two numbers or two strings, found %(left)s and %(right)s",
                    sign=sign,
                    left=a_kind(left),
                    right=a_kind(right),
                )
            )
        return apply(left, right)

    return compare


def _is_in(left: Any, right: Any, run: Run) -> bool:
    if isinstance(right, list):
        return any(are_equal(left, item, run) for item in right)
    if not isinstance(right, dict | str):
        raise Mistake(
            translatable("in needs an array, an object or a string on its right, found %(right)s", right=a_kind(right))
        )
    if not isinstance(left, str):
        raise Mistake(
            translatable(
                "in needs a string on its left when %(right)s is on its right, found %(left)s",
                right=a_kind(right),
                left=a_kind(left),
            )
        )
    if isinstance(right, str):
        run.spend_text(len(right))
    return left in right


BINARY: dict[str, Callable[[Any, Any, Run], Any]] = {
    "+": _add,
    "-": _arithmetic("-", operator.sub),
    "*": _arithmetic("*", operator.mul),
    "/": _arithmetic("/", _divide),
    "**": _arithmetic("**", _power),
    "<": _compare("<", operator.lt),
    ">": _compare(">", operator.gt),
    "<=": _compare("<=", operator.le),
    ">=": _compare(">=", operator.ge),
    "==": are_equal,
    "!=": lambda left, right, run: not are_equal(left, right, run),
    "in": _is_in,
}
