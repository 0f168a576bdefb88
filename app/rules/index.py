"""Finds, among very many rules, the few that an event could match.

An entry (one alternative of one rule) is filed under the places of one of its conditions, the one with the fewest
entries so far; where a place fills up, it becomes a node of its own that files by the remaining conditions. What cannot
be filed at all stays in the node's `rest` and is verified in the order of priority.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

from app.rules.compile import Alternative, Condition
from app.rules.document import DocumentView, Leaf
from app.rules.matcher import Absent, exact_key
from app.rules.persistent import Edition, Ordered, Shards
from app.rules.places import ABSENT_PLACE, EXACT, PRESENT, Kind, Place, Table, exact_places, keys_of, options
from app.rules.rule import Rule

_BUCKET = 8
_FEW_PATHS = 24
_FEW_CANDIDATES = 128

_rank = attrgetter("rank")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One alternative of one rule; `rank` orders it by the rule, then by the alternative."""

    rank: int
    rule: Rule
    alternative: Alternative


Stream = tuple[Entry, ...] | Ordered[Entry]


class Node:
    """Entries that have the same conditions in common (at the root: none), filed by the others."""

    __slots__ = ("_fields", "_used", "edition", "rest", "size")

    def __init__(self, used: frozenset[str], edition: Edition) -> None:
        self.edition = edition
        self.size = 0
        self.rest: Ordered[Entry] = Ordered(edition)
        self._used = used
        self._fields: Shards[str, Field] = Shards(edition)

    def own(self, edition: Edition) -> Node:
        """Return this node, or a copy for another edition that may be changed."""
        if self.edition is edition:
            return self
        copy = Node(self._used, edition)
        copy.size = self.size
        copy.rest = self.rest
        copy._fields = self._fields
        return copy

    def add(self, entry: Entry) -> None:
        """File an entry; only within the node's own edition."""
        self.size += 1
        condition, places = self._choose(entry)
        if condition is None:
            self.rest = self.rest.own(self.edition)
            self.rest.add(entry)
            return
        self._fields = self._fields.own(self.edition)
        found = self._fields.get(condition.path)
        index = Field(self.edition) if found is None else found.own(self.edition)
        if index is not found:
            self._fields.put(condition.path, index)
        for place in places:
            index.add(place, entry, self._used | {condition.path})

    def drop(self, entry: Entry) -> None:
        """Take an entry out; only within the node's own edition."""
        self.size -= 1
        self.rest = self.rest.own(self.edition)
        if self.rest.drop(entry):
            return
        self._fields = self._fields.own(self.edition)
        for condition in entry.alternative.conditions:
            found = None if condition.path in self._used else self._fields.get(condition.path)
            if found is None:
                continue
            index = found.own(self.edition)
            if index.drop(_all_places(condition), entry):
                if index.tables:
                    self._fields.put(condition.path, index)
                else:
                    self._fields.drop(condition.path)
                return

    def contains(self, entry: Entry) -> bool:
        """Tell whether the entry is filed here."""
        if self.rest.has(entry):
            return True
        return any(
            index.holds(place, entry)
            for condition in entry.alternative.conditions
            if condition.path not in self._used and (index := self._fields.get(condition.path)) is not None
            for place in _all_places(condition)
        )

    def _choose(self, entry: Entry) -> tuple[Condition | None, tuple[Place, ...]]:
        best: tuple[Condition | None, tuple[Place, ...]] = (None, ())
        lowest = float("inf")
        for condition in entry.alternative.conditions:
            if condition.path in self._used:
                continue
            index = self._fields.get(condition.path)
            places = _places(condition, index)
            # A field more to look up costs every event a little; presence and absence select poorly.
            cost = float(len(self._fields) // 4 + 2 if index is None else 0)
            for place in places:
                weight = 4 if place in {PRESENT, ABSENT_PLACE} else 1
                cost += weight * (1 + (index.population(place) if index is not None else 0))
            if ABSENT_PLACE in places and index is None and len(self._fields) >= _FEW_PATHS:
                continue
            if cost <= lowest:
                best, lowest = (condition, places), cost
        return best

    def collect(self, view: DocumentView, streams: list[Stream]) -> None:
        """Append everything that the document could match, each stream in the order of rank."""
        if self.rest.size:
            streams.append(self.rest)
        fields = self._fields
        if len(fields) <= _FEW_PATHS:
            for path, index in fields.items():
                index.collect(view.leaves(path), view, streams)
            return
        for path, leaves in view.all_leaves().items():
            found = fields.get(path)
            if found is not None:
                found.collect(leaves, view, streams)
        # Filed under absence are few fields, and only the first.
        for path, index in fields.items():
            if index.absent and not view.leaves(path):
                index.collect((), view, streams)


class Field:
    """What is filed under one field: for each table, keys and their buckets."""

    __slots__ = ("edition", "tables")

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.tables: dict[Table, Shards[Hashable, tuple[Entry, ...] | Node]] = {}

    def own(self, edition: Edition) -> Field:
        """Return this index, or a copy for another edition that may be changed."""
        if self.edition is edition:
            return self
        copy = Field(edition)
        copy.tables = dict(self.tables)
        return copy

    @property
    def absent(self) -> bool:
        return ABSENT_PLACE[0] in self.tables

    def population(self, place: Place) -> int:
        """Return how many entries are filed under a place."""
        table = self.tables.get(place[0])
        bucket = None if table is None else table.get(place[1])
        if bucket is None:
            return 0
        return bucket.size if isinstance(bucket, Node) else len(bucket)

    def holds(self, place: Place, entry: Entry) -> bool:
        table = self.tables.get(place[0])
        bucket = None if table is None else table.get(place[1])
        if bucket is None:
            return False
        return bucket.contains(entry) if isinstance(bucket, Node) else any(other is entry for other in bucket)

    def add(self, place: Place, entry: Entry, used: frozenset[str]) -> None:
        found = self.tables.get(place[0])
        table = Shards(self.edition) if found is None else found.own(self.edition)
        self.tables[place[0]] = table
        bucket = table.get(place[1])
        if bucket is None:
            table.put(place[1], (entry,))
        elif isinstance(bucket, Node):
            node = bucket.own(self.edition)
            node.add(entry)
            table.put(place[1], node)
        elif len(bucket) < _BUCKET:
            at = bisect_left(bucket, entry.rank, key=_rank)
            table.put(place[1], (*bucket[:at], entry, *bucket[at:]))
        else:
            node = Node(used, self.edition)
            for other in (*bucket, entry):
                node.add(other)
            table.put(place[1], node)

    def drop(self, places: Iterable[Place], entry: Entry) -> bool:
        dropped = False
        for place in places:
            if not self.holds(place, entry):
                continue
            dropped = True
            table = self.tables[place[0]].own(self.edition)
            self.tables[place[0]] = table
            bucket = table.get(place[1])
            if isinstance(bucket, Node):
                node = bucket.own(self.edition)
                node.drop(entry)
                remaining: tuple[Entry, ...] | Node | None = node if node.size else None
            else:
                remaining = tuple(other for other in bucket or () if other is not entry) or None
            if remaining is None:
                table.drop(place[1])
            else:
                table.put(place[1], remaining)
            if not table.size:
                del self.tables[place[0]]
        return dropped

    def collect(self, leaves: tuple[Leaf, ...], view: DocumentView, streams: list[Stream]) -> None:
        tables = self.tables
        if len(leaves) == 1:
            value = leaves[0][0]
            for table, keys in tables.items():
                if table is EXACT or table == EXACT:
                    bucket = keys.get(exact_key(value))
                    if bucket is not None:
                        _append(bucket, view, streams)
                elif table[0] != Kind.ABSENT:
                    for key in keys_of(value, table, keys):
                        bucket = keys.get(key)
                        if bucket is not None:
                            _append(bucket, view, streams)
        elif leaves:
            self._collect_many(leaves, view, streams)
        # Within arrays a field may be both there and, in some element, absent.
        absent = tables.get(ABSENT_PLACE[0])
        if absent is not None and all(membership for _, membership in leaves):
            bucket = absent.get(None)
            if bucket is not None:
                _append(bucket, view, streams)

    def _collect_many(self, leaves: tuple[Leaf, ...], view: DocumentView, streams: list[Stream]) -> None:
        values = {exact_key(value): value for value, _ in leaves}
        for table, keys in self.tables.items():
            if table[0] == Kind.ABSENT:
                continue
            wanted = {key for value in values.values() for key in keys_of(value, table, keys)}
            for key in wanted:
                bucket = keys.get(key)
                if bucket is not None:
                    _append(bucket, view, streams)


def _append(bucket: tuple[Entry, ...] | Node, view: DocumentView, streams: list[Stream]) -> None:
    if isinstance(bucket, Node):
        bucket.collect(view, streams)
    else:
        streams.append(bucket)


def _places(condition: Condition, index: Field | None) -> tuple[Place, ...]:
    """Return where to file a condition: for each of its matchers, the least filled of the places that will do."""
    places: dict[Place, None] = {}
    for matcher in condition.matchers:
        if isinstance(matcher, Absent):
            places[ABSENT_PLACE] = None
            continue
        together = exact_places(matcher)
        if together is not None:
            places.update(dict.fromkeys(together))
            continue
        possible = options(matcher)
        if index is not None and len(possible) > 1:
            possible = [min(possible, key=index.population)]
        places[possible[0]] = None
    return (PRESENT, *(place for place in places if place == ABSENT_PLACE)) if PRESENT in places else tuple(places)


def _all_places(condition: Condition) -> list[Place]:
    """Return every place that a condition may have been filed under."""
    places: dict[Place, None] = {PRESENT: None}
    for matcher in condition.matchers:
        if isinstance(matcher, Absent):
            places[ABSENT_PLACE] = None
        else:
            places.update(dict.fromkeys(exact_places(matcher) or options(matcher)))
    return list(places)


class Index:
    """All entries, apart by the defaults that apply to them."""

    __slots__ = ("_roots", "edition")

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self._roots: dict[tuple[bool, bool], Node] = {}

    def own(self, edition: Edition) -> Index:
        """Return a copy for another edition that may be changed."""
        copy = Index(edition)
        copy._roots = dict(self._roots)
        return copy

    def add(self, entries: Iterable[Entry]) -> None:
        """File entries; only within the index's own edition."""
        for entry in entries:
            self._root(entry).add(entry)

    def drop(self, entries: Iterable[Entry]) -> None:
        """Take entries out; only within the index's own edition."""
        for entry in entries:
            self._root(entry).drop(entry)

    def _root(self, entry: Entry) -> Node:
        key = (entry.alternative.default_event, entry.alternative.default_kind)
        root = self._roots.get(key)
        root = Node(frozenset(), self.edition) if root is None else root.own(self.edition)
        self._roots[key] = root
        return root

    def candidates(self, view: DocumentView, *, is_default_event: bool, is_machine: bool) -> Iterator[Entry]:
        """Yield, in the order of rank, every entry that the document could match; some may come twice."""
        streams: list[Stream] = []
        for (default_event, default_kind), root in self._roots.items():
            if (is_default_event or not default_event) and not (is_machine and default_kind):
                root.collect(view, streams)
        if len(streams) == 1:
            return iter(streams[0])
        if sum(map(len, streams)) <= _FEW_CANDIDATES:
            return iter(sorted(chain.from_iterable(streams), key=_rank))
        return heapq.merge(*streams, key=_rank)
