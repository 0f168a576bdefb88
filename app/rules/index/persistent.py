"""Collections that share what did not change between two versions of a rule book.

Each belongs to an *edition*, a token of one build or one update. Within its own edition a collection is changed in
place; an update of a later edition copies the small part it touches. So a build is as quick as with plain lists, one
edit among a hundred thousand rules copies a few hundred pointers, and older versions stay as they were.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Generic, Protocol, TypeVar

Edition = object
"""Made with `object()`; compared by identity."""

_SPLIT = 2_048
_PARTS = 256
_CHUNK = 512

Key = TypeVar("Key")
Value = TypeVar("Value")


class Ranked(Protocol):
    """Anything with a place in the matching order."""

    @property
    def rank(self) -> int: ...


Item = TypeVar("Item", bound=Ranked)


class Shards(Generic[Key, Value]):
    """A mapping, cut by hash into parts once it is large."""

    __slots__ = ("_owners", "_parts", "edition", "size")

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.size = 0
        self._parts: list[dict[Key, Value]] = [{}]
        self._owners: list[Edition] = [edition]

    def own(self, edition: Edition) -> Shards[Key, Value]:
        """Return this mapping, or a copy for another edition that may be changed."""
        if self.edition is edition:
            return self
        copy: Shards[Key, Value] = Shards(edition)
        copy.size = self.size
        copy._parts = list(self._parts)
        copy._owners = list(self._owners)
        return copy

    def get(self, key: Key) -> Value | None:
        parts = self._parts
        return (parts[hash(key) & (_PARTS - 1)] if len(parts) > 1 else parts[0]).get(key)

    def __contains__(self, key: object) -> bool:
        parts = self._parts
        return key in (parts[hash(key) & (_PARTS - 1)] if len(parts) > 1 else parts[0])

    def put(self, key: Key, value: Value) -> None:
        """Set a key; only within the mapping's own edition."""
        part = self._part_to_change(key)
        self.size += key not in part
        part[key] = value
        if self.size > _SPLIT and len(self._parts) == 1:
            self._split()

    def drop(self, key: Key) -> None:
        """Remove a key if it is present; only within the mapping's own edition."""
        if self._part_to_change(key).pop(key, None) is not None:
            self.size -= 1

    def items(self) -> Iterable[tuple[Key, Value]]:
        if len(self._parts) == 1:
            return self._parts[0].items()
        return chain.from_iterable(part.items() for part in self._parts)

    def __len__(self) -> int:
        return self.size

    def _part_to_change(self, key: Key) -> dict[Key, Value]:
        place = hash(key) & (_PARTS - 1) if len(self._parts) > 1 else 0
        if self._owners[place] is not self.edition:
            self._parts[place] = dict(self._parts[place])
            self._owners[place] = self.edition
        return self._parts[place]

    def _split(self) -> None:
        parts: list[dict[Key, Value]] = [{} for _ in range(_PARTS)]
        for key, value in self._parts[0].items():
            parts[hash(key) & (_PARTS - 1)][key] = value
        self._parts = parts
        self._owners = [self.edition] * _PARTS


class Ordered(Generic[Item]):
    """Items in the order of their rank, which no two share, in chunks."""

    __slots__ = ("_chunks", "_owners", "edition", "size")

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.size = 0
        self._chunks: list[list[Item]] = []
        self._owners: list[Edition] = []

    def own(self, edition: Edition) -> Ordered[Item]:
        """Return this collection, or a copy for another edition that may be changed."""
        if self.edition is edition:
            return self
        copy: Ordered[Item] = Ordered(edition)
        copy.size = self.size
        copy._chunks = list(self._chunks)
        copy._owners = list(self._owners)
        return copy

    def add(self, item: Item) -> None:
        """Put an item in its place; only within the collection's own edition."""
        self.size += 1
        if not self._chunks:
            self._chunks.append([item])
            self._owners.append(self.edition)
            return
        last = self._chunks[-1]
        if self._owners[-1] is self.edition and last[-1].rank < item.rank and len(last) < _CHUNK:
            last.append(item)  # a build in the order of rank
            return
        place = min(self._place(item.rank), len(self._chunks) - 1)
        chunk = self._chunk_to_change(place)
        chunk.insert(bisect_left(chunk, item.rank, key=_rank), item)
        if len(chunk) > 2 * _CHUNK:
            # At the end, where builds add, the first half stays full.
            cut = 2 * _CHUNK if place == len(self._chunks) - 1 and chunk[-1] is item else _CHUNK
            self._chunks[place : place + 1] = [chunk[:cut], chunk[cut:]]
            self._owners[place : place + 1] = [self.edition, self.edition]

    def drop(self, item: Item) -> bool:
        """Remove an item, and return whether it was present; only within the collection's own edition."""
        place = self._place(item.rank)
        if place == len(self._chunks):
            return False
        position = bisect_left(self._chunks[place], item.rank, key=_rank)
        if self._chunks[place][position] is not item:
            return False
        del self._chunk_to_change(place)[position]
        if not self._chunks[place]:
            del self._chunks[place], self._owners[place]
        self.size -= 1
        return True

    def has(self, item: Item) -> bool:
        """Return whether this very item is present."""
        place = self._place(item.rank)
        if place == len(self._chunks):
            return False
        chunk = self._chunks[place]
        return chunk[bisect_left(chunk, item.rank, key=_rank)] is item

    def __iter__(self) -> Iterator[Item]:
        for chunk in self._chunks:
            yield from chunk

    def __len__(self) -> int:
        return self.size

    def _place(self, rank: int) -> int:
        return bisect_left(self._chunks, rank, key=_last_rank)

    def _chunk_to_change(self, place: int) -> list[Item]:
        if self._owners[place] is not self.edition:
            self._chunks[place] = list(self._chunks[place])
            self._owners[place] = self.edition
        return self._chunks[place]


def _rank(item: Ranked) -> int:
    return item.rank


def _last_rank(chunk: list[Item]) -> int:
    return chunk[-1].rank
