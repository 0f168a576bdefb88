"""Finds the values of a field in a document.

A path names every leaf whose keys, joined by dots, spell it; arrays are searched. Each leaf found within an
element of an array carries its *membership*: which element of which array, outermost first. `exists` and all other
match types see leaves only: an object, an array or an empty array is no value.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from app.rules.language.limits import MAX_WORK

Membership = tuple[tuple[int, int], ...]
"""(number of the array within the document, index of the element), outermost array first."""

Leaf = tuple[Any, Membership]

NOWHERE: tuple[Leaf, ...] = ()

Steps = tuple[tuple[tuple[str, int], ...], ...]

_SCALARS = (str, int, float, bool, type(None))
_PLAIN = frozenset(_SCALARS)
_OUTSIDE: Membership = ()


class Work:
    """The remaining budget of work for one event; only hostile arrays and patterns exhaust it."""

    __slots__ = ("left",)

    def __init__(self, most: int = MAX_WORK) -> None:
        self.left = most

    def spend(self, steps: int) -> bool:
        """Take steps off the budget, and return whether there were enough."""
        self.left = max(0, self.left - steps)
        return self.left > 0


class DocumentView:
    """Looks fields up in one document, each path once."""

    __slots__ = ("_arrays", "_document", "_found", "_work")

    def __init__(self, document: Mapping[str, Any], work: Work | None = None) -> None:
        self._document = document
        self._found: dict[str, tuple[Leaf, ...]] = {}
        self._arrays: dict[int, int] = {}
        self._work = work

    @property
    def work(self) -> Work:
        """The remaining budget of work for this document."""
        if self._work is None:
            self._work = Work()
        return self._work

    def has(self, name: str) -> bool:
        """Return whether the document has a value, of any kind, under a top-level name."""
        return bool(self._document.get(name))

    def leaves(self, path: str) -> tuple[Leaf, ...]:
        """Return every leaf at the dotted path."""
        found = self._found.get(path)
        if found is None:
            found = self._found[path] = self._look_up(path)
        return found

    def leaves_among(self, paths: Container[str], openings: Container[str]) -> dict[str, tuple[Leaf, ...]]:
        """Return the leaves at those of the dotted paths that are there, by path.

        `openings` has every dotted name that one of the paths goes on from. Takes time in proportion to the document,
        however many the paths are.
        """
        found: dict[str, list[Leaf]] = {}
        todo: list[tuple[Any, str, Membership]] = [(self._document, "", _OUTSIDE)]
        while todo:
            node, path, membership = todo.pop()
            if isinstance(node, Mapping):
                start = f"{path}." if node is not self._document else ""
                for key, value in node.items():
                    name = start + key
                    if type(value) in _PLAIN:
                        if name in paths:
                            found.setdefault(name, []).append((value, membership))
                    elif name in openings or name in paths:
                        todo.append((value, name, membership))
            elif isinstance(node, (list, tuple)):
                number = self._arrays.setdefault(id(node), len(self._arrays))
                for index, element in enumerate(node):
                    within = membership if isinstance(element, _SCALARS) else (*membership, (number, index))
                    todo.append((element, path, within))
            elif path in paths:
                found.setdefault(path, []).append((node, membership))
        return {path: tuple(leaves) for path, leaves in found.items()}

    def _look_up(self, path: str) -> tuple[Leaf, ...]:
        steps = _STEPS.get(path) or _steps(path)
        node: Any = self._document
        place, size = 0, len(steps)
        while place < size:
            # The usual case, one key at each step and no array, needs no bookkeeping.
            if type(node) is not dict:
                return NOWHERE if type(node) in _PLAIN else self._walk(steps, node, place)
            way = None
            for step in steps[place]:
                if step[0] in node:
                    if way is not None:
                        return self._walk(steps, node, place)
                    way = step
            if way is None:
                return NOWHERE
            node = node[way[0]]
            place = way[1]
        return ((node, _OUTSIDE),) if type(node) in _PLAIN else self._walk(steps, node, place)

    def _walk(self, steps: Steps, start: Any, reached: int) -> tuple[Leaf, ...]:
        leaves: list[Leaf] = []
        todo: list[tuple[Any, int, Membership]] = [(start, reached, ())]
        size = len(steps)
        while todo:
            node, place, membership = todo.pop()
            if isinstance(node, Mapping):
                if place < size:
                    todo += [(node[key], end, membership) for key, end in steps[place] if key in node]
            elif isinstance(node, (list, tuple)):
                number = self._arrays.setdefault(id(node), len(self._arrays))
                for index, element in enumerate(node):
                    if not isinstance(element, _SCALARS):
                        todo.append((element, place, (*membership, (number, index))))
                    elif place == size:
                        leaves.append((element, membership))
            elif place == size:
                leaves.append((node, membership))
        return tuple(leaves)


_STEPS: dict[str, Steps] = {}
_MOST_STEPS = 8_192


def _steps(path: str) -> Steps:
    """Return, for each part of the path reached, the keys that may lead on and the part they lead to."""
    parts = path.split(".")
    size = len(parts)
    steps = tuple(
        tuple((".".join(parts[start:end]), end) for end in range(start + 1, size + 1)) for start in range(size)
    )
    if len(_STEPS) >= _MOST_STEPS:
        _STEPS.clear()
    _STEPS[path] = steps
    return steps
