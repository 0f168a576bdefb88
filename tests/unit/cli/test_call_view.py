"""Timelines and explanations on a terminal: they fit, they hide nothing that matters, nothing steers the terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from app.audit import CallHead, CallOutcome, CallState, EventDetail, Explanation, Step, StepKind, Timeline, TriedRule
from app.cli.calls.call_view import explanation_view, timeline_view
from app.db.types import Cause, DispatchStatus, EventOutcome, EventSource
from app.rules.book.decision import Mismatch, Outcome, Verdict
from app.rules.book.rule_book import RuleBook

NOW = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
LONG = "sip_+34600111222_" + "x" * 150
HOSTILE = "eve\x1b[2J[red]"


def _event(identity: str) -> EventDetail:
    return EventDetail(
        id="01a204d9-e306-7582-8461-cb6a5454aa4b", livekit_id="EV_1", project="default", type="participant_joined",
        source=EventSource.WEBHOOK, room_name="support-1", room_sid="RM_1", participant_identity=identity,
        participant_sid="PA_1", participant_kind="STANDARD", participant_role="caller", phone_number=None,
        occurred_at=NOW, received_at=NOW,
        outcome=EventOutcome.PLANNED, rules_version=3, dedupe_key="k", body={}, decision=None,
    )  # fmt: skip


def _timeline(identity: str) -> Timeline:
    event = _event(identity)
    call = CallHead(
        event_id=event.id, project="default", room_name="support-1", room_sid="RM_1", participant_identity=identity,
        participant_sid="PA_1", participant_kind="STANDARD", phone_number="+34600111222", joined_at=NOW, left_at=None,
        agent_joined_at=None, agents=("support-es",), state=CallState.NO_SHOW, reason="nobody came",
        seconds_to_agent=None, participant_name=None, direction=None, rules=("spanish",), asked_agents=("support-es",),
        outcomes=(CallOutcome.NO_AGENT,), cause=Cause.NO_AGENT, called_number="+15557654321",
    )  # fmt: skip
    steps = (
        Step(NOW, StepKind.EVENT, f"{identity} joined room support-1", seconds_since_joining=0.0),
        Step(
            NOW + timedelta(seconds=30), StepKind.DISPATCH, "no agent came", "x " * 100, "maria", None, "d",
            DispatchStatus.NO_SHOW, {"job_id": "AJ_1", "served_by": ["a", "b"]}, 30.0, 30.0,
        ),
    )  # fmt: skip
    return Timeline(call, f"nobody came to {identity}.", steps, event, (), ())


def _explanation(identity: str, rules: list[TriedRule], **values: Any) -> Explanation:
    given: dict[str, Any] = {"doubt": "", "present_version": 3, "matching_now": None, **values}
    return Explanation(_event(identity), 3, (), tuple(rules), timeline=_timeline(identity), **given)


def _rule(number: int, outcome: Outcome) -> TriedRule:
    mismatch = Mismatch("participant.metadata.language", '"es"', ('"en"',)) if outcome is Outcome.PATTERN else None
    rule = {"id": number, "name": f"rule {number}", "agent_name": "support-es", "pattern": {"room": {"name": ["a"]}}}
    return TriedRule.of(Verdict(number, f"rule {number}", outcome, mismatch), RuleBook.build([rule], 1).rule(number))


def _printed(*renderables: Any, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for renderable in renderables:
        console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("identity", ["ana", LONG, HOSTILE])
def test_everything_fits_and_control_characters_are_replaced(identity: str, width: int) -> None:
    why = _explanation(identity, [_rule(1, Outcome.MATCHED), _rule(2, Outcome.PATTERN)])
    for printed in (_printed(timeline_view(_timeline(identity)), width=width),
                    _printed(*explanation_view(why, why.timeline, whole=False), width=width)):  # fmt: skip
        assert max(map(len, printed.splitlines())) <= width
        assert "\x1b" not in printed
        if identity is HOSTILE:
            assert "[red]" in printed


def test_a_step_has_reason_author_and_ids_and_days_are_separated() -> None:
    lines = [line.strip() for line in _printed(timeline_view(_timeline("ana"))).splitlines()]
    text = " ".join(" ".join(lines).split())
    for part in ("no agent came", "by maria", "job id AJ_1", "served by a, b", "no show", "30.0 s", "+34600111222"):
        assert part in text
    moment = NOW.astimezone()
    assert f"{moment:%Y-%m-%d}" in lines
    assert f"{(moment + timedelta(seconds=30)):%Y-%m-%d}" in lines


def test_of_many_rules_the_informative_ones_are_shown() -> None:
    rules = [_rule(number, Outcome.PATTERN) for number in range(100)]
    rules[77] = _rule(77, Outcome.OUT_OF_HOURS)
    rules[88] = _rule(88, Outcome.MATCHED)
    why = _explanation("ana", rules)
    short = _printed(*explanation_view(why, why.timeline, whole=False))
    assert "rule 77" in short
    assert "rule 88" in short
    assert "rule 99" not in short
    assert "… and 60 other rules that did not match (--all shows them)" in short
    assert "rule 99" in _printed(*explanation_view(why, why.timeline, whole=True))


def test_doubts_and_the_current_rules_are_shown() -> None:
    now = (_rule(5, Outcome.MATCHED),)
    why = _explanation("ana", [], doubt="something is amiss", present_version=9, matching_now=now)
    text = " ".join(_printed(*explanation_view(why, why.timeline, whole=False)).split())
    assert "Warning: something is amiss." in text
    assert "There were no rules." in text
    assert "edited since (now version 9): the event would match 'rule 5' (→ support-es)." in text
    why = _explanation("ana", [], present_version=9, matching_now=())
    nobody = _printed(*explanation_view(why, why.timeline, whole=False))
    assert "no rule would match either." in " ".join(nobody.split())
