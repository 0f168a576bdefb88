"""Array consistency: conditions on fields of the same array must hold in the same element.

Each condition offers candidates: the memberships of the leaves that satisfy it. An alternative matches when one
candidate of each condition can be chosen so that no two of them name different elements of the same array. An
`exists: false` whose field is there in some elements only is judged, as event-ruler does it, against the elements
chosen for the fields before it in the order of their dotted names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from app.rules.language.document import Membership, Work
from app.rules.language.limits import MAX_STEPS

Chosen = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What one condition leaves open.

    `candidates` are the memberships of the leaves that satisfy it. When `present` is given, the condition also holds
    where none of those leaves, which are there, agrees with the elements chosen so far.
    """

    path: str
    candidates: frozenset[Membership]
    present: frozenset[Membership] | None = None


class _TooManySteps(Exception):  # noqa: N818 - ends the search, is no error
    pass


def is_consistent(choices: Sequence[Choice], work: Work) -> bool:
    """Return whether one candidate of each choice can be chosen together.

    Gives up after MAX_STEPS combinations, or when the work for the event is used up, and answers False.
    """
    if any(choice.present is not None for choice in choices):
        ordered = sorted(choices, key=lambda choice: _java_order(choice.path))
    else:
        # By parts, so that the fields of one array stand together and what it had chosen is soon forgotten.
        ordered = sorted(choices, key=lambda choice: choice.path.split("."))
    search = _Search(ordered, min(MAX_STEPS, work.left))
    try:
        return search.run()
    except _TooManySteps:
        return False
    finally:
        work.spend(search.steps)


def judged_before(path: str, other: str) -> bool:
    """Return whether the elements chosen for one field are known when the absence of the other is judged."""
    return _java_order(path) < _java_order(other)


def _java_order(path: str) -> bytes:
    return path.encode("utf-16-be", "surrogatepass")


class _Search:
    """Depth first over the choices, remembering for each only the elements that later choices ask about."""

    def __init__(self, choices: Sequence[Choice], most: int) -> None:
        self._candidates = [_ByElement(choice.candidates) for choice in choices]
        self._present = [None if choice.present is None else _ByElement(choice.present) for choice in choices]
        needed: frozenset[int] = frozenset()
        self._needed = [needed]
        for candidates, present in zip(reversed(self._candidates), reversed(self._present), strict=True):
            needed |= candidates.arrays | (present.arrays if present else frozenset())
            self._needed.append(needed)
        self._needed.reverse()
        self._most = most
        self.steps = 0

    def run(self) -> bool:
        seen: set[tuple[int, Chosen]] = set()
        todo: list[tuple[int, Chosen]] = [(0, ())]
        while todo:
            place, chosen = todo.pop()
            if place == len(self._candidates):
                return True
            for following in self._choose(place, dict(chosen)):
                state = (place + 1, following)
                if state not in seen:
                    seen.add(state)
                    todo.append(state)
        return False

    def _choose(self, place: int, chosen: dict[int, int]) -> Iterator[Chosen]:
        needed = self._needed[place + 1]
        for candidate in self._agreeing(self._candidates[place], chosen):
            merged = chosen | dict(candidate)
            yield tuple(sorted((array, index) for array, index in merged.items() if array in needed))
        present = self._present[place]
        if present is not None and next(self._agreeing(present, chosen), None) is None:
            yield tuple(sorted((array, index) for array, index in chosen.items() if array in needed))

    def _agreeing(self, memberships: _ByElement, chosen: dict[int, int]) -> Iterator[Membership]:
        for membership in memberships.near(chosen):
            self.steps += 1
            if self.steps > self._most:
                raise _TooManySteps
            if all(chosen.get(array, index) == index for array, index in membership):
                yield membership


class _ByElement:
    """Memberships, filed by the elements they name, so that a chosen element leads straight to its own."""

    def __init__(self, memberships: frozenset[Membership]) -> None:
        self._all = memberships
        self._within: dict[tuple[int, int], list[Membership]] = {}
        self._inside: dict[int, int] = {}
        self._outside: dict[int, list[Membership]] = {}
        for membership in memberships:
            for element in membership:
                self._within.setdefault(element, []).append(membership)
                self._inside[element[0]] = self._inside.get(element[0], 0) + 1
        self.arrays = frozenset(self._inside)

    def near(self, chosen: dict[int, int]) -> Iterable[Membership]:
        """Return the memberships that may agree with the chosen elements."""
        best: tuple[int, int] | None = None
        size = len(self._all)
        for element in chosen.items():
            inside = self._inside.get(element[0])
            if inside is not None:
                outside = len(self._all) - inside
                possible = len(self._within.get(element, ())) + outside
                if possible < size:
                    best, size = element, possible
        if best is None:
            return self._all
        return chain(self._within.get(best, ()), self._without(best[0]))

    def _without(self, array: int) -> list[Membership]:
        """Return the memberships that name no element of the array; hardly ever any."""
        if self._inside[array] == len(self._all):
            return []
        if array not in self._outside:
            self._outside[array] = [
                membership for membership in self._all if all(named != array for named, _ in membership)
            ]
        return self._outside[array]
