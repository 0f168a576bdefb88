"""The tree of the index: a node files each of its entries by one of the entry's conditions.

It may find too many entries, never too few: every entry found is verified afterwards.
"""

from __future__ import annotations

from app.rules.index.entry import Entry
from app.rules.index.index_field import Field, Stream
from app.rules.index.persistent import Edition, Ordered, Shards
from app.rules.index.places import ABSENT_PLACE, PRESENT, UNSELECTIVE, Place, joint_places, options
from app.rules.language.compile import Condition
from app.rules.language.document import DocumentView
from app.rules.language.matcher import Absent

_FEW_FIELDS = 24
_FEW_ABSENT = 4


class Node:
    """Entries that have the same conditions in common (at a root: none), filed by the others."""

    __slots__ = ("_absent", "_fields", "_openings", "_rest", "_used", "edition", "size")

    def __init__(self, used: frozenset[str], edition: Edition) -> None:
        self.edition = edition
        self.size = 0
        self._used = used
        self._rest: Ordered[Entry] = Ordered(edition)
        self._fields: Shards[str, Field] = Shards(edition)
        self._absent: tuple[str, ...] = ()
        self._openings: Shards[str, None] = Shards(edition)

    def own(self, edition: Edition) -> Node:
        """Return this node, or a copy for another edition that may be changed."""
        if self.edition is edition:
            return self
        copy = Node(self._used, edition)
        copy.size = self.size
        copy._rest = self._rest.own(edition)
        copy._fields = self._fields.own(edition)
        copy._absent = self._absent
        copy._openings = self._openings.own(edition)
        return copy

    def add(self, entry: Entry) -> None:
        """File an entry; only within the node's own edition."""
        self.size += 1
        condition, places = self._choose(entry)
        if condition is None:
            self._rest.add(entry)
            return
        path = condition.path
        found = self._fields.get(path)
        field = Field(self.edition) if found is None else found.own(self.edition)
        if field is not found:
            self._fields.put(path, field)
        if found is None:
            parts = path.split(".")
            for size in range(1, len(parts)):
                self._openings.put(".".join(parts[:size]), None)

        def branch(edition: Edition) -> Node:
            return Node(self._used | {path}, edition)

        for place in places:
            field.add(place, entry, branch)
        if ABSENT_PLACE in places and path not in self._absent:
            self._absent += (path,)

    def drop(self, entry: Entry) -> None:
        """Remove an entry that is present; only within the node's own edition."""
        self.size -= 1
        if self._rest.drop(entry):
            return
        for condition in entry.alternative.conditions:
            found = None if condition.path in self._used else self._fields.get(condition.path)
            if found is None:
                continue
            field = found.own(self.edition)
            if field.drop(_all_places(condition), entry):
                self._put_back(condition.path, field)
                return

    def _put_back(self, path: str, field: Field) -> None:
        if field.is_empty:
            self._fields.drop(path)
        else:
            self._fields.put(path, field)
        if path in self._absent and not field.holds_absent:
            self._absent = tuple(other for other in self._absent if other != path)

    def has(self, entry: Entry) -> bool:
        """Return whether this very entry is filed here."""
        return self._rest.has(entry) or any(
            field.has(place, entry)
            for condition in entry.alternative.conditions
            if condition.path not in self._used and (field := self._fields.get(condition.path)) is not None
            for place in _all_places(condition)
        )

    def _choose(self, entry: Entry) -> tuple[Condition | None, tuple[Place, ...]]:
        """Return the condition to file an entry by, and where: few neighbours, few fields, and selective."""
        best: tuple[Condition | None, tuple[Place, ...]] = (None, ())
        lowest = float("inf")
        for condition in entry.alternative.conditions:
            if condition.path in self._used:
                continue
            field = self._fields.get(condition.path)
            places = _places(condition, field)
            # Every event pays for one more field to look up.
            cost = len(self._fields) // 4 + 2 if field is None else 0
            for place in places:
                weight = 4 if place[0][0] in UNSELECTIVE else 1
                cost += weight * (1 + (field.population(place) if field is not None else 0))
            if ABSENT_PLACE in places and condition.path not in self._absent and len(self._absent) >= _FEW_ABSENT:
                continue
            if cost <= lowest:
                best, lowest = (condition, places), cost
        return best

    def collect(self, view: DocumentView, streams: list[Stream]) -> None:
        """Append every entry that the document could match, as streams that are each in the order of rank."""
        if self._rest.size:
            streams.append(self._rest)
        fields = self._fields
        if fields.size <= _FEW_FIELDS:
            for path, field in fields.items():
                field.collect(view.leaves(path), view, streams)
            return
        for path, leaves in view.leaves_among(fields, self._openings).items():
            found = fields.get(path)
            if found is not None:
                found.collect(leaves, view, streams)
        for path in self._absent:
            found = fields.get(path)
            if found is not None and not view.leaves(path):
                found.collect((), view, streams)


def _places(condition: Condition, field: Field | None) -> tuple[Place, ...]:
    """Return where to file a condition: for each of its matchers, the least filled of the places that will do."""
    if len(condition.matchers) == 1:
        together = joint_places(condition.matchers[0])
        if together is not None:
            return tuple(together)
    places: dict[Place, None] = {}
    for matcher in condition.matchers:
        if isinstance(matcher, Absent):
            places[ABSENT_PLACE] = None
            continue
        together = joint_places(matcher)
        if together is None:
            possible = options(matcher)
            together = [min(possible, key=field.population) if field is not None else possible[0]]
        places.update(dict.fromkeys(together))
    return tuple(place for place in places if PRESENT not in places or place in {ABSENT_PLACE, PRESENT})


def _all_places(condition: Condition) -> list[Place]:
    """Return every place that a condition may have been filed under."""
    places: dict[Place, None] = {PRESENT: None}
    for matcher in condition.matchers:
        if isinstance(matcher, Absent):
            places[ABSENT_PLACE] = None
        else:
            places.update(dict.fromkeys(joint_places(matcher) or options(matcher)))
    return list(places)
