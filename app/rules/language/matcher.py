"""The match types: each decides whether one value of a document satisfies one item of a pattern's value list.

`holds` gets a leaf of the document (string, number, boolean or None), never an object or an array. Every matcher costs
time linear in the value (a wildcard: value times its pieces), whatever the pattern.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.rules.language.address import read_address
from app.rules.language.number import is_comparable, is_number
from app.translation import joined, translatable

_SHOWN = 8
NOT_JSON = "a value that is not JSON"

# Keys under which values are compared for equality. Python takes True for 1 and 1.0 for 1; JSON only the latter.
Key = str | float | None | tuple[str, str]
_TRUE: Key = ("boolean", "true")
_FALSE: Key = ("boolean", "false")


def exact_key(value: Any) -> Key:
    """Return what a leaf is compared by: two leaves are equal exactly when their keys are."""
    kind = type(value)
    if kind is str or value is None:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return _TRUE if value else _FALSE
    if is_comparable(value):
        return value  # type: ignore[no-any-return]
    try:
        return ("number", repr(value))
    except ValueError:  # Python prints no integer of more than 4,300 digits
        return ("number", hex(value))


def show_value(value: Any) -> str:
    """Return a value as JSON text, or a short description of one that is not JSON."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        return f"{NOT_JSON} ({type(value).__name__})"


class Matcher:
    """One match type with its operand."""

    __slots__ = ()

    def holds(self, value: Any) -> bool:
        raise NotImplementedError

    def describe(self) -> str:
        """Return what is expected, to follow the word "expected"."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Exact(Matcher):
    """Equal to one value; `key` is its `exact_key`."""

    key: Key

    def holds(self, value: Any) -> bool:
        return bool(value == self.key) if type(value) is str else exact_key(value) == self.key

    def describe(self) -> str:
        return _show_key(self.key)


@dataclass(frozen=True, slots=True)
class OneOf(Matcher):
    """Equal to one of many values."""

    keys: frozenset[Key]

    def holds(self, value: Any) -> bool:
        return exact_key(value) in self.keys

    def describe(self) -> str:
        return translatable("one of %(values)s", values=_show_keys(self.keys))


@dataclass(frozen=True, slots=True)
class InNetwork(Matcher):
    """A string that is an IP address between two others of its own version."""

    low: bytes
    high: bytes
    text: str

    def holds(self, value: Any) -> bool:
        if type(value) is not str:
            return False
        address = read_address(value)
        return address is not None and len(address) == len(self.low) and self.low <= address <= self.high

    def describe(self) -> str:
        if self.low == self.high:
            return translatable("the address %(address)s", address=self.text)
        return translatable("an address in %(network)s", network=self.text)


@dataclass(frozen=True, slots=True)
class Numeric(Matcher):
    """A number in a range; the bounds may be infinite."""

    low: float
    high: float
    open_low: bool
    open_high: bool

    def holds(self, value: Any) -> bool:
        if not is_number(value) or not is_comparable(value):
            return False
        if value <= self.low and (self.open_low or value != self.low):
            return False
        return value < self.high or (value == self.high and not self.open_high)

    def describe(self) -> str:
        if self.low == self.high:
            return translatable("the number %(number)s", number=str(self.low))
        bounds = []
        if self.low != float("-inf"):
            bounds.append(f"{'>' if self.open_low else '>='} {self.low}")
        if self.high != float("inf"):
            bounds.append(f"{'<' if self.open_high else '<='} {self.high}")
        return translatable("a number %(bounds)s", bounds=joined(translatable(" and "), bounds))


@dataclass(frozen=True, slots=True)
class AnythingBut(Matcher):
    """Any leaf that equals none of the values."""

    keys: frozenset[Key]

    def holds(self, value: Any) -> bool:
        return exact_key(value) not in self.keys

    def describe(self) -> str:
        return translatable("anything but %(values)s", values=_show_keys(self.keys))


@dataclass(frozen=True, slots=True)
class AnythingButLike(Matcher):
    """Any leaf that satisfies none of the matchers."""

    matchers: tuple[Matcher, ...]

    def holds(self, value: Any) -> bool:
        return not any(matcher.holds(value) for matcher in self.matchers)

    def describe(self) -> str:
        return translatable("anything but %(values)s", values=either(self.matchers))


@dataclass(frozen=True, slots=True)
class Exists(Matcher):
    def holds(self, value: Any) -> bool:  # noqa: ARG002 - any leaf satisfies it
        return True

    def describe(self) -> str:
        return translatable("any value")


@dataclass(frozen=True, slots=True)
class Absent(Matcher):
    """No leaf at all. Callers test for absence themselves: there is no value to pass."""

    def holds(self, value: Any) -> bool:  # noqa: ARG002 - no leaf satisfies it
        return False

    def describe(self) -> str:
        return translatable("no value")


@dataclass(frozen=True, slots=True)
class Nothing(Matcher):
    """What event-ruler makes of an empty anything-but list that is not alone: it never holds."""

    def holds(self, value: Any) -> bool:  # noqa: ARG002 - no leaf satisfies it
        return False

    def describe(self) -> str:
        return translatable("nothing (an empty anything-but list)")


EXISTS = Exists()
ABSENT = Absent()
NOTHING = Nothing()


def either(matchers: Sequence[Matcher]) -> str:
    """Return a description of what any of the matchers expects."""
    found = [matcher.describe() for matcher in matchers[:_SHOWN]]
    if len(matchers) > _SHOWN:
        found.append(translatable("%(count)s more", count=len(matchers) - _SHOWN))
    return joined(translatable(" or "), found)


def _show_key(key: Key) -> str:
    return key[1] if isinstance(key, tuple) else show_value(key)


def _show_keys(keys: frozenset[Key]) -> str:
    found = sorted(map(_show_key, keys))
    shown = ", ".join(found[:_SHOWN])
    if len(found) <= _SHOWN:
        return shown
    return translatable("%(values)s and %(count)s more", values=shown, count=len(found) - _SHOWN)
