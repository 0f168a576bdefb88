"""Tries a draft of one rule on recorded events: which it matches, and with which data its agent is dispatched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from app.db.columns.action_types import RuleAction
from app.errors import InvalidInputError
from app.json_shape import Instant, JsonShape
from app.livekit.vocabulary import ParticipantKind
from app.outbox.caller_action import NO_PHONE_CALL_REASON
from app.plan.build import build_intent
from app.rules.book.decision import Outcome, Verdict
from app.rules.book.evaluate import evaluate
from app.rules.book.rule_book import RuleBook
from app.rules.check import check_rule
from app.rules.columns import complete
from app.rules.goal import rule_goal
from app.rules.rule import DRAFT_ID
from app.rules.warnings.rule_warnings import RuleWarning, WarningKind, saved_rule_warnings
from app.rules.warnings.unseen import Traffic
from app.translation import translatable
from app.webhook.event import Event

MOST_EVENTS: Final = 200
_UNNAMED: Final = {"name": "this rule"}


@dataclass(frozen=True, slots=True)
class TrialOfEvent(JsonShape):
    """What a draft of a rule does with one event."""

    event_id: str
    occurred_at: Instant
    room_name: str
    participant_identity: str
    matches: bool
    served: Annotated[
        bool, Field(description="its agent would be dispatched, or its action done, all other rules considered")
    ]
    action: RuleAction
    why: str
    metadata: str | None
    attributes: Mapping[str, str] | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What the draft does with one event. `served`: it would be this rule that acts, all other rules considered.

    `goal`: the agent that the rule dispatches, or its action in words.
    """

    event: Event
    verdict: Verdict
    served: bool
    action: RuleAction
    goal: str
    metadata: str | None
    attributes: Mapping[str, str] | None
    failure: str | None

    @property
    def matches(self) -> bool:
        return self.verdict.outcome in {Outcome.MATCHED, Outcome.SHADOWED}

    def to_json(self) -> dict[str, Any]:
        """Return the trial as a JSON object."""
        return self.shown().to_json()

    def shown(self) -> TrialOfEvent:
        """Return the trial as the API shows it."""
        return TrialOfEvent(
            event_id=self.event.id,
            occurred_at=self.event.occurred_at,
            room_name=self.event.room_name,
            participant_identity=self.event.participant_identity,
            matches=self.matches,
            served=self.served,
            action=self.action,
            why=self.verdict.describe(),
            metadata=self.metadata,
            attributes=self.attributes,
            failure=self.failure,
        )


def require_good_rule(draft: Mapping[str, Any]) -> dict[str, Any]:
    """Return the complete row of a draft; InvalidInputError with every problem."""
    if problems := check_rule(draft):
        raise InvalidInputError(translatable("this rule cannot be used"), problems)
    return complete(draft)


def try_rule(
    book: RuleBook, draft: Mapping[str, Any], traffic: Sequence[Event], *, replaces: int | None, metadata_max_bytes: int
) -> list[Trial]:
    """Return what happens to each event if `draft` (a complete row) is in the rule book, instead of rule `replaces`."""
    rule_id = replaces or DRAFT_ID
    row = {**draft, "id": rule_id, "enabled": True}
    among_others = book.updated([row], (), book.version)
    alone = RuleBook.build([row], book.version)
    rule = alone.rule(rule_id)
    if rule is None:
        raise InvalidInputError(translatable("this rule cannot be used"), list(alone.bad[rule_id].problems))
    trials = []
    for event in traffic:
        (verdict,) = evaluate(alone, event, explain=True).verdicts or ()
        served, metadata, attributes, failure = False, None, None, None
        if verdict.outcome is Outcome.MATCHED:
            reached = evaluate(among_others, event).matched
            served = any(one.id == rule_id for one in reached)
            if not served:
                ended_by = reached[-1].name if reached else None
                verdict = Verdict(rule_id, rule.name, Outcome.SHADOWED, shadowed_by=ended_by)
            if rule.action is RuleAction.DISPATCH:
                intent = build_intent(rule, event, metadata_max_bytes)
                metadata, attributes, failure = intent.metadata, intent.attributes, intent.failure
            elif rule.action is RuleAction.TRANSFER and event.participant_kind != ParticipantKind.SIP:
                failure = NO_PHONE_CALL_REASON.format(kind=event.participant_kind or "unknown")
        goal = rule_goal(rule.action, rule.agent_name, rule.transfer_to)
        trials.append(Trial(event, verdict, served, rule.action, goal, metadata, attributes, failure))
    return trials


def draft_warnings(
    book: RuleBook, draft: Mapping[str, Any], *, replaces: int | None, traffic: Traffic
) -> list[RuleWarning]:
    """Return the warnings about a draft that is in the rule book, instead of rule `replaces`.

    Columns with problems count as left out; a draft with problems in its pattern has no warnings.
    """
    wrong = {problem.path.partition(".")[0].partition("[")[0] for problem in check_rule(draft)}
    if "pattern" in wrong:
        return []
    usable = {column: value for column, value in draft.items() if column not in wrong}
    rule_id = replaces or DRAFT_ID
    row = {**complete({**_UNNAMED, **usable}), "id": rule_id, "enabled": True}
    if row["action"] == RuleAction.DISPATCH and row["agent_name"] is None:
        row["agent_name"] = "agent"
    among_others = book.updated([row], (), book.version)
    rule = among_others.rule(rule_id)
    if rule is None:
        return []
    found = saved_rule_warnings(among_others, rule, traffic)
    return [one for one in found if one.kind is not WarningKind.UNSEEN_AGENT or "agent_name" in usable]
