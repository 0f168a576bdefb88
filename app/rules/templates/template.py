"""Renders job metadata and dispatch attributes from a rule's JSON-e templates.

A template sees the prepared event (`event`, `room`, `participant`, `project`, ...), `lookup` (what lookups answered),
`rule` (see RULE_FACTS), `now` (ISO text of the event's time, never the clock's) and `previous` (the agent before this
one, null for the first). The evaluator, its limits and where it differs from the json-e package are listed in
`app.rules.templates.jsone`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from app.errors import Problem
from app.livekit.vocabulary import EventType, ParticipantKind
from app.rules.templates.default_document import fits, json_text, metadata_error, render_default_document
from app.rules.templates.jsone import CompiledTemplate, TemplateError, compile_template
from app.rules.templates.jsone.budget import UNKNOWN, Mistake, PartialObject, Run, measure
from app.rules.templates.jsone.functions import FUNCTIONS, iso_text
from app.strict_json import UNSTORABLE_MESSAGE, is_storable
from app.translation import translatable
from app.webhook.redaction import SECRET_FIELD

__all__ = [
    "RULE_FACTS",
    "TemplateError",
    "TemplateText",
    "check_template",
    "render_attributes",
    "render_metadata",
    "rule_facts",
    "template_expressions",
]

MOST_ATTRIBUTE_BYTES: Final = 65_536
"""LiveKit takes 64 KiB of attributes, keys and values together, in UTF-8."""

_MOST_SAMPLE_BYTES: Final = 131_072
_EMPTY_ROOM: Final[dict[str, Any]] = {"name": "", "sid": "", "metadata": "", "enabledCodecs": []}
_EMPTY_PHONE: Final[dict[str, Any]] = {"caller": "", "called": "", "direction": ""}
_EMPTY_PARTICIPANT: Final[dict[str, Any]] = {"identity": "", "sid": "", "name": "", "metadata": "", "attributes": {}}

RULE_FACTS: Final = ("id", "name", "agent_name", "description", "priority", "deployment", "scope")
"""What a template may read of its rule."""


class TemplateText(str):
    """A template as JSON text, as rules keep it: rendering it spares reading and writing the JSON once more."""

    __slots__ = ()


def render_metadata(
    template: Any,
    document: Mapping[str, Any],
    rule: Any,
    now: datetime,
    max_bytes: int,
    *,
    previous: Mapping[str, Any] | None = None,
) -> str:
    """Return the job metadata as compact JSON text of at most `max_bytes` bytes in UTF-8.

    `template` is the rule's column (JSON, or its text as TemplateText), None for the default document; `rule` a row or
    an object with RULE_FACTS; `now` the event's time; `previous` the agent before this one. Raises TemplateError with a
    path that begins with `metadata`.
    """
    if template is None:
        return render_default_document(document, rule, previous, max_bytes)
    value = _render("metadata", template, document, rule, now, previous=previous)
    try:
        measure(value, max_bytes)
    except Mistake as mistake:
        raise metadata_error(mistake.message) from mistake
    text = json_text(value)
    if not fits(text, max_bytes):
        raise metadata_error(
            translatable(
                "is %(count)s bytes long, at most %(most)s are allowed", count=len(text.encode()), most=max_bytes
            )
        )
    return text


def render_attributes(
    template: Any,
    document: Mapping[str, Any],
    rule: Any,
    now: datetime,
    *,
    previous: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return the dispatch attributes; none when the column is None.

    Raises TemplateError with a path that begins with `attributes`, also for values that are not strings.
    """
    if template is None:
        return {}
    value = _render("attributes", template, document, rule, now, previous=previous)
    if problems := _attribute_problems(value):
        raise TemplateError(problems)
    return dict(value)


def check_template(template: Any, column: str = "metadata") -> list[Problem]:
    """Return everything that is wrong with the template of `column` (`metadata` or `attributes`) in any event.

    It is rendered against a sample in which `participant.metadata`, `room.metadata` and the attributes may be anything:
    both branches of a condition on them are checked, and what is only wrong for some values is not reported.
    """
    if template is None:
        return []
    compiled = _compiled_whatever(template, column)
    problems = list(compiled.problems)
    try:
        value = compiled.render(_sample_scope(), Run(problems=problems))
        measure(value, _MOST_SAMPLE_BYTES)
        if column == "attributes":
            problems += _attribute_problems(value)
    except TemplateError:
        pass  # which ended the run; it is among the problems already
    except Mistake as mistake:
        problems.append(Problem(column, mistake.message))
    if _mentions_secret(template):
        problems.append(
            Problem(
                column,
                translatable("%(secret_field)s is a secret and is never given to agents", secret_field=SECRET_FIELD),
                found=SECRET_FIELD,
            )
        )
    return _without_repetition(problems)


