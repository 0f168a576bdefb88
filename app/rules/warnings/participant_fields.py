"""Warnings about conditions on participants that hold for others than meant, or for nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from app.errors import Problem
from app.livekit.attributes import DIRECTION_ATTRIBUTES, SIP_RULE_ID, TRUNK_NUMBER
from app.livekit.participant.phone import e164
from app.livekit.participant.role import TRACK_EVENTS, Role
from app.livekit.vocabulary import EventType
from app.rules.language.compile import ROLE
from app.rules.language.matcher import Exact, Matcher, OneOf
from app.rules.language.pattern import EVENT, Pattern
from app.translation import translatable

_ATTRIBUTES: Final = "participant.attributes."
_OUR_NUMBER: Final = _ATTRIBUTES + TRUNK_NUMBER
_PHONE: Final = "participant.phone."
_SHOWS_DIRECTION: Final = tuple(_ATTRIBUTES + name for name in (SIP_RULE_ID, *DIRECTION_ATTRIBUTES))
_OF_TRACK_EVENTS: Final = {
    "participant.": (
        "sid",
        "identity",
        "name",
        "kind",
        "kindDetails",
        "metadata",
        "attributes",
        "permission",
        "role",
        "phone",
    ),
    "room.": ("sid", "name"),
}
"""What is known of a participant and a room when a track is published: what the event says, or the stored join."""

Conditions = Mapping[str, tuple[Matcher, ...]]


def check_participants(pattern: Pattern) -> Iterator[Problem]:
    """Yield a warning for each condition that also holds for phones that were dialled, or that no event can satisfy."""
    for conditions in pattern.alternatives:
        yield from _check_direction(conditions)
        yield from _check_track_events(conditions)
        yield from _check_numbers(conditions)


def _check_direction(conditions: Conditions) -> Iterator[Problem]:
    """Warn about our own number where the pattern names roles and callees are among them."""
    if _OUR_NUMBER not in conditions or not any(one.holds(Role.CALLEE.value) for one in conditions.get(ROLE, ())):
        return
    if not any(path.startswith(_PHONE) or path in _SHOWS_DIRECTION for path in conditions):
        message = translatable("is our own number also where we dial: the rule matches both directions")
        yield Problem(_OUR_NUMBER, message, suggestion=f"{_PHONE}called or {_PHONE}caller")


def _check_track_events(conditions: Conditions) -> Iterator[Problem]:
    events = {event for event in EventType if any(one.holds(event.value) for one in conditions.get(EVENT, ()))}
    if not events or not events <= TRACK_EVENTS:
        return
    for path in conditions:
        for start, known in _OF_TRACK_EVENTS.items():
            if path.startswith(start) and path.removeprefix(start).partition(".")[0] not in known:
                yield Problem(
                    path,
                    translatable(
                        "is not known when tracks are published; known of the %(start)s are %(names)s",
                        start=start[:-1],
                        names=", ".join(known),
                    ),
                )


def _check_numbers(conditions: Conditions) -> Iterator[Problem]:
    for path in (f"{_PHONE}caller", f"{_PHONE}called"):
        for matcher in conditions.get(path, ()):
            keys = matcher.keys if isinstance(matcher, OneOf) else (matcher.key,) if isinstance(matcher, Exact) else ()
            for key in keys:
                if isinstance(key, str) and e164(key) != key:
                    message = translatable(
                        "is not in E.164, the form of these numbers: + and the digits of country and number"
                    )
                    yield Problem(path, message, key, e164(key) or None)
