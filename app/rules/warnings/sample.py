"""Makes a document that an alternative matches, where that is easy.

A rule that matches everything an alternative matches also matches its sample. So the index finds, among very many
rules, the few that could shadow a later one.
"""

from __future__ import annotations

import ipaddress
import json
import math
from typing import Any, Final

from app.livekit.participant.role import ROLE_OF_KIND, Role
from app.rules.language.compile import Alternative, Audience, Condition
from app.rules.language.document import DocumentView
from app.rules.language.matcher import Exact, Exists, InNetwork, Key, Matcher, Numeric, OneOf
from app.rules.language.pattern import DEFAULT_EVENT, EVENT
from app.rules.language.text_matcher import IgnoreCase, Prefix, Suffix, Wildcard

_OTHER: Final = "something else than any rule names"


def make_sample(alternative: Alternative) -> dict[str, Any] | None:
    """Return a document that the alternative matches; None where none was found."""
    document: dict[str, Any] = {EVENT: DEFAULT_EVENT} if alternative.default_event else {}
    for condition in alternative.conditions:
        if condition.may_be_absent:
            continue
        values = [value for value in map(sample_value, condition.matchers) if condition.holds_for((value, ()))]
        if not values or not _put(document, condition, values[0]):
            return None
    _add_role(document, alternative.audience)
    return document if alternative.holds(DocumentView(document)) else None


def _add_role(document: dict[str, Any], audience: Audience) -> None:
    """Add the role by which the pattern's default lets the participant pass."""
    participant = document.get("participant")
    if audience is not Audience.ALL and isinstance(participant, dict):
        kind = participant.get("kind") if audience is Audience.BY_KIND else None
        participant["role"] = (ROLE_OF_KIND.get(kind) if isinstance(kind, str) else None) or Role.CALLER.value


def value_of(key: Key) -> Any:
    """Return the JSON value that has this key."""
    if not isinstance(key, tuple):
        return key
    return int(key[1], 16) if "x" in key[1] else json.loads(key[1])


def sample_value(matcher: Matcher) -> Any:
    """Return a value that probably satisfies the matcher; the caller verifies it."""
    match matcher:
        case Exact(key):
            return value_of(key)
        case OneOf(keys):
            return value_of(next(iter(keys)))
        case Prefix(text) | Suffix(text) | IgnoreCase(text, _):
            return text
        case Wildcard(pieces, _):
            return "".join(pieces)
        case InNetwork(low, _, _):
            return str(ipaddress.ip_address(low))
        case Numeric(low, high, _, _):
            return _number_within(low, high)
        case Exists():
            return _OTHER
        case _:
            return _OTHER


def _number_within(low: float, high: float) -> float:
    if math.isinf(low):
        return high - 1 if math.isfinite(high) else 0
    return low + 1 if math.isinf(high) else (low + high) / 2 if low != high else low


def _put(document: dict[str, Any], condition: Condition, value: Any) -> bool:
    *steps, last = condition.path.split(".")
    node: Any = document
    for step in steps:
        node = node.setdefault(step, {})
        if not isinstance(node, dict):
            return False
    if last in node:
        return False
    node[last] = value
    return True
