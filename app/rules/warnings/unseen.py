"""Warnings about rules that ask for what no recent event holds, or for agents that have not joined."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from app.errors import Problem
from app.rules.language.matcher import (
    Absent,
    AnythingBut,
    AnythingButLike,
    Exact,
    Exists,
    Key,
    Matcher,
    Nothing,
    OneOf,
    exact_key,
    show_value,
)
from app.rules.language.pattern import DEFAULT_EVENT, EVENT, Alternative, Pattern
from app.rules.warnings.sample import value_of
from app.translation import joined, translatable
from app.webhook.lookup_answers import LOOKUP, STATUS_SUFFIX

DAYS: Final = 7
"""Days of events that are read."""
_MOST_VALUES: Final = 1000
"""Distinct values of a field that are remembered; of one with more, such as SIDs, nothing is said."""
_MOST_SHOWN: Final = 3

_NOT_OF_VALUES = (Absent, AnythingBut, AnythingButLike, Exists, Nothing)


@dataclass(slots=True)
class Traffic:
    """What recent events hold, by their type, and which agents dispatches name.

    `is_whole`: these are all events of the last `DAYS` days, else the latest of them. `agents`: whether each has
    joined one of its latest dispatches. `hidden`: paths that stored events of some project lack (`USHER_REDACT`).
    """

    is_whole: bool = True
    agents: Mapping[str, bool] = field(default_factory=dict)
    hidden: Collection[str] = ()
    events: Counter[str] = field(default_factory=Counter)
    paths: dict[str, Counter[str]] = field(default_factory=dict)
    """By type, in how many events each path is."""
    values: dict[str, dict[str, Counter[Key] | None]] = field(default_factory=dict)
    """By type and path, how often each distinct value was found; None where there are too many."""

    def add(self, event_type: str, document: Mapping[str, Any]) -> None:
        """Note one more event."""
        self.events[event_type] += 1
        by_path = self.values.setdefault(event_type, {})
        found = set()
        for path, value in _leaves(document, ""):
            found.add(path)
            known = by_path.setdefault(path, Counter())
            if known is not None:
                known[exact_key(value)] += 1
                if len(known) > _MOST_VALUES:
                    by_path[path] = None
        self.paths.setdefault(event_type, Counter()).update(found)

    def copy(self) -> Traffic:
        """Return a copy to which more can be added."""
        values = {
            one: {path: None if known is None else known.copy() for path, known in by_path.items()}
            for one, by_path in self.values.items()
        }
        paths = {one: counts.copy() for one, counts in self.paths.items()}
        return replace(self, events=Counter(self.events), paths=paths, values=values)

    def shows(self, path: str) -> bool:
        """Return whether stored events hold what is at `path`, as far as it was sent."""
        return not any(path == one or path.startswith(f"{one}.") or one.startswith(f"{path}.") for one in self.hidden)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(value, f"{path}.{name}" if path else str(name))
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, path)
    else:
        yield path, node


def check_traffic(pattern: Pattern, traffic: Traffic) -> tuple[list[Problem], list[Problem]]:
    """Return a problem for each path that no recent event has, and for values that none holds."""
    paths: dict[Problem, None] = {}
    values: dict[Problem, None] = {}
    for conditions in pattern.alternatives:
        seen = _Seen.of(conditions, traffic)
        if not seen.count:
            continue
        for path, matchers in conditions.items():
            if path == EVENT or not traffic.shows(path) or any(isinstance(one, Absent) for one in matchers):
                continue
            if path.startswith(f"{LOOKUP}.") and not seen.has(".".join(path.split(".")[:2]) + STATUS_SUFFIX):
                continue  # the lookup was not asked about any of them
            if not seen.has(path):
                paths[_unseen_path(path, seen)] = None
            elif (problem := _unseen_values(path, matchers, seen)) is not None:
                values[problem] = None
    return list(paths), list(values)


def check_agents(names: Iterable[str], agents: Mapping[str, bool]) -> list[Problem]:
    """Return a problem for each of these agents that has not joined; none where no agent ever has."""
    joined = [name for name, has_joined in agents.items() if has_joined]
    problems = []
    for name in dict.fromkeys(names):
        if not joined or agents.get(name):
            continue
        message = (
            translatable("has joined none of its latest dispatches")
            if name in agents
            else translatable("has never joined")
        )
        near = difflib.get_close_matches(name, joined, n=1)
        problems.append(
            Problem(
                "agent_name",
                translatable("agent %(name)s %(message)s", name=repr(name), message=message),
                name,
                near[0] if near else None,
            )
        )
    return problems


@dataclass(frozen=True, slots=True)
class _Seen:
    """The events that an alternative may match by their type."""

    count: int
    which: str
    by_path: Sequence[Mapping[str, Counter[Key] | None]]

    @classmethod
    def of(cls, conditions: Alternative, traffic: Traffic) -> _Seen:
        wanted = conditions.get(EVENT)
        types = [
            one
            for one in sorted(traffic.events)
            if (one == DEFAULT_EVENT if wanted is None else any(matcher.holds(one) for matcher in wanted))
        ]
        count = sum(traffic.events[one] for one in types)
        read = (
            translatable(" (%(count)s read)", count=count)
            if traffic.is_whole
            else translatable(" (the latest %(count)s read)", count=count)
        )
        which = translatable(
            "no %(names)s event of the last %(days)s days%(read)s",
            names=joined(translatable(" or "), types),
            days=DAYS,
            read=read,
        )
        return cls(count, which, [traffic.values[one] for one in types])

    def has(self, path: str) -> bool:
        return any(path in one for one in self.by_path)

    def values(self, path: str) -> set[Key] | None:
        """Return the distinct values at a path; None where there are too many."""
        found: set[Key] = set()
        for one in self.by_path:
            known = one.get(path, Counter())
            if known is None:
                return None
            found.update(known)
        return found

    @property
    def paths(self) -> set[str]:
        return {path for one in self.by_path for path in one}


def _unseen_path(path: str, seen: _Seen) -> Problem:
    above, _, name = path.rpartition(".")
    paths = seen.paths
    siblings = {one.rpartition(".")[2]: one for one in paths if one.rpartition(".")[0] == above}
    near = difflib.get_close_matches(name, siblings, n=1)
    elsewhere = sorted(one for one in paths if one.endswith(f".{name}"))
    suggestion = siblings[near[0]] if near else next(iter(elsewhere), None)
    return Problem(path, translatable("is in %(which)s", which=seen.which), suggestion=suggestion)


def _unseen_values(path: str, matchers: tuple[Matcher, ...], seen: _Seen) -> Problem | None:
    if any(isinstance(one, _NOT_OF_VALUES) for one in matchers):
        return None
    known = seen.values(path)
    if known is None:
        return None
    keys = [
        key
        for one in matchers
        if isinstance(one, Exact | OneOf)
        for key in (one.keys if isinstance(one, OneOf) else (one.key,))
    ]
    unseen = sorted((key for key in keys if key not in known), key=str)
    if unseen:
        shown = ", ".join(_shown(key) for key in unseen[:_MOST_SHOWN])
        more = translatable(" and %(count)s more", count=len(unseen) - _MOST_SHOWN) if len(unseen) > _MOST_SHOWN else ""
        return Problem(
            path,
            translatable("is %(shown)s%(more)s in %(which)s", shown=shown, more=more, which=seen.which),
            suggestion=_near(unseen[0], known),
        )
    others = [one for one in matchers if not isinstance(one, Exact | OneOf)]
    if others and not any(one.holds(value_of(key)) for one in others for key in known):
        expected = joined(translatable(" or "), (one.describe() for one in others[:_MOST_SHOWN]))
        return Problem(path, translatable("is %(expected)s in %(which)s", expected=expected, which=seen.which))
    return None


def _near(key: Key, known: Collection[Key]) -> str | None:
    texts = [one for one in known if isinstance(one, str)]
    if not isinstance(key, str):
        text = _shown(key)
        return f'"{text}"' if text in texts else None
    same = next((one for one in known if not isinstance(one, str) and _shown(one) == key), None)
    if same is not None:
        return _shown(same)
    near = difflib.get_close_matches(key, texts, n=1)
    return f'"{near[0]}"' if near else None


def _shown(key: Key) -> str:
    return show_value(value_of(key))
