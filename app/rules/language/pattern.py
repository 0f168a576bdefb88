"""Reads a pattern: returns its alternatives, or reports every mistake in it.

The same patterns are accepted and refused as by event-ruler (its `JsonRuleCompiler`, then its older `RuleCompiler`, to
which `$or` is a field's name like any other); README.md lists the few differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.errors import InvalidInputError, Problem
from app.livekit.vocabulary import EventType
from app.rules.language.limits import MAX_ALTERNATIVES, MAX_CONDITIONS, MAX_DEPTH, MAX_PARTS, MAX_TEXT, MAX_VALUES
from app.rules.language.matcher import Matcher, show_value
from app.rules.language.operands import Problems
from app.rules.language.value_list import ValueReader
from app.translation import translatable

OR = "$or"
EVENT = "event"
DEFAULT_EVENT = EventType.PARTICIPANT_JOINED.value
"""The event that a rule's pattern means when it names none."""

RESERVED = frozenset(
    {
        "exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
        "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "date-after",
        "date-on-or-after", "date-before", "date-on-or-before", "in-date-range", "ip-address-in-range",
        "ip-address-not-in-range",
    }
)  # fmt: skip
"""As in event-ruler's Constants: with one of these as a field's name, `$or` is not the operator."""

Alternative = dict[str, tuple[Matcher, ...]]
"""Dotted path of a field → matchers, any of which suffices; all fields must hold together."""


class PatternError(InvalidInputError):
    """A pattern cannot be used; every mistake is listed with its path."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that was understood.

    It matches when one of the `alternatives` does. `overridden` are the paths that it names twice, where the later
    naming wins; `or_is_field` is true when a `$or` was taken for a field's name.
    """

    alternatives: tuple[Alternative, ...]
    overridden: tuple[str, ...]
    or_is_field: bool


def read_pattern(pattern: Any) -> Pattern:
    """Return what the pattern means; PatternError with every mistake when it cannot be used."""
    reader = _Reader(legacy=False)
    alternatives = reader.read(pattern)
    if not reader.problems.found:
        return Pattern(tuple(alternatives), tuple(reader.overridden), or_is_field=False)
    if reader.saw_or:
        legacy = _Reader(legacy=True)
        alternatives = legacy.read(pattern)
        if not legacy.problems.found:
            return Pattern(tuple(alternatives), tuple(legacy.overridden), or_is_field=True)
    raise PatternError(translatable("the pattern cannot be used"), reader.problems.found)


def full_pattern(pattern: Any) -> Any:
    """Return a rule's pattern as the bare language takes it: `{}` means every join.

    The bare language refuses an empty object, as event-ruler does. A rule's pattern that does not name `event` means
    `["participant_joined"]`, so `{}` is a natural way to write the last rule of a rule book.
    """
    return {EVENT: [DEFAULT_EVENT]} if pattern == {} else pattern


def check_pattern(pattern: Any) -> list[Problem]:
    """Return every mistake in the pattern; an empty list means that it can be used."""
    try:
        read_pattern(pattern)
    except PatternError as error:
        return error.problems
    return []


