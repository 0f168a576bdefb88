"""Reads the list of values that a pattern gives for one field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from app.rules.language.address import read_address
from app.rules.language.matcher import (
    NOTHING,
    AnythingBut,
    AnythingButLike,
    Exact,
    InNetwork,
    Key,
    Matcher,
    OneOf,
    exact_key,
    show_value,
)
from app.rules.language.number import is_comparable, is_number
from app.rules.language.operands import NOT_A_NUMBER, OperandReader, Problems, nearest_match_type
from app.rules.language.text_matcher import Prefix, Suffix
from app.translation import translatable

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


class ValueReader(OperandReader):
    """Reads the value lists of one pattern; mistakes go to `problems`.

    `legacy` reads as event-ruler's older compiler does, which knows fewer forms of anything-but; it takes over where
    `$or` turns out to be a field's name.
    """

    def __init__(self, problems: Problems, *, legacy: bool) -> None:
        super().__init__(problems)
        self._legacy = legacy

    def read_list(self, values: list[Any], path: str) -> tuple[Matcher, ...]:
        """Return the matchers of one field's value list, any of which suffices."""
        if not values:
            self.problems.add(path, translatable("an empty list matches nothing; give at least one value"), values)
            return ()
        matchers: list[Matcher] = []
        exact: dict[Key, Exact] = {}
        for place, value in enumerate(values):
            matcher = self._read_value(value, f"{path}[{place}]", first=place == 0)
            if isinstance(matcher, Exact):
                exact[matcher.key] = matcher
            elif matcher is not None:
                matchers.append(matcher)
        if len(exact) == 1:
            matchers = [*exact.values(), *matchers]
        elif exact:
            matchers.insert(0, OneOf(frozenset(exact)))
        return tuple(matchers)

    def _read_value(self, value: Any, path: str, *, first: bool) -> Matcher | None:
        """Read one place of the list; None after a mistake, which is recorded."""
        if isinstance(value, str):
            if not self.fits(value, path):
                return None
            address = read_address(value)
            return InNetwork(address, address, value) if address else Exact(value)
        if isinstance(value, dict):
            return self._read_match_type(value, path, first=first)
        if isinstance(value, list):
            self.problems.add(
                path, translatable("a list within the list of values; expected a value or a match type"), value
            )
            return None
        if value is None or isinstance(value, (bool, int, float)):
            return Exact(exact_key(value))
        self.problems.add(
            path,
            translatable("%(name)s is not JSON; quote it if it is meant as a string", name=type(value).__name__),
            str(value),
        )
        return None

    def _read_match_type(self, expression: dict[str, Any], path: str, *, first: bool) -> Matcher | None:
        if len(expression) != 1:
            named = (
                translatable(
                    "%(count)s of them: %(names)s", count=len(expression), names=", ".join(map(str, expression))
                )
                if expression
                else translatable("none")
            )
            self.problems.add(
                path,
                translatable("a match type is an object with exactly one key, found %(named)s", named=named),
                expression,
            )
            return None
        ((name, operand),) = expression.items()
        inner = f"{path}.{name}"
        if name == "anything-but":
            return self._read_anything_but(operand, inner, first=first)
        if name in ("prefix", "suffix"):
            return self.read_affix(name, operand, inner)
        read = _READERS.get(name)
        if read is None:
            allowed = ", ".join(MATCH_TYPES)
            self.problems.add(
                inner,
                translatable("unknown match type; allowed are %(allowed)s", allowed=allowed),
                name,
                nearest_match_type(str(name), MATCH_TYPES),
            )
            return None
        return read(self, operand, inner)

    def _read_anything_but(self, operand: Any, path: str, *, first: bool) -> Matcher | None:
        if isinstance(operand, dict):
            return self._read_anything_but_like(operand, path, first=first)
        values = operand if isinstance(operand, list) else [operand]
        if not values:
            self.problems.add(path, translatable("anything-but needs at least one value"), operand)
            return None
        keys: set[Key] = set()
        wrong = False
        for place, value in enumerate(values):
            here = f"{path}[{place}]" if isinstance(operand, list) else path
            if isinstance(value, str):
                wrong |= not self.fits(value, here)
                keys.add(value)
            elif is_number(value):
                if not is_comparable(value):
                    self.problems.add(here, NOT_A_NUMBER, value)
                    wrong = True
                keys.add(value)
            else:
                self.problems.add(
                    here,
                    translatable("anything-but takes strings or numbers, found %(value)s", value=show_value(value)),
                    value,
                )
                wrong = True
        if not wrong and len({isinstance(value, str) for value in values}) > 1:
            self.problems.add(
                path, translatable("anything-but takes strings or numbers, not both in one list"), operand
            )
            wrong = True
        return None if wrong else AnythingBut(frozenset(keys))

    def _read_anything_but_like(self, operand: dict[str, Any], path: str, *, first: bool) -> Matcher | None:
        allowed = ", ".join(_BUT_TYPES)
        if len(operand) != 1:
            message = translatable(
                "anything-but takes exactly one of %(allowed)s, found %(operand)s",
                allowed=allowed,
                operand=show_value(operand),
            )
            self.problems.add(path, message, operand)
            return None
        ((name, inner),) = operand.items()
        here = f"{path}.{name}"
        if name not in _BUT_TYPES or (self._legacy and name == "wildcard"):
            self.problems.add(
                here,
                translatable("anything-but takes %(allowed)s", allowed=allowed),
                name,
                nearest_match_type(str(name), _BUT_TYPES),
            )
            return None
        texts = inner if isinstance(inner, list) else [inner]
        if self._legacy and isinstance(inner, list) and name != "equals-ignore-case":
            self.problems.add(here, translatable("must be a string"), inner)
            return None
        if not texts:
            if first:
                self.problems.add(here, translatable("needs at least one string"), inner)
                return None
            return NOTHING
        matchers = []
        for place, text in enumerate(texts):
            where = f"{here}[{place}]" if isinstance(inner, list) else here
            matchers.append(self._read_but_text(name, text, where))
        return None if None in matchers else AnythingButLike(tuple(m for m in matchers if m is not None))

    def _read_but_text(self, name: str, text: Any, path: str) -> Matcher | None:
        if name == "wildcard":
            return self.read_wildcard(text, path)
        if name == "equals-ignore-case":
            return self.read_ignore_case(text, path)
        if text == "":
            self.problems.add(
                path, translatable("every string has the empty %(name)s: nothing could match", name=name), text
            )
            return None
        text = self.read_text(text, path)
        if text is None:
            return None
        return Prefix(text) if name == "prefix" else Suffix(text)


_READERS: Final[Mapping[str, Callable[[ValueReader, Any, str], Matcher | None]]] = {
    "cidr": ValueReader.read_network,
    "equals-ignore-case": ValueReader.read_ignore_case,
    "exactly": ValueReader.read_exactly,
    "exists": ValueReader.read_exists,
    "numeric": ValueReader.read_numeric,
    "wildcard": ValueReader.read_wildcard,
}
