"""`rule_broken`: a rule cannot be used, or its metadata not made; `objective_burning`: it misses its objective."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from app.audit import Objective
from app.db.types import IncidentKind
from app.errors import join_path
from app.incidents.conditions.callers_without_agents import LostCall
from app.incidents.facts.bad_rows import BadRow
from app.incidents.sighting import MAX_CALLS, Key, Level, Sighting, level_of
from app.livekit.webhook_fields import known_fields
from app.rules.lookups.lookup_book import BadLookup
from app.rules.rule import BadRule
from app.translation import translatable

_PROBLEMS: Final = 5
_CANNOT_BE_MADE: Final = translatable("its metadata or attributes cannot be made for some callers")
FAST_HOURS: Final = (1.0, 5 / 60)
"""Of the two windows the longer shows that it matters, and the shorter that it goes on."""
FAST_BURN: Final = 6.0
"""At this rate a day's allowance is used up in four hours."""
FAST_MISSED: Final = 2
SLOW_HOURS: Final = (24.0, 1.0)
SLOW_MISSED: Final = 5


def broken_rules(bad: Iterable[BadRule], failed: Iterable[LostCall], now: datetime) -> Iterator[Sighting]:
    """Yield the rules that cannot be used, and those whose metadata could not be made for a caller lately."""
    calls: defaultdict[str, list[LostCall]] = defaultdict(list)
    for one in failed:
        calls[one.subject].append(one)
    found: dict[str, Sighting] = {}
    for name, lost in calls.items():
        level = level_of((now - max(one.at for one in lost)).total_seconds())
        if level is not None:
            named = list(dict.fromkeys(one.call_id for one in sorted(lost, key=lambda one: one.at, reverse=True)))
            detail: dict[str, Any] = {"problems": [_CANNOT_BE_MADE]}
            callers = {(one.project, one.caller) for one in lost}
            found[name] = Sighting(_broken(name), level, len(callers), {**detail, "calls": named[:MAX_CALLS]})
    for rule in (one for one in bad if one.enabled):
        places = dict.fromkeys(_place(one.path) for one in rule.problems)
        detail = {"rule_id": rule.id, "problems": [f"{place} is not valid" for place in places][:_PROBLEMS]}
        found[rule.name] = Sighting(_broken(rule.name), Level.OPEN, 1, detail)
    yield from found.values()


def bad_rows(rows: Iterable[BadRow], lookups: Iterable[BadLookup]) -> Iterator[Sighting]:
    """Yield the rows of other tables that hold what cannot be used, and the lookups that cannot be asked."""
    for row in rows:
        detail = {"table": row.table, "name": row.name, "problems": list(row.problems[:_PROBLEMS])}
        yield Sighting(_broken(f"{row.noun} {row.name}"), Level.OPEN, 1, detail)
    for lookup in (one for one in lookups if one.enabled):
        places = dict.fromkeys(_place(one.path) for one in lookup.problems)
        problems = [f"{place} is not valid" for place in places][:_PROBLEMS]
        detail = {"table": "lookups", "name": lookup.name, "problems": problems}
        yield Sighting(_broken(f"lookup {lookup.name}"), Level.OPEN, 1, detail)


def _place(path: str) -> str:
    """Return the column of a problem, and the field of LiveKit's that it is about.

    The rest of its path, and its message, may hold what the rule looks for: the number of a caller, say.
    """
    column, *names = re.split(r"[.\[]", path)
    known, here = known_fields(), ""
    for name in names if column == "pattern" else ():
        if join_path(here, name) not in known:
            break
        here = join_path(here, name)
    return f"{column}.{here}" if here else column or "the rule"


def _broken(name: str) -> Key:
    return Key(IncidentKind.RULE_BROKEN, name, "")


def burning_objectives(objectives: Iterable[Objective]) -> Iterator[Sighting]:
    """Yield the rules whose callers miss the objective: fast now, or steadily over a day."""
    for one in objectives:
        hour = one.over(1.0)
        if hour is None:  # it is being counted
            yield Sighting(_burning(one), Level.HELD, 0)
            continue
        is_fast = _burns(one, FAST_HOURS, FAST_BURN, FAST_MISSED)
        if is_fast or _burns(one, SLOW_HOURS, 1.0, SLOW_MISSED):
            level = Level.OPEN
        elif (hour.burn_rate or 0.0) > 1.0:
            level = Level.HELD
        else:
            continue
        detail = {
            "objective": one.text,
            "rule_id": one.rule_id,
            "missed": hour.missed,
            "of": hour.calls,
            "burn_rate": None if hour.burn_rate is None else round(hour.burn_rate, 1),
        }
        yield Sighting(_burning(one), level, max(1, hour.missed), detail)


def _burning(objective: Objective) -> Key:
    return Key(IncidentKind.OBJECTIVE_BURNING, objective.rule, "")


def _burns(objective: Objective, hours: tuple[float, float], rate: float, missed: int) -> bool:
    windows = [objective.over(one) for one in hours]
    if any(one is None or (one.burn_rate or 0.0) <= rate for one in windows):
        return False
    longest = windows[0]
    return longest is not None and longest.missed > missed
