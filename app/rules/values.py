"""Reading the list of values that a pattern gives for one field."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from app.errors import Problem
from app.rules.address import read_address, read_network
from app.rules.limits import MAX_PROBLEMS, MAX_TEXT, MAX_WILDCARDS
from app.rules.matcher import (
    ABSENT,
    EXISTS,
    NOTHING,
    AnythingBut,
    AnythingButLike,
    Exact,
    IgnoreCase,
    InNetwork,
    Key,
    Matcher,
    Numeric,
    OneOf,
    Prefix,
    Suffix,
    exact_key,
    in_words,
    wildcard,
)
from app.rules.number import is_comparable, is_number

MATCH_TYPES = (
    "anything-but",
    "cidr",
    "equals-ignore-case",
    "exactly",
    "exists",
    "numeric",
    "prefix",
    "suffix",
    "wildcard",
)
_BUT_TYPES = ("equals-ignore-case", "prefix", "suffix", "wildcard")
_RANGE_STARTS = (">", ">=")
_RANGE_ENDS = ("<", "<=")
_OPERATORS = ("=", *_RANGE_STARTS, *_RANGE_ENDS)
_NOT_A_NUMBER = "an integer beyond binary64 cannot be compared; it can only be given as an exact value"


class Problems:
    """Collects the mistakes of one pattern, each with its path."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, path: str, message: str, found: Any = None, suggestion: str | None = None) -> None:
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(path, message, found, suggestion))


def nearest(word: str, allowed: tuple[str, ...]) -> str | None:
    """Return the allowed word that `word` is most likely a misspelling of."""
    spelled = word.strip().lower().replace("_", "-").replace(" ", "-")
    if spelled in allowed:
        return spelled
    near = difflib.get_close_matches(spelled, allowed, n=1)
    return near[0] if near else None


def read_values(values: list[Any], path: str, problems: Problems, *, legacy: bool) -> tuple[Matcher, ...]:
    """Return the matchers of one field's value list, any of which suffices; mistakes go to `problems`.

    `legacy` reads as event-ruler's older compiler does, which knows fewer forms of anything-but; it takes over where
    `$or` turns out to be a field's name.
    """
    if not values:
        problems.add(path, "an empty list matches nothing; give at least one value", values)
        return ()
    reader = _ValueReader(problems, legacy=legacy)
    matchers: list[Matcher] = []
    keys: dict[Key, None] = {}
    for place, value in enumerate(values):
        matcher = reader.read(value, f"{path}[{place}]", first=place == 0)
        if isinstance(matcher, Exact):
            keys[matcher.key] = None
        elif matcher is not None:
            matchers.append(matcher)
    if len(keys) == 1:
        matchers.insert(0, Exact(next(iter(keys))))
    elif keys:
        matchers.insert(0, OneOf(frozenset(keys)))
    return tuple(matchers)


