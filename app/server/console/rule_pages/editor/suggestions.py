"""What the form of a rule suggests for conditions: fields and values that recent events have, with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.livekit.vocabulary import EventType
from app.livekit.webhook_fields import known_fields, secret_names
from app.rules.language.matcher import Key
from app.rules.language.pattern import DEFAULT_EVENT, EVENT
from app.rules.rows.lines import Line
from app.rules.rows.operator import Takes
from app.rules.rows.rows import is_field_name, is_text_field
from app.rules.rows.value_text import write_values
from app.rules.warnings.sample import value_of
from app.rules.warnings.unseen import Traffic
from app.translation import gettext, ngettext

_MOST_FIELDS: Final = 150
_MOST_VALUES: Final = 25
_LONGEST_VALUE: Final = 80
USUAL_FIELDS: Final = {
    "participant.phone.called": "number dialled",
    "participant.phone.caller": "number of the caller",
    "room.name": "name of the room",
    "participant.identity": "identity of the caller",
    "participant.name": "name of the caller",
    "participant.phone.direction": "inbound or outbound",
    "participant.kind": "STANDARD, SIP …",
    "participant.role": "caller, agent, supervisor …",
    "participant.attributes.sip.trunkID": "SIP trunk",
    "event": "webhook, if not participant_joined",
    "project": "LiveKit project",
}
"""Fields that rules usually ask for, offered even before an event has them."""
_EVENTS_WITH: Final = {"egressInfo": "egress_", "ingressInfo": "ingress_", "job": "agent_job_", "track": "track_"}
"""How the types of the only events begin that have these parts."""
_SELDOM: Final = ("id", "createdAt", "numDropped", "sid", "Sid", "joinedAt", "joinedAtMs", "version", "Ms", "Ns")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A field or a value that the form offers, and what it says beside it."""

    text: str
    note: str


def suggested_fields(traffic: Traffic, lines: Sequence[Line] = ()) -> list[Suggestion]:
    """Return the fields to offer: metadata and attributes of recent events, then those that rules usually name."""
    types = _types(lines)
    events = sum(traffic.events[one] for one in types)
    counts: Counter[str] = Counter()
    for one in types:
        counts.update(traffic.paths.get(one, {}))
    own = [path for path, _ in counts.most_common() if path.startswith(("participant.metadata", "participant.attrib"))]
    others = [path for path, _ in counts.most_common() if not path.endswith(_SELDOM)]
    found: list[Suggestion] = []
    for path in list(dict.fromkeys([*own, *USUAL_FIELDS, *others, *_unseen(types)])):
        if not is_field_name(path) or len(found) == _MOST_FIELDS:
            continue
        seen = gettext("in %(count)s of %(events)s events", count=counts[path], events=events) if counts[path] else ""
        found.append(Suggestion(path, " · ".join(filter(None, (gettext(USUAL_FIELDS.get(path, "")), seen)))))
    return found


def _unseen(types: Sequence[str]) -> list[str]:
    """Return the fields of these types of events that are offered although no event has them.

    Without those deep within: of egress alone there are a thousand.
    """
    found = []
    for path, one in known_fields().items():
        parts = path.split(".")
        events = _EVENTS_WITH.get(parts[0], "")
        if one.fields or path.endswith(_SELDOM) or len(parts) > 2 or not secret_names().isdisjoint(parts):
            continue
        if path and any(each.startswith(events) for each in types):
            found.append(path)
    return found


def suggested_values(traffic: Traffic, path: str, lines: Sequence[Line] = ()) -> list[Suggestion]:
    """Return the values that recent events have in a field, the most frequent first."""
    counts: Counter[Key] = Counter()
    for one in _types(lines):
        counts.update(traffic.values.get(one, {}).get(path) or {})
    found = []
    for key, count in counts.most_common(_MOST_VALUES):
        text = write_values([value_of(key)], takes=Takes.VALUES, is_text=is_text_field(path))
        if len(text) <= _LONGEST_VALUE:
            found.append(Suggestion(text, ngettext("%(num)s event", "%(num)s events", count)))
    if not found and (known := known_fields().get(path)) is not None:
        found = [Suggestion(value, "") for value in known.values]
    return found


def _types(lines: Sequence[Line]) -> list[str]:
    """Return the types of events that the lines ask for."""
    named = [one.strip() for line in lines if line.field.strip() == EVENT for one in line.values.split(",")]
    return [one for one in EventType if one in named] or [DEFAULT_EVENT]