class _Reader:
    def __init__(self, *, legacy: bool) -> None:
        self.problems = Problems()
        self.overridden: dict[str, None] = {}
        self.saw_or = False
        self._legacy = legacy
        self._reader = ValueReader(self.problems, legacy=legacy)
        self._values = 0
        self._too_large = False

    def read(self, pattern: Any) -> list[Alternative]:
        alternatives: list[Alternative] = [{}]
        if not isinstance(pattern, dict):
            self.problems.add(
                "",
                translatable("a pattern is a JSON object, found %(pattern)s", pattern=show_value(pattern)[:80]),
                None,
            )
            return alternatives
        return self._read_object(alternatives, pattern, "", "", depth=1, in_or=False)

    def _read_object(
        self, alternatives: list[Alternative], fields: dict[str, Any], path: str, where: str, *, depth: int, in_or: bool
    ) -> list[Alternative]:
        if not fields:
            self.problems.add(where, translatable("an empty object asks for nothing; name at least one field"), fields)
        if depth > MAX_DEPTH:
            self.problems.add(where, translatable("is nested deeper than %(most)s levels", most=MAX_DEPTH))
            return alternatives
        for name, content in fields.items():
            here = f"{where}.{name}" if where else str(name)
            if not isinstance(name, str) or len(name) > MAX_TEXT:
                self.problems.add(
                    where,
                    translatable("a field's name is a string of at most %(most)s characters", most=MAX_TEXT),
                    None,
                )
            elif name == OR and not self._legacy:
                self.saw_or = True
                alternatives = self._read_or(alternatives, content, path, here, depth=depth)
            elif in_or and name in RESERVED:
                self.problems.add(
                    here,
                    translatable(
                        "%(name)s is a match type; within $or stand objects that name fields", name=repr(name)
                    ),
                    name,
                )
            elif isinstance(content, dict):
                inner = f"{path}.{name}" if path else name
                alternatives = self._read_object(alternatives, content, inner, here, depth=depth + 1, in_or=in_or)
            elif isinstance(content, list):
                self._read_field(alternatives, f"{path}.{name}" if path else name, here, content)
            else:
                message = translatable(
                    "must be a list of values or an object of fields, found %(content)s", content=show_value(content)
                )
                self.problems.add(here, message, content, f"[{show_value(content)}]")
        return alternatives

    def _read_field(self, alternatives: list[Alternative], path: str, where: str, values: list[Any]) -> None:
        self._values += len(values)
        for value in values:
            if type(value) is dict:
                self._values += _operands(value)
        if self._values > MAX_VALUES:
            self._refuse_size(where, translatable("the pattern has more than %(most)s values", most=MAX_VALUES))
            return
        if path.count(".") >= MAX_PARTS:
            self.problems.add(where, translatable("is a path of more than %(most)s parts", most=MAX_PARTS))
            return
        matchers = self._reader.read_list(values, where)
        for alternative in alternatives:
            if path in alternative:
                self.overridden[path] = None
            alternative[path] = matchers
        self._count_conditions(alternatives, where)

    def _read_or(
        self, alternatives: list[Alternative], branches: Any, path: str, where: str, *, depth: int
    ) -> list[Alternative]:
        if not isinstance(branches, list):
            self.problems.add(
                where,
                translatable("$or takes a list of objects, found %(branches)s", branches=show_value(branches)[:80]),
            )
            return alternatives
        if len(branches) < 2:
            self.problems.add(
                where, translatable("$or needs at least 2 objects, found %(count)s", count=len(branches)), branches
            )
        result: list[Alternative] = []
        for place, branch in enumerate(branches):
            here = f"{where}[{place}]"
            if not isinstance(branch, dict):
                self.problems.add(
                    here,
                    translatable(
                        "$or takes objects that name fields, found %(branch)s", branch=show_value(branch)[:80]
                    ),
                    branch,
                )
                continue
            if self._too_large:
                break
            copies = [dict(alternative) for alternative in alternatives]
            result += self._read_object(copies, branch, path, here, depth=depth + 1, in_or=True)
            if len(result) > MAX_ALTERNATIVES:
                self._refuse_size(
                    where,
                    translatable("the $or multiply out to more than %(most)s alternatives", most=MAX_ALTERNATIVES),
                )
            self._count_conditions(result, where)
        return result[:MAX_ALTERNATIVES] or alternatives

    def _count_conditions(self, alternatives: list[Alternative], where: str) -> None:
        if sum(map(len, alternatives)) > MAX_CONDITIONS:
            self._refuse_size(
                where,
                translatable("the alternatives name more than %(most)s fields in all", most=MAX_CONDITIONS),
            )

    def _refuse_size(self, where: str, message: str) -> None:
        if not self._too_large:
            self.problems.add(where, message)
        self._too_large = True


def _operands(value: dict[str, Any]) -> int:
    """Count the values that a match type holds in lists of its own."""
    count = 0
    inner: Any = value
    while isinstance(inner, dict) and len(inner) == 1:
        (inner,) = inner.values()
        if isinstance(inner, list):
            count += len(inner)
    return count