class _ValueReader:
    def __init__(self, problems: Problems, *, legacy: bool) -> None:
        self._problems = problems
        self._legacy = legacy

    def read(self, value: Any, path: str, *, first: bool) -> Matcher | None:
        """Read one place of the list; None after a mistake, which is recorded."""
        if isinstance(value, dict):
            return self._read_match_type(value, path, first=first)
        if isinstance(value, list):
            self._problems.add(path, "a list within the list of values; expected a value or a match type", value)
            return None
        if isinstance(value, str):
            if not self._fits(value, path):
                return None
            address = read_address(value)
            return InNetwork(address, address, value) if address else Exact(value)
        if value is None or isinstance(value, (bool, int, float)):
            return Exact(exact_key(value))
        self._problems.add(path, f"{type(value).__name__} is not JSON; quote it if it is meant as a string", str(value))
        return None

    def _read_match_type(self, expression: dict[str, Any], path: str, *, first: bool) -> Matcher | None:
        if len(expression) != 1:
            named = f"{len(expression)} of them: {', '.join(map(str, expression))}" if expression else "none"
            self._problems.add(path, f"a match type is an object with exactly one key, found {named}", expression)
            return None
        ((name, operand),) = expression.items()
        inner = f"{path}.{name}"
        readers: dict[str, Callable[[Any, str], Matcher | None]] = {
            "anything-but": lambda operand, path: self._read_anything_but(operand, path, first=first),
            "cidr": self._read_network,
            "equals-ignore-case": self._read_ignore_case,
            "exactly": self._read_exactly,
            "exists": self._read_exists,
            "numeric": self._read_numeric,
            "prefix": lambda operand, path: self._read_affix("prefix", operand, path),
            "suffix": lambda operand, path: self._read_affix("suffix", operand, path),
            "wildcard": self._read_wildcard,
        }
        if name not in readers:
            allowed = ", ".join(MATCH_TYPES)
            self._problems.add(inner, f"unknown match type; allowed are {allowed}", name, nearest(name, MATCH_TYPES))
            return None
        return readers[name](operand, inner)

    def _read_text(self, operand: Any, path: str) -> str | None:
        if not isinstance(operand, str):
            self._problems.add(path, f"must be a string, found {in_words(operand)}", operand)
            return None
        return operand if self._fits(operand, path) else None

    def _fits(self, text: str, path: str) -> bool:
        if len(text) > MAX_TEXT:
            self._problems.add(path, f"is {len(text)} characters long; at most {MAX_TEXT} are allowed")
            return False
        return True

    def _read_exactly(self, operand: Any, path: str) -> Matcher | None:
        text = self._read_text(operand, path)
        return None if text is None else Exact(text)

    def _read_ignore_case(self, operand: Any, path: str) -> Matcher | None:
        text = self._read_text(operand, path)
        return None if text is None else IgnoreCase(text, "equals")

    def _read_affix(self, where: str, operand: Any, path: str) -> Matcher | None:
        if isinstance(operand, dict):
            if list(operand) != ["equals-ignore-case"]:
                message = f"{where} takes a string or {{'equals-ignore-case': string}}, found {in_words(operand)}"
                self._problems.add(path, message, operand)
                return None
            text = self._read_text(operand["equals-ignore-case"], f"{path}.equals-ignore-case")
            return None if text is None else IgnoreCase(text, where)
        text = self._read_text(operand, path)
        if text is None:
            return None
        return Prefix(text) if where == "prefix" else Suffix(text)

    def _read_wildcard(self, operand: Any, path: str) -> Matcher | None:
        text = self._read_text(operand, path)
        if text is None:
            return None
        try:
            matcher = wildcard(text)
        except ValueError as error:
            self._problems.add(path, str(error), operand)
            return None
        if len(matcher.pieces) > MAX_WILDCARDS + 1:
            self._problems.add(path, f"has {len(matcher.pieces) - 1} asterisks; at most {MAX_WILDCARDS} are allowed")
            return None
        return matcher

    def _read_exists(self, operand: Any, path: str) -> Matcher | None:
        if not isinstance(operand, bool):
            self._problems.add(path, f"must be true or false, found {in_words(operand)}", operand)
            return None
        return EXISTS if operand else ABSENT

    def _read_network(self, operand: Any, path: str) -> Matcher | None:
        text = self._read_text(operand, path)
        if text is None:
            return None
        try:
            low, high = read_network(text)
        except ValueError as error:
            self._problems.add(path, str(error), operand)
            return None
        return InNetwork(low, high, text)

    def _read_number(self, operand: Any, path: str) -> float | None:
        if not is_number(operand):
            self._problems.add(path, f"must be a number, found {in_words(operand)}", operand)
            return None
        if not is_comparable(operand):
            self._problems.add(path, _NOT_A_NUMBER, operand)
            return None
        return operand

    def _read_numeric(self, operand: Any, path: str) -> Matcher | None:
        form = "an operator and a number, or a range such as ['>', 0, '<=', 5]"
        if not isinstance(operand, list) or len(operand) not in {2, 4}:
            self._problems.add(path, f"numeric takes {form}; found {in_words(operand)}", operand)
            return None
        operator = operand[0]
        if not isinstance(operator, str) or operator not in _OPERATORS:
            self._problems.add(
                f"{path}[0]", f"must be one of {' '.join(_OPERATORS)}, found {in_words(operator)}", operator
            )
            return None
        number = self._read_number(operand[1], f"{path}[1]")
        if len(operand) == 4:
            return self._read_range(operator, number, operand, path)
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

    def _read_range(self, operator: str, low: float | None, operand: list[Any], path: str) -> Matcher | None:
        ending = operand[2]
        if operator not in _RANGE_STARTS:
            message = f"a range starts with '>' or '>=' and ends with '<' or '<='; {operator!r} stands alone"
            self._problems.add(f"{path}[0]", message, operator)
        if ending not in _RANGE_ENDS:
            self._problems.add(f"{path}[2]", f"a range ends with '<' or '<=', found {in_words(ending)}", ending)
        high = self._read_number(operand[3], f"{path}[3]")
        if low is None or high is None or operator not in _RANGE_STARTS or ending not in _RANGE_ENDS:
            return None
        if low >= high:
            message = f"the lower bound must be below the upper bound, found {in_words(low)} and {in_words(high)}"
            self._problems.add(path, message, operand)
            return None
        return Numeric(low, high, open_low=operator == ">", open_high=ending == "<")

    def _read_anything_but(self, operand: Any, path: str, *, first: bool) -> Matcher | None:
        if isinstance(operand, dict):
            return self._read_anything_but_like(operand, path, first=first)
        values = operand if isinstance(operand, list) else [operand]
        if not values:
            self._problems.add(path, "anything-but needs at least one value", operand)
            return None
        keys: set[Key] = set()
        wrong = False
        for place, value in enumerate(values):
            here = f"{path}[{place}]" if isinstance(operand, list) else path
            if isinstance(value, str):
                wrong |= not self._fits(value, here)
                keys.add(value)
            elif is_number(value):
                if not is_comparable(value):
                    self._problems.add(here, _NOT_A_NUMBER, value)
                    wrong = True
                keys.add(value)
            else:
                self._problems.add(here, f"anything-but takes strings or numbers, found {in_words(value)}", value)
                wrong = True
        if not wrong and len({isinstance(value, str) for value in values}) > 1:
            self._problems.add(path, "anything-but takes strings or numbers, not both in one list", operand)
            wrong = True
        return None if wrong else AnythingBut(frozenset(keys))

    def _read_anything_but_like(self, operand: dict[str, Any], path: str, *, first: bool) -> Matcher | None:
        allowed = ", ".join(_BUT_TYPES)
        if len(operand) != 1:
            self._problems.add(path, f"anything-but takes exactly one of {allowed}, found {in_words(operand)}", operand)
            return None
        ((name, inner),) = operand.items()
        here = f"{path}.{name}"
        if name not in _BUT_TYPES or (self._legacy and name == "wildcard"):
            self._problems.add(here, f"anything-but takes {allowed}", name, nearest(name, _BUT_TYPES))
            return None
        texts = inner if isinstance(inner, list) else [inner]
        if self._legacy and isinstance(inner, list) and name != "equals-ignore-case":
            self._problems.add(here, "must be a string", inner)
            return None
        if not texts:
            if first:
                self._problems.add(here, "needs at least one string", inner)
                return None
            return NOTHING
        matchers = []
        for place, text in enumerate(texts):
            where = f"{here}[{place}]" if isinstance(inner, list) else here
            matchers.append(self._read_but_text(name, text, where))
        return None if None in matchers else AnythingButLike(tuple(m for m in matchers if m is not None))

    def _read_but_text(self, name: str, text: Any, path: str) -> Matcher | None:
        if name == "wildcard":
            return self._read_wildcard(text, path)
        if name == "equals-ignore-case":
            return self._read_ignore_case(text, path)
        if text == "":
            self._problems.add(path, f"every string has the empty {name}: nothing could match", text)
            return None
        text = self._read_text(text, path)
        if text is None:
            return None
        return Prefix(text) if name == "prefix" else Suffix(text)
