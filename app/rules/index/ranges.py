"""Index tables for conditions that hold for most values: half-open ranges, and anything-but.

Neither leads from a value to few entries. Half-open ranges are kept in the order of their bounds, so those that hold
are a run of chunks, each of which is ready in the order of rank; anything-but counts what excludes a value, to see at
once when everything does.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from app.rules.index.entry import Entry
from app.rules.index.persistent import Edition, Ordered, Shards
from app.rules.index.places import Place, Table, keys_of

_CHUNK = 2_048
_FEW = 64
_rank = attrgetter("rank")


class _Chunk:
    """Entries with bounds next to each other: by bound, and once asked for by rank."""

    __slots__ = ("_by_rank", "_entries", "edition", "keys")

    def __init__(self, edition: Edition, entries: dict[tuple[float, int], Entry]) -> None:
        self.edition = edition
        self.keys = sorted(entries)
        self._entries = entries
        self._by_rank: tuple[Entry, ...] | None = None

    def own(self, edition: Edition) -> _Chunk:
        return self if self.edition is edition else _Chunk(edition, dict(self._entries))

    def add(self, key: tuple[float, int], entry: Entry) -> None:
        insort(self.keys, key)
        self._entries[key] = entry
        self._by_rank = None

    def drop(self, key: tuple[float, int]) -> None:
        del self.keys[bisect_left(self.keys, key)], self._entries[key]
        self._by_rank = None

    def get(self, key: tuple[float, int]) -> Entry | None:
        return self._entries.get(key)

    def halves(self) -> list[_Chunk]:
        cut = len(self.keys) // 2
        return [
            _Chunk(self.edition, {key: self._entries[key] for key in part})
            for part in (self.keys[:cut], self.keys[cut:])
        ]

    def by_rank(self) -> tuple[Entry, ...]:
        if self._by_rank is None:
            self._by_rank = tuple(sorted(self._entries.values(), key=_rank))
        return self._by_rank

    def below(self, number: float) -> tuple[Entry, ...]:
        # After every rank that has this bound.
        cut = bisect_left(self.keys, (number, float("inf")))
        if cut > _FEW:
            return self.by_rank()  # verifying some that do not hold costs less than sorting
        return tuple(sorted((self._entries[key] for key in self.keys[:cut]), key=_rank))


class Rays:
    """Entries whose condition holds for every number above a bound (or below: then all numbers are negated)."""

    __slots__ = ("_chunks", "edition", "size")

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.size = 0
        self._chunks: list[_Chunk] = []

    def own(self, edition: Edition) -> Rays:
        """Return these rays, or a copy for another edition that may be changed."""
        if self.edition is edition:
            return self
        copy = Rays(edition)
        copy.size = self.size
        copy._chunks = list(self._chunks)
        return copy

    def add(self, bound: float, entry: Entry) -> None:
        """File an entry; only within the rays' own edition."""
        key = (bound, entry.rank)
        self.size += 1
        if not self._chunks:
            self._chunks.append(_Chunk(self.edition, {key: entry}))
            return
        place = min(self._place(key), len(self._chunks) - 1)
        chunk = self._chunks[place].own(self.edition)
        chunk.add(key, entry)
        self._chunks[place : place + 1] = [chunk] if len(chunk.keys) <= 2 * _CHUNK else chunk.halves()

    def drop(self, bound: float, entry: Entry) -> None:
        """Remove an entry that is present; only within the rays' own edition."""
        key = (bound, entry.rank)
        place = self._place(key)
        chunk = self._chunks[place].own(self.edition)
        chunk.drop(key)
        self._chunks[place : place + 1] = [chunk] if chunk.keys else []
        self.size -= 1

    def has(self, bound: float, entry: Entry) -> bool:
        """Return whether this very entry is filed."""
        key = (bound, entry.rank)
        place = self._place(key)
        return place < len(self._chunks) and self._chunks[place].get(key) is entry

    def below(self, number: float) -> Iterator[tuple[Entry, ...]]:
        """Yield (at least) what has a bound at or below the number, in parts that are each in the order of rank."""
        for chunk in self._chunks:
            if chunk.keys[-1][0] > number:
                yield chunk.below(number)
                return
            yield chunk.by_rank()

    def _place(self, key: tuple[float, int]) -> int:
        return bisect_left(self._chunks, key, key=_last_key)


def _last_key(chunk: _Chunk) -> tuple[float, int]:
    return chunk.keys[-1]


class Exclusions:
    """Entries whose condition holds for all but a few values, each with the places of what it excludes."""

    __slots__ = ("_counts", "edition", "entries")

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.entries: Ordered[Entry] = Ordered(edition)
        self._counts: dict[Table, Shards[Any, int]] = {}

    def own(self, edition: Edition) -> Exclusions:
        """Return these exclusions, or a copy for another edition that may be changed."""
        if self.edition is edition:
            return self
        copy = Exclusions(edition)
        copy.entries = self.entries.own(edition)
        copy._counts = {table: counts.own(edition) for table, counts in self._counts.items()}
        return copy

    def add(self, excluded: Iterable[Place], entry: Entry) -> None:
        """File an entry; only within its own edition."""
        self.entries.add(entry)
        for table, key in excluded:
            counts = self._counts.setdefault(table, Shards(self.edition))
            counts.put(key, (counts.get(key) or 0) + 1)

    def drop(self, excluded: Iterable[Place], entry: Entry) -> None:
        """Remove an entry that is present; only within its own edition."""
        self.entries.drop(entry)
        for table, key in excluded:
            counts = self._counts[table]
            count = (counts.get(key) or 0) - 1
            if count:
                counts.put(key, count)
            else:
                counts.drop(key)

    def all_exclude(self, value: Any) -> bool:
        """Return whether every entry certainly excludes the value."""
        return any(
            counts.get(key) == self.entries.size
            for table, counts in self._counts.items()
            for key in keys_of(value, table, counts)
        )
