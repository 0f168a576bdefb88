"""The rule book: an immutable, compiled snapshot of `routing_rules`."""

from __future__ import annotations

import gc
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from app.db.types import JsonText
from app.rules.book.read_rule import read_rule
from app.rules.index.entry import Entry
from app.rules.index.persistent import Ordered, Shards
from app.rules.index.rule_index import Index
from app.rules.language.compile import Alternative, compile_alternatives
from app.rules.language.limits import MAX_ALTERNATIVES
from app.rules.lookups.lookup_book import NO_LOOKUPS, LookupBook
from app.rules.rule import BadRule, Rule

__all__ = ["BadRule", "JsonText", "Rule", "RuleBook"]


class _Line(NamedTuple):
    """One usable rule with its alternatives; those of an enabled rule are in the index."""

    rank: int
    rule: Rule
    entries: tuple[Entry, ...]


class RuleBook:
    """All rules at one version, ready to be matched.

    Immutable: `updated` returns a new one, which shares everything that did not change.
    """

    __slots__ = ("_bad", "_lines", "_order", "_rules", "index", "lookups", "version")

    def __init__(
        self,
        version: int,
        index: Index,
        lines: Shards[int, _Line],
        order: Ordered[_Line],
        bad: dict[int, BadRule],
        *,
        lookups: LookupBook = NO_LOOKUPS,
    ) -> None:
        self.version = version
        self.index = index
        self.lookups = lookups
        """The lookups to ask before rules are evaluated."""
        self._lines = lines
        self._order = order
        self._bad = bad
        self._rules: tuple[Rule, ...] | None = None

    @classmethod
    def build(cls, rows: Iterable[Mapping[str, Any]], version: int) -> RuleBook:
        """Return the book of all rows; those that cannot be used are in `bad` and do not affect the others."""
        edition = object()
        empty = cls(0, Index(edition), Shards(edition), Ordered(edition), {})
        with _without_collections():
            return empty.updated(rows, (), version)

    def updated(self, rows: Iterable[Mapping[str, Any]], deleted_ids: Iterable[int], version: int) -> RuleBook:
        """Return the book with `rows` in place of the rules of their ids and without `deleted_ids`."""
        edition = object()
        lines, order, bad = self._lines.own(edition), self._order.own(edition), dict(self._bad)
        index = self.index.own(edition)

        def forget(rule_id: int) -> None:
            bad.pop(rule_id, None)
            line = lines.get(rule_id)
            if line is not None:
                lines.drop(rule_id)
                order.drop(line)
                if line.rule.enabled:
                    index.drop(line.entries)

        for rule_id in deleted_ids:
            forget(rule_id)
        for row in rows:
            forget(row["id"])
            usable = read_rule(row)
            if isinstance(usable, BadRule):
                bad[usable.id] = usable
                continue
            rule, pattern = usable
            rank = rule.rank
            line = _Line(rank, rule, _entries(rank, rule, compile_alternatives(pattern)))
            lines.put(rule.id, line)
            order.add(line)
            if rule.enabled:
                index.add(line.entries)
        return RuleBook(version, index, lines, order, bad, lookups=self.lookups)

    def with_lookups(self, lookups: LookupBook) -> RuleBook:
        """Return the book of the same rules with other lookups."""
        return RuleBook(self.version, self.index, self._lines, self._order, self._bad, lookups=lookups)

    @property
    def rules(self) -> Sequence[Rule]:
        """Every usable rule in matching order, disabled ones too."""
        if self._rules is None:
            self._rules = tuple(line.rule for line in self._order)
        return self._rules

    @property
    def bad(self) -> Mapping[int, BadRule]:
        """The rows that cannot be used, by id."""
        return MappingProxyType(self._bad)

    def rule(self, rule_id: int) -> Rule | None:
        """Return the usable rule of that id."""
        line = self._lines.get(rule_id)
        return None if line is None else line.rule

    def alternatives(self, rule_id: int) -> tuple[Alternative, ...]:
        """Return the alternatives of the rule's pattern."""
        line = self._lines.get(rule_id)
        return () if line is None else tuple(entry.alternative for entry in line.entries)

    def lines(self) -> Iterator[Rule | BadRule]:
        """Yield usable and bad rules in matching order."""
        bad = sorted(self._bad.values(), key=attrgetter("rank"))
        return heapq.merge((line.rule for line in self._order), bad, key=attrgetter("rank"))

    def __len__(self) -> int:
        return len(self._lines)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Let nothing be searched for garbage meanwhile: all that is made stays.

    Measured with 60,000 rules: a build takes 3.0 s, and 4.3 s with collections.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _entries(rank: int, rule: Rule, alternatives: Sequence[Alternative]) -> tuple[Entry, ...]:
    return tuple(
        Entry(rank * MAX_ALTERNATIVES + place, rule, alternative) for place, alternative in enumerate(alternatives)
    )
