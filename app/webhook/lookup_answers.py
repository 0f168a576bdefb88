"""What lookups answered about the participant of an event: `lookup` in the document that rules and templates see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from app.db.types import format_instant
from app.webhook.event import Event
from app.webhook.redaction import leave_out

LOOKUP: Final = "lookup"
"""The field of the document that holds the answers by name."""
STATUS_SUFFIX: Final = "_status"
"""What is added to a lookup's name for the field with the status of its answer."""


class AnswerStatus(StrEnum):
    """How a lookup was answered; without `ok`, its `on_error` stands for the answer."""

    OK = "ok"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LookupAnswer:
    """One answer as it is stored with the event. `error` says why there is none, `seconds` how long it took."""

    name: str
    status: AnswerStatus
    answer: Any
    asked_at: datetime
    seconds: float
    error: str = ""
    is_cached: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the answer as it is stored in `events.lookups`, without the fields that do not apply."""
        document: dict[str, Any] = {
            "status": str(self.status),
            "answer": self.answer,
            "asked_at": format_instant(self.asked_at),
            "seconds": round(self.seconds, 6),
        }
        if self.error:
            document["error"] = self.error
        if self.is_cached:
            document["cached"] = True
        return document


def with_answers(event: Event, answers: Mapping[str, Mapping[str, Any]] | None, redact: Sequence[str] = ()) -> Event:
    """Return the event with these answers, as `LookupAnswer.to_json` gives them, and those that it has already.

    None is what events without answers have stored. Rules match the whole answers. What is at the paths `redact`, such
    as `lookup.crm.birthday`, is neither stored nor given to templates.
    """
    if not answers:
        return event
    before = event.lookups or {}
    kept = {name: _without(name, one, redact) for name, one in answers.items()} if redact else answers
    return replace(
        event,
        document=_with(event.document, answers),
        shareable=_with(event.shareable, kept),
        lookups={**before, **kept},
    )


def lookup_fields(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return `lookup` of the document: each answer under its name, and its status beside it."""
    fields: dict[str, Any] = {}
    for name, one in answers.items():
        fields[name] = one.get("answer")
        fields[name + STATUS_SUFFIX] = one.get("status")
    return fields


def _with(document: Mapping[str, Any], answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    before = document.get(LOOKUP)
    return {**document, LOOKUP: {**(before if isinstance(before, dict) else {}), **lookup_fields(answers)}}


def _without(name: str, answer: Mapping[str, Any], redact: Sequence[str]) -> dict[str, Any]:
    left = leave_out({LOOKUP: {name: answer.get("answer")}}, redact).get(LOOKUP) or {}
    return {**answer, "answer": left.get(name)}
