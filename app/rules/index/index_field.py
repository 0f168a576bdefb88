"""One field of the index: finds the entries filed under the values that a document has in this field."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable
from operator import attrgetter
from typing import Any, Protocol, Self

from app.rules.index.entry import Entry
from app.rules.index.persistent import Edition, Ordered, Shards
from app.rules.index.places import ABOVE, ABSENT_PLACE, BELOW, BUT, EXACT, Place, Table, keys_of
from app.rules.index.ranges import Exclusions, Rays
from app.rules.language.document import DocumentView, Leaf
from app.rules.language.matcher import exact_key
from app.rules.language.number import is_comparable, is_number

_BUCKET = 8

_rank = attrgetter("rank")

Stream = tuple[Entry, ...] | Ordered[Entry]
"""Entries in the order of rank."""


class Branch(Protocol):
    """A node that replaces a full bucket."""

    size: int

    def own(self, edition: Edition) -> Self: ...
    def add(self, entry: Entry) -> None: ...
    def drop(self, entry: Entry) -> None: ...
    def has(self, entry: Entry) -> bool: ...
    def collect(self, view: DocumentView, streams: list[Stream]) -> None: ...


Bucket = tuple[Entry, ...] | Branch


class Field:
    """The entries filed under one field."""

    __slots__ = ("_but", "_exact", "_rays", "_tables", "edition")

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self._exact: Shards[Hashable, Bucket] | None = None
        self._tables: dict[Table, Shards[Hashable, Bucket]] = {}
        self._rays: dict[Table, Rays] = {}
        self._but: Exclusions | None = None

    def own(self, edition: Edition) -> Field:
        """Return this field, or a copy for another edition that may be changed."""
        if self.edition is edition:
            return self
        copy = Field(edition)
        copy._exact = self._exact
        copy._tables = dict(self._tables)
        copy._rays = dict(self._rays)
        copy._but = self._but
        return copy

    @property
    def is_empty(self) -> bool:
        return not (self._exact or self._tables or self._rays or self._but)

    @property
    def holds_absent(self) -> bool:
        return ABSENT_PLACE[0] in self._tables

    def population(self, place: Place) -> int:
        """Return how many entries are filed under a place."""
        table, key = place
        if table in (ABOVE, BELOW):
            return self._rays[table].size if table in self._rays else 0
        if table == BUT:
            return self._but.entries.size if self._but is not None else 0
        bucket = self._bucket(table, key)
        if bucket is None:
            return 0
        return len(bucket) if isinstance(bucket, tuple) else bucket.size

    def has(self, place: Place, entry: Entry) -> bool:
        """Return whether this very entry is filed under a place."""
        table, key = place
        if table in (ABOVE, BELOW):
            return table in self._rays and self._rays[table].has(key, entry)
        if table == BUT:
            return self._but is not None and self._but.entries.has(entry)
        bucket = self._bucket(table, key)
        if bucket is None:
            return False
        return any(other is entry for other in bucket) if isinstance(bucket, tuple) else bucket.has(entry)

    def add(self, place: Place, entry: Entry, branch: Callable[[Edition], Branch]) -> None:
        """File an entry; only within the field's own edition. `branch` makes a node for a full bucket."""
        table, key = place
        if table in (ABOVE, BELOW):
            rays = self._rays.get(table)
            self._rays[table] = Rays(self.edition) if rays is None else rays.own(self.edition)
            self._rays[table].add(key, entry)
        elif table == BUT:
            self._but = Exclusions(self.edition) if self._but is None else self._but.own(self.edition)
            self._but.add(key, entry)
        else:
            found = self._table(table)
            shards: Shards[Hashable, Bucket] = Shards(self.edition) if found is None else found.own(self.edition)
            self._set_table(table, shards)
            shards.put(key, self._with(shards.get(key), entry, branch))

    def drop(self, places: Iterable[Place], entry: Entry) -> bool:
        """Remove an entry from all its places, and return whether it had any; only within the field's own edition."""
        held = [place for place in places if self.has(place, entry)]
        for place in held:
            table, key = place
            if table in (ABOVE, BELOW):
                rays = self._rays[table] = self._rays[table].own(self.edition)
                rays.drop(key, entry)
                if not rays.size:
                    del self._rays[table]
            elif table == BUT:
                if self._but is not None:
                    self._but = self._but.own(self.edition)
                    self._but.drop(key, entry)
                    self._but = self._but if self._but.entries.size else None
            else:
                self._drop_from(table, key, entry)
        return bool(held)

    def _drop_from(self, table: Table, key: Hashable, entry: Entry) -> None:
        found = self._table(table)
        if found is None:
            return
        shards = found.own(self.edition)
        self._set_table(table, shards)
        bucket = shards.get(key)
        remaining: Bucket | None
        if bucket is None or isinstance(bucket, tuple):
            remaining = tuple(other for other in bucket or () if other is not entry) or None
        else:
            bucket = bucket.own(self.edition)
            bucket.drop(entry)
            remaining = bucket if bucket.size else None
        if remaining is None:
            shards.drop(key)
        else:
            shards.put(key, remaining)
        if not shards.size:
            self._set_table(table, None)

    def _with(self, bucket: Bucket | None, entry: Entry, branch: Callable[[Edition], Branch]) -> Bucket:
        if bucket is None:
            return (entry,)
        if not isinstance(bucket, tuple):
            node = bucket.own(self.edition)
            node.add(entry)
            return node
        if len(bucket) < _BUCKET:
            at = bisect_left(bucket, entry.rank, key=_rank)
            return (*bucket[:at], entry, *bucket[at:])
        node = branch(self.edition)
        for other in (*bucket, entry):
            node.add(other)
        return node

    def _table(self, table: Table) -> Shards[Hashable, Bucket] | None:
        return self._exact if table == EXACT else self._tables.get(table)

    def _set_table(self, table: Table, shards: Shards[Hashable, Bucket] | None) -> None:
        if table == EXACT:
            self._exact = shards
        elif shards is None:
            self._tables.pop(table, None)
        else:
            self._tables[table] = shards

    def _bucket(self, table: Table, key: Hashable) -> Bucket | None:
        shards = self._table(table)
        return None if shards is None else shards.get(key)

    def collect(self, leaves: tuple[Leaf, ...], view: DocumentView, streams: list[Stream]) -> None:
        """Append the entries filed under the values found, as streams that are each in the order of rank."""
        if len(leaves) > 1:
            values = {exact_key(value): value for value, _ in leaves}.values()
            self._collect_values(list(values), view, streams)
        elif leaves:
            value = leaves[0][0]
            if self._exact is not None:
                bucket = self._exact.get(value if type(value) is str else exact_key(value))
                if bucket is not None:
                    _append(bucket, view, streams)
            for table, shards in self._tables.items():
                for key in keys_of(value, table, shards):
                    bucket = shards.get(key)
                    if bucket is not None:
                        _append(bucket, view, streams)
            if self._rays or self._but:
                self._collect_sweeping([value], streams)
        # Within arrays a field may be present in one element and absent in another.
        if ABSENT_PLACE[0] in self._tables and all(membership for _, membership in leaves):
            bucket = self._bucket(*ABSENT_PLACE)
            if bucket is not None:
                _append(bucket, view, streams)

    def _collect_values(self, values: list[Any], view: DocumentView, streams: list[Stream]) -> None:
        if self._exact is not None:
            for value in values:
                bucket = self._exact.get(exact_key(value))
                if bucket is not None:
                    _append(bucket, view, streams)
        for table, shards in self._tables.items():
            for key in {key for value in values for key in keys_of(value, table, shards)}:
                bucket = shards.get(key)
                if bucket is not None:
                    _append(bucket, view, streams)
        self._collect_sweeping(values, streams)

    def _collect_sweeping(self, values: list[Any], streams: list[Stream]) -> None:
        for table, rays in self._rays.items():
            numbers = [value for value in values if is_number(value) and is_comparable(value)]
            if numbers:
                streams.extend(rays.below(max(numbers) if table == ABOVE else -min(numbers)))
        if self._but is not None and not all(map(self._but.all_exclude, values)):
            streams.append(self._but.entries)


def _append(bucket: Bucket, view: DocumentView, streams: list[Stream]) -> None:
    if isinstance(bucket, tuple):
        streams.append(bucket)
    else:
        bucket.collect(view, streams)