def template_expressions(template: TemplateText) -> tuple[str, ...]:
    """Return the source of each expression in a template, without the texts beside them."""
    return _compiled(template, "metadata").expressions


def rule_facts(rule: Any) -> dict[str, Any]:
    """Return what a template may read of `rule`, a row or an object that has these as attributes."""
    if isinstance(rule, Mapping):
        return {name: rule.get(name) for name in RULE_FACTS}
    return {name: getattr(rule, name, None) for name in RULE_FACTS}


def _render(
    column: str,
    template: Any,
    document: Mapping[str, Any],
    rule: Any,
    now: datetime,
    *,
    previous: Mapping[str, Any] | None,
) -> Any:
    given = {"rule": rule_facts(rule), "now": iso_text(now), "previous": previous}
    scope = {**FUNCTIONS, "lookup": {}, **document, **given}
    # LiveKit leaves empty texts out; a template may rely on them, since callers without metadata or number are common.
    if isinstance(room := scope.get("room"), dict):
        scope["room"] = {name: value for name, value in (_EMPTY_ROOM | room).items() if name != SECRET_FIELD}
    if isinstance(participant := scope.get("participant"), dict):
        phone = _EMPTY_PHONE | participant.get("phone", {})
        scope["participant"] = {**_EMPTY_PARTICIPANT, **participant, "phone": phone}
    return _compiled_whatever(template, column).render(scope, Run())


def _compiled_whatever(template: Any, column: str) -> CompiledTemplate:
    if isinstance(template, TemplateText):
        return _compiled(template, column)
    try:
        text = json.dumps(template)
    except (TypeError, ValueError, RecursionError):
        # Not JSON: compiling it reports where and why.
        return compile_template(template, column)
    return _compiled(text, column)


# By text, because JSON cannot be hashed: 2 us to look up, where compiling takes 100.
@lru_cache(maxsize=2048)
def _compiled(text: str, column: str) -> CompiledTemplate:
    return compile_template(json.loads(text), column)


def _attribute_problems(value: Any) -> list[Problem]:
    if value is UNKNOWN:
        return []
    if not isinstance(value, dict):
        return [Problem("attributes", translatable("must be an object whose values are strings"), found=value)]
    problems = []
    size = 0
    for name, text in value.items():
        if text is UNKNOWN:
            continue
        path = f"attributes[{json.dumps(name, ensure_ascii=False)}]"
        if not isinstance(text, str):
            problems.append(Problem(path, translatable("must be a string; str() makes one of a number"), found=text))
        elif not (is_storable(name) and is_storable(text)):
            problems.append(Problem(path, UNSTORABLE_MESSAGE))
        else:
            size += len(name.encode()) + len(text.encode())
    if size > MOST_ATTRIBUTE_BYTES:
        message = translatable(
            "are %(size)s bytes together, at most %(most)s are allowed", size=size, most=MOST_ATTRIBUTE_BYTES
        )
        problems.append(Problem("attributes", message))
    return problems


def _mentions_secret(value: Any) -> bool:
    try:
        return SECRET_FIELD in json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False


def _without_repetition(problems: list[Problem]) -> list[Problem]:
    return list({(problem.path, problem.message): problem for problem in problems}.values())


def _sample_scope() -> dict[str, Any]:
    """Return a join in which everything that an application fills in may be anything; names are LiveKit's."""
    unknown = dict.fromkeys
    room_fields = (
        "emptyTimeout departureTimeout maxParticipants creationTime creationTimeMs enabledCodecs metadata"
        " numParticipants numPublishers activeRecording version"
    )
    participant_fields = (
        "tracks metadata joinedAt joinedAtMs version permission region isPublisher attributes disconnectReason"
        " kindDetails clientProtocol capabilities"
    )
    return {
        **FUNCTIONS,
        **unknown(["track", "egressInfo", "ingressInfo", "job", "numDropped", "previous", "lookup"], UNKNOWN),
        "event": EventType.PARTICIPANT_JOINED.value,
        "id": "EV_sample",
        "createdAt": 1795366441,
        "project": "default",
        "room": PartialObject({**unknown(room_fields.split(), UNKNOWN), "sid": "RM_sample", "name": "sample-room"}),
        "participant": PartialObject(
            {
                **unknown(participant_fields.split(), UNKNOWN),
                "sid": "PA_sample",
                "identity": "sample-caller",
                "name": "Sample Caller",
                "state": "ACTIVE",
                "kind": ParticipantKind.STANDARD.value,
                "role": UNKNOWN,
                "phone": PartialObject(dict.fromkeys(_EMPTY_PHONE, UNKNOWN)),
            }
        ),
        "rule": dict.fromkeys(RULE_FACTS, UNKNOWN)
        | {"id": 1, "name": "sample rule", "agent_name": "sample-agent", "priority": 100, "scope": "room"},
        "now": "2026-11-22T14:02:00.000Z",
    }
