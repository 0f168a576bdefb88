"""Finds, among very many rules, the few that an event could match.

An entry is filed under the places of one of its conditions, the one with the fewest entries so far; where a place fills
up, it becomes a node of its own that files by the remaining conditions. What cannot be filed at all is verified in the
order of priority, so that a match high up ends the search early.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import attrgetter

from app.rules.index.entry import Entry
from app.rules.index.index_field import Stream
from app.rules.index.index_node import Node
from app.rules.index.persistent import Edition
from app.rules.language.compile import Audience
from app.rules.language.document import DocumentView

_FEW_CANDIDATES = 128

_rank = attrgetter("rank")


class Index:
    """All entries, separated by the LiveKit defaults that apply to them."""

    __slots__ = ("_roots", "edition")

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self._roots: dict[tuple[bool, Audience], Node] = {}

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
        """Remove entries that are present; only within the index's own edition."""
        for entry in entries:
            self._root(entry).drop(entry)

    def _root(self, entry: Entry) -> Node:
        key = (entry.alternative.default_event, entry.alternative.audience)
        root = self._roots.get(key)
        root = Node(frozenset(), self.edition) if root is None else root.own(self.edition)
        self._roots[key] = root
        return root

    @property
    def names_events(self) -> bool:
        """Whether any entry names an event, so that others than joins can match."""
        return any(not default_event for default_event, _ in self._roots)

    @property
    def names_roles(self) -> bool:
        """Whether any entry names a role, so that participants who are no callers of their kind can match."""
        return any(audience is Audience.ALL for _, audience in self._roots)

    def candidates(self, view: DocumentView, *, is_default_event: bool, audience: Audience) -> Iterator[Entry]:
        """Yield, in the order of rank, every entry that the document could match; some may come twice.

        `audience`: the smallest one that the document's participant belongs to.
        """
        streams: list[Stream] = []
        for (default_event, widest), root in self._roots.items():
            if (is_default_event or not default_event) and audience <= widest:
                root.collect(view, streams)
        if len(streams) == 1:
            return iter(streams[0])
        if sum(map(len, streams)) <= _FEW_CANDIDATES:
            return iter(sorted(chain.from_iterable(streams), key=_rank))
        return heapq.merge(*streams, key=_rank)
