"""The functions that an expression may call; names and meanings are JSON-e's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.rules.templates.jsone.budget import (
    Mistake,
    Run,
    Scope,
    is_number,
    kind_of,
    text_of,
    whole_if_exact,
    within_bounds,
)
from app.translation import ntranslatable, translatable

_OFFSET = re.compile(
    r"(?P<sign>[+-]?) ?"
    r"(?:(?P<years>\d{1,9}) ?(?:years|year|yr|y))? ?"
    r"(?:(?P<months>\d{1,9}) ?(?:months|month|mo))? ?"
    r"(?:(?P<weeks>\d{1,9}) ?(?:weeks|week|wk|w))? ?"
    r"(?:(?P<days>\d{1,9}) ?(?:days|day|d))? ?"
    r"(?:(?P<hours>\d{1,9}) ?(?:hours|hour|hr|h))? ?"
    r"(?:(?P<minutes>\d{1,9}) ?(?:minutes|minute|min|m))? ?"
    r"(?:(?P<seconds>\d{1,9}) ?(?:seconds|second|sec|s))?"
)
_WHOLE = re.compile(r"\s*[+-]?\d{1,18}\s*")


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how many arguments it takes, of which kinds, and what it does with them."""

    name: str
    least: int
    most: int
    kinds: frozenset[str]
    apply: Callable[[Scope, Run, list[Any]], Any]

    def call(self, scope: Scope, run: Run, arguments: list[Any]) -> Any:
        if not self.least <= len(arguments) <= self.most:
            raise Mistake(
                translatable(
                    "%(name)s() takes %(arguments)s, found %(count)s",
                    name=self.name,
                    arguments=self._count(),
                    count=len(arguments),
                )
            )
        for number, argument in enumerate(arguments, start=1):
            if kind_of(argument) not in self.kinds:
                allowed = " or ".join(sorted(self.kinds))
                raise Mistake(
                    translatable(
                        "argument %(number)s of %(name)s() must be %(allowed)s, found %(kind_of)s",
                        number=number,
                        name=self.name,
                        allowed=allowed,
                        kind_of=kind_of(argument),
                    )
                )
        try:
            return self.apply(scope, run, arguments)
        except (ValueError, OverflowError) as error:
            raise Mistake(translatable("%(name)s(): %(error)s", name=self.name, error=error)) from error

    def _count(self) -> str:
        if self.least == self.most:
            return ntranslatable("%(num)s argument", "%(num)s arguments", self.least)
        return (
            translatable("%(least)s or more arguments", least=self.least)
            if self.most > 9
            else translatable("%(least)s to %(most)s arguments", least=self.least, most=self.most)
        )


def from_now(offset: str, reference: Any, run: Run) -> str:
    """Return the instant `offset` away from `reference` (ISO text), as text with milliseconds.

    A year counts as 365 days and a month as 30, as JSON-e defines it.
    """
    run.spend(10)
    found = _OFFSET.fullmatch(" ".join(offset.split())) if len(offset) <= 200 else None
    if found is None:
        raise Mistake(
            translatable("%(offset)s is not a time offset; write for example '1 day 2 hours'", offset=repr(offset[:40]))
        )
    amount = {name: int(value) for name, value in found.groupdict().items() if name != "sign" and value}
    days = 365 * amount.pop("years", 0) + 30 * amount.pop("months", 0) + amount.pop("days", 0)
    if not isinstance(reference, str) or len(reference) > 40:
        raise Mistake(translatable("the reference time must be ISO text, such as 2026-11-22T14:02:00.000Z"))
    try:
        start = datetime.fromisoformat(reference)
        start = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
        distance = timedelta(days=days, **amount)
        return iso_text(start - distance if found["sign"] == "-" else start + distance)
    except ValueError as error:
        raise Mistake(
            translatable("%(reference)s is not an ISO time such as 2026-11-22T14:02:00.000Z", reference=repr(reference))
        ) from error
    except OverflowError as error:
        raise Mistake(translatable("the time lies outside the years 1 to 9999")) from error


