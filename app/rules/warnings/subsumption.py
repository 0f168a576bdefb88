"""Proves that one condition follows from another.

`True` is a proof; `False` means only that none was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.livekit.participant.role import ROLE_OF_KIND, Role
from app.rules.language.compile import KIND, ROLE, Alternative, Audience, Condition
from app.rules.language.consistency import judged_before
from app.rules.language.matcher import (
    Absent,
    AnythingBut,
    AnythingButLike,
    Exact,
    Exists,
    InNetwork,
    Matcher,
    Nothing,
    Numeric,
    OneOf,
)
from app.rules.language.pattern import DEFAULT_EVENT, EVENT
from app.rules.language.text_matcher import IgnoreCase, Prefix, Suffix, Wildcard
from app.rules.warnings.sample import value_of

_MOST_COMPARED = 256


def covers(wide: Sequence[Alternative], narrow: Sequence[Alternative]) -> bool:
    """Return whether every document that the narrow pattern matches is provably matched by the wide one."""
    return all(any(_covers_alternative(one, other) for one in wide) for other in narrow)


def _covers_alternative(wide: Alternative, narrow: Alternative) -> bool:
    asked = {condition.path: condition for condition in narrow.conditions}
    if wide.default_event and not (narrow.default_event or _is_only_joins(asked.get(EVENT))):
        return False
    if wide.audience < narrow.audience and not _is_only_callers(narrow.audience, asked):
        return False
    return all(_follows(condition, asked.get(condition.path), wide, narrow) for condition in wide.conditions)


def _follows(wide: Condition, narrow: Condition | None, wide_all: Alternative, narrow_all: Alternative) -> bool:
    if narrow is None:
        return wide.path == EVENT and narrow_all.default_event and wide.holds_for((DEFAULT_EVENT, ()))
    if narrow.may_be_absent and _paths_before(wide_all, wide.path) != _paths_before(narrow_all, wide.path):
        # Within arrays, absence is judged against the elements that the fields before it have chosen.
        return False
    return all(any(implies(one, other) for other in wide.matchers) for one in narrow.matchers)


def _paths_before(alternative: Alternative, path: str) -> set[str]:
    return {condition.path for condition in alternative.conditions if judged_before(condition.path, path)}


def _is_only_joins(condition: Condition | None) -> bool:
    return condition is not None and all(implies(one, Exact(DEFAULT_EVENT)) for one in condition.matchers)


def _is_only_callers(audience: Audience, conditions: Mapping[str, Condition]) -> bool:
    """Return whether the conditions of an alternative of that audience provably hold for callers only."""
    role, kind = conditions.get(ROLE), conditions.get(KIND)
    if role is not None:
        return not role.may_be_absent and all(implies(one, Exact(Role.CALLER.value)) for one in role.matchers)
    if audience is not Audience.BY_KIND or kind is None or kind.may_be_absent:
        return False
    return not any(matcher.holds(name) for matcher in kind.matchers for name in ROLE_OF_KIND)


def implies(narrow: Matcher, wide: Matcher) -> bool:
    """Return whether every value that `narrow` holds for is provably one that `wide` holds for."""
    if narrow == wide or isinstance(narrow, Nothing):
        return True
    if isinstance(narrow, Absent) or isinstance(wide, Absent):
        return False
    if isinstance(wide, Exists):
        return True
    match narrow:
        case Exact(key):
            return wide.holds(value_of(key))
        case OneOf(keys):
            return len(keys) <= _MOST_COMPARED and all(wide.holds(value_of(key)) for key in keys)
        case InNetwork(low, high, _):
            return isinstance(wide, InNetwork) and len(low) == len(wide.low) and wide.low <= low and high <= wide.high
        case Numeric():
            return isinstance(wide, Numeric) and _is_within(narrow, wide)
        case Prefix(text):
            return _holds_for_all_with_prefix(wide, text)
        case Suffix(text):
            return _holds_for_all_with_suffix(wide, text)
        case AnythingBut(keys):
            return isinstance(wide, AnythingBut) and wide.keys <= keys
        case AnythingButLike(matchers):
            return isinstance(wide, AnythingButLike) and all(
                any(implies(excluded, one) for one in matchers) for excluded in wide.matchers
            )
        case _:
            return False


def _is_within(narrow: Numeric, wide: Numeric) -> bool:
    above = wide.low < narrow.low or (wide.low == narrow.low and (narrow.open_low or not wide.open_low))
    below = narrow.high < wide.high or (wide.high == narrow.high and (narrow.open_high or not wide.open_high))
    return above and below


def _holds_for_all_with_prefix(wide: Matcher, text: str) -> bool:
    match wide:
        case Prefix():
            return text.startswith(wide.text)
        case IgnoreCase(_, "prefix"):
            return wide.holds(text)
        case Wildcard(pieces, _):
            return pieces[-1] == "" and wide.holds(text)
        case AnythingBut(keys):
            return not any(isinstance(key, str) and key.startswith(text) for key in keys)
        case _:
            return False


def _holds_for_all_with_suffix(wide: Matcher, text: str) -> bool:
    match wide:
        case Suffix():
            return text.endswith(wide.text)
        case IgnoreCase(_, "suffix"):
            return wide.holds(text)
        case Wildcard(pieces, _):
            return pieces[0] == "" and wide.holds(text)
        case AnythingBut(keys):
            return not any(isinstance(key, str) and key.endswith(text) for key in keys)
        case _:
            return False
