"""From a decision to the dispatches it asks for, each complete enough to be stored and sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from app.db.columns.action_types import CallerActionKind, RuleAction
from app.db.types import Scope
from app.plan.keys import intent_key
from app.rules.book.evaluate import Decision
from app.rules.book.rule_book import Rule
from app.rules.templates.template import TemplateError, TemplateText, render_attributes, render_metadata
from app.webhook.event import Event


@dataclass(frozen=True, slots=True)
class Intent:
    """One wanted agent. `failure` says why it cannot be asked for; metadata and attributes are empty then."""

    rule: Rule
    agent_name: str
    scope: Scope
    intent_key: str
    metadata: str
    attributes: Mapping[str, str]
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """What a rule asks LiveKit to do with the participant of an event."""

    rule: Rule
    kind: CallerActionKind


@dataclass(frozen=True, slots=True)
class DispatchPlan:
    """What one event asks for, in the order of the rules; no two intents have the same key.

    `actions`: at most one of each kind. `ignored_by`: the rule that wants nothing to be done, if one has matched.
    """

    event: Event
    rules_version: int
    intents: tuple[Intent, ...]
    actions: tuple[PlannedAction, ...] = ()
    ignored_by: Rule | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done for the event."""
        return not self.intents and not self.actions


def build_plan(decision: Decision, event: Event, metadata_max_bytes: int) -> DispatchPlan:
    """Return the plan for `decision`: pure; a template that fails makes an intent with a `failure`, never an error."""
    intents: dict[str, Intent] = {}
    actions: dict[CallerActionKind, PlannedAction] = {}
    ignored_by = None
    for rule in decision.matched:
        match rule.action:
            case RuleAction.DISPATCH:
                intent = build_intent(rule, event, metadata_max_bytes)
                intents.setdefault(intent.intent_key, intent)
            case RuleAction.REMOVE:
                actions.setdefault(CallerActionKind.REMOVE, PlannedAction(rule, CallerActionKind.REMOVE))
            case RuleAction.TRANSFER:
                actions.setdefault(CallerActionKind.TRANSFER, PlannedAction(rule, CallerActionKind.TRANSFER))
            case RuleAction.IGNORE:
                ignored_by = rule
            case _:
                assert_never(rule.action)
    planned = tuple(intents.values()), tuple(actions.values())
    return DispatchPlan(event, decision.rules_version, *planned, ignored_by)


def build_intent(
    rule: Rule,
    event: Event,
    metadata_max_bytes: int,
    *,
    previous: Mapping[str, Any] | None = None,
    template: str | None = None,
) -> Intent:
    """Return what one matching rule asks for when `event` comes.

    `previous` names the agent before, if any; `template` of the metadata is used instead of the rule's.
    """
    if rule.agent_name is None:
        raise ValueError(f"rule {rule.name!r} dispatches no agent")
    scope = Scope(rule.scope)
    metadata, failure, attributes = "", None, {}
    try:
        now = event.occurred_at
        own = _text(rule.metadata_text if template is None else template)
        metadata = render_metadata(own, event.shareable, rule, now, metadata_max_bytes, previous=previous)
        attributes = render_attributes(_text(rule.attributes_text), event.shareable, rule, now, previous=previous)
    except TemplateError as error:
        metadata, failure = "", str(error)
    return Intent(
        rule=rule,
        agent_name=rule.agent_name,
        scope=scope,
        intent_key=intent_key(event.project, event.room_sid, rule.agent_name, scope, event.participant_identity),
        metadata=metadata,
        attributes=attributes,
        failure=failure,
    )


def _text(template: str | None) -> TemplateText | None:
    return None if template is None else TemplateText(template)