def iso_text(instant: datetime) -> str:
    """Return an instant as JSON-e writes it: UTC, milliseconds, `Z`."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _range(_scope: Scope, run: Run, arguments: list[Any]) -> list[int]:
    if not all(type(argument) is int for argument in arguments):
        raise Mistake(translatable("range() takes whole numbers"))
    start, stop, *rest = arguments
    step = rest[0] if rest else 1
    if step == 0:
        raise Mistake(translatable("the step of range() must not be 0"))
    run.spend(max(0, (stop - start) // step) + 1)
    return list(range(start, stop, step))


def _join(_scope: Scope, run: Run, arguments: list[Any]) -> str:
    items, separator = arguments
    if not isinstance(items, list) or not (isinstance(separator, str) or is_number(separator)):
        raise Mistake(translatable("join() takes an array and a separator"))
    run.spend(len(items))
    for item in items:
        if not isinstance(item, str | int | float):
            raise Mistake(
                translatable(
                    "join() takes an array of strings and numbers, found %(kind_of)s in it", kind_of=kind_of(item)
                )
            )
    texts = [text_of(item) for item in items]
    separator = text_of(separator)
    run.spend_text(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _split(_scope: Scope, run: Run, arguments: list[Any]) -> list[str]:
    text, separator = arguments[0], text_of(arguments[1])
    if not isinstance(text, str):
        raise Mistake(translatable("split() takes a string, found %(kind_of)s", kind_of=kind_of(text)))
    run.spend_text(len(text))
    run.spend_items(text.count(separator))
    return text.split(separator) if separator else list(text)


def _number(_scope: Scope, run: Run, arguments: list[Any]) -> int | float:
    text: str = arguments[0]
    run.spend_text(len(text))
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return whole_if_exact(within_bounds(float(text)))
    except ValueError:
        raise Mistake(translatable("%(text)s is not a number", text=repr(text[:40]))) from None


def _length(_scope: Scope, _run: Run, arguments: list[Any]) -> int:
    return len(arguments[0])


def _defined(scope: Scope, _run: Run, arguments: list[Any]) -> bool:
    return arguments[0] in scope


def _from_now(scope: Scope, run: Run, arguments: list[Any]) -> str:
    return from_now(arguments[0], arguments[1] if len(arguments) > 1 else scope.get("now"), run)


def _of_text(change: Callable[[str], str]) -> Callable[[Scope, Run, list[Any]], str]:
    def apply(_scope: Scope, run: Run, arguments: list[Any]) -> str:
        run.spend_text(3 * len(arguments[0]))
        return change(arguments[0])

    return apply


def _of_numbers(calculate: Callable[..., Any]) -> Callable[[Scope, Run, list[Any]], int | float]:
    def apply(_scope: Scope, _run: Run, arguments: list[Any]) -> int | float:
        result = within_bounds(calculate(*arguments))
        return whole_if_exact(result) if isinstance(result, float) else result

    return apply


_TEXT = frozenset({"string"})
_NUMBER = frozenset({"number"})
_SCALAR = frozenset({"string", "number", "boolean", "null"})
_ANY = frozenset({"string", "number", "boolean", "null", "array", "object", "function"})

FUNCTIONS: dict[str, Any] = {
    function.name: function
    for function in (
        Function("min", 1, 100, _NUMBER, _of_numbers(lambda *numbers: min(numbers))),
        Function("max", 1, 100, _NUMBER, _of_numbers(lambda *numbers: max(numbers))),
        Function("sqrt", 1, 1, _NUMBER, _of_numbers(math.sqrt)),
        Function("abs", 1, 1, _NUMBER, _of_numbers(abs)),
        Function("ceil", 1, 1, _NUMBER, _of_numbers(math.ceil)),
        Function("floor", 1, 1, _NUMBER, _of_numbers(math.floor)),
        Function("range", 2, 3, _NUMBER, _range),
        Function("lowercase", 1, 1, _TEXT, _of_text(str.lower)),
        Function("uppercase", 1, 1, _TEXT, _of_text(str.upper)),
        Function("strip", 1, 1, _TEXT, _of_text(str.strip)),
        Function("lstrip", 1, 1, _TEXT, _of_text(str.lstrip)),
        Function("rstrip", 1, 1, _TEXT, _of_text(str.rstrip)),
        Function("len", 1, 1, frozenset({"string", "array"}), _length),
        Function("str", 1, 1, _SCALAR, lambda _scope, _run, arguments: text_of(arguments[0])),
        Function("number", 1, 1, _TEXT, _number),
        Function("join", 2, 2, frozenset({"array", "string", "number"}), _join),
        Function("split", 2, 2, frozenset({"string", "number"}), _split),
        Function("fromNow", 1, 2, _TEXT, _from_now),
        Function("typeof", 1, 1, _ANY, lambda _scope, _run, arguments: kind_of(arguments[0])),
        Function("defined", 1, 1, _TEXT, _defined),
    )
}
"""By name; put into every scope under the names of the document, which may hide them."""
