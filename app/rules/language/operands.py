"""Reads the operands of match types: texts, numbers, ranges, networks."""

from __future__ import annotations

from typing import Any

from app.errors import Problem, nearest
from app.rules.language.address import read_network
from app.rules.language.limits import MAX_PROBLEMS, MAX_TEXT, MAX_WILDCARDS
from app.rules.language.matcher import ABSENT, EXISTS, NOT_JSON, Exact, InNetwork, Matcher, Numeric, show_value
from app.rules.language.number import is_comparable, is_number
from app.rules.language.text_matcher import IgnoreCase, Prefix, Suffix, wildcard
from app.translation import translatable

_RANGE_STARTS = (">", ">=")
_RANGE_ENDS = ("<", "<=")
_OPERATORS = ("=", *_RANGE_STARTS, *_RANGE_ENDS)
NOT_A_NUMBER = translatable("an integer beyond binary64 cannot be compared; it can only be given as an exact value")


_LONGEST = 200


def _shown(found: Any) -> Any:
    """Return a value for a message: the start of its text if it is large or not JSON."""
    text = show_value(found)
    is_json = isinstance(found, (str, bool, int, float, list, dict)) and not text.startswith(NOT_JSON)
    return found if is_json and len(text) <= _LONGEST else _cut(text, _LONGEST)


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"


class Problems:
    """Collects the mistakes of one pattern, each with its path."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, path: str, message: str, found: Any = None, suggestion: str | None = None) -> None:
        if len(self.found) < MAX_PROBLEMS:
            if found is not None:
                found = _shown(found)
            self.found.append(Problem(_cut(path, _LONGEST), _cut(message, 2 * _LONGEST), found, suggestion))


def nearest_match_type(name: str, allowed: tuple[str, ...]) -> str | None:
    """Return the match type that `name` is most likely a misspelling of."""
    return nearest(name.strip().lower().replace("_", "-").replace(" ", "-"), allowed)


class OperandReader:
    """Reads the operand of a match type; None after a mistake, which goes to `problems`."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def read_text(self, operand: Any, path: str) -> str | None:
        if not isinstance(operand, str):
            self.problems.add(
                path, translatable("must be a string, found %(operand)s", operand=show_value(operand)), operand
            )
            return None
        return operand if self.fits(operand, path) else None

    def fits(self, text: str, path: str) -> bool:
        if len(text) > MAX_TEXT:
            self.problems.add(
                path,
                translatable(
                    "is %(count)s characters long; at most %(most)s are allowed", count=len(text), most=MAX_TEXT
                ),
            )
            return False
        return True

    def read_exactly(self, operand: Any, path: str) -> Matcher | None:
        text = self.read_text(operand, path)
        return None if text is None else Exact(text)

    def read_ignore_case(self, operand: Any, path: str) -> Matcher | None:
        text = self.read_text(operand, path)
        return None if text is None else IgnoreCase(text, "equals")

    def read_affix(self, where: str, operand: Any, path: str) -> Matcher | None:
        if isinstance(operand, dict):
            if list(operand) != ["equals-ignore-case"]:
                message = translatable(
                    "%(where)s takes a string or {'equals-ignore-case': string}, found %(operand)s",
                    where=where,
                    operand=show_value(operand),
                )
                self.problems.add(path, message, operand)
                return None
            text = self.read_text(operand["equals-ignore-case"], f"{path}.equals-ignore-case")
            return None if text is None else IgnoreCase(text, where)
        text = self.read_text(operand, path)
        if text is None:
            return None
        return Prefix(text) if where == "prefix" else Suffix(text)

    def read_wildcard(self, operand: Any, path: str) -> Matcher | None:
        text = self.read_text(operand, path)
        if text is None:
            return None
        try:
            matcher = wildcard(text)
        except ValueError as error:
            self.problems.add(path, str(error), operand)
            return None
        if len(matcher.pieces) > MAX_WILDCARDS + 1:
            self.problems.add(
                path,
                translatable(
                    "has %(count)s asterisks; at most %(most)s are allowed",
                    count=len(matcher.pieces) - 1,
                    most=MAX_WILDCARDS,
                ),
            )
            return None
        return matcher

    def read_exists(self, operand: Any, path: str) -> Matcher | None:
        if not isinstance(operand, bool):
            self.problems.add(
                path, translatable("must be true or false, found %(operand)s", operand=show_value(operand)), operand
            )
            return None
        return EXISTS if operand else ABSENT

    def read_network(self, operand: Any, path: str) -> Matcher | None:
        text = self.read_text(operand, path)
        if text is None:
            return None
        try:
            low, high = read_network(text)
        except ValueError as error:
            self.problems.add(path, str(error), operand)
            return None
        return InNetwork(low, high, text)

    def read_number(self, operand: Any, path: str) -> float | None:
        if not is_number(operand):
            self.problems.add(
                path, translatable("must be a number, found %(operand)s", operand=show_value(operand)), operand
            )
            return None
        if not is_comparable(operand):
            self.problems.add(path, NOT_A_NUMBER, operand)
            return None
        return operand

    def read_numeric(self, operand: Any, path: str) -> Matcher | None:
        form = translatable("an operator and a number, or a range such as ['>', 0, '<=', 5]")
        if not isinstance(operand, list) or len(operand) not in {2, 4}:
            self.problems.add(
                path,
                translatable("numeric takes %(form)s; found %(operand)s", form=form, operand=show_value(operand)),
                operand,
            )
            return None
        operator = operand[0]
        if not isinstance(operator, str) or operator not in _OPERATORS:
            self.problems.add(
                f"{path}[0]",
                translatable(
                    "must be one of %(names)s, found %(operator)s",
                    names=" ".join(_OPERATORS),
                    operator=show_value(operator),
                ),
                operator,
            )
            return None
        number = self.read_number(operand[1], f"{path}[1]")
        if len(operand) == 4:
            return self.read_range(operator, number, operand, path)
        if number is None:
            return None
        infinity = float("inf")
        ranges = {
            "=": Numeric(number, number, open_low=False, open_high=False),
            ">": Numeric(number, infinity, open_low=True, open_high=False),
            ">=": Numeric(number, infinity, open_low=False, open_high=False),
            "<": Numeric(-infinity, number, open_low=False, open_high=True),
            "<=": Numeric(-infinity, number, open_low=False, open_high=False),
        }
        return ranges[operator]

    def read_range(self, operator: str, low: float | None, operand: list[Any], path: str) -> Matcher | None:
        ending = operand[2]
        if operator not in _RANGE_STARTS:
            message = translatable(
                "a range starts with '>' or '>=' and ends with '<' or '<='; %(operator)s stands alone",
                operator=repr(operator),
            )
            self.problems.add(f"{path}[0]", message, operator)
        if ending not in _RANGE_ENDS:
            self.problems.add(
                f"{path}[2]",
                translatable("a range ends with '<' or '<=', found %(ending)s", ending=show_value(ending)),
                ending,
            )
        high = self.read_number(operand[3], f"{path}[3]")
        if low is None or high is None or operator not in _RANGE_STARTS or ending not in _RANGE_ENDS:
            return None
        if low >= high:
            message = translatable(
                "the lower bound must be below the upper bound, found %(low)s and %(high)s",
                low=show_value(low),
                high=show_value(high),
            )
            self.problems.add(path, message, operand)
            return None
        return Numeric(low, high, open_low=operator == ">", open_high=ending == "<")
