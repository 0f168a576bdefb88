"""Compares what a draft of the rules would do with recorded events to what was done. No input or output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from app.json_shape import Instant, JsonShape
from app.rules.book.evaluate import evaluate
from app.rules.book.mismatch import first_mismatch
from app.rules.book.rule_book import BadRule, Rule, RuleBook
from app.rules.columns import matching_order
from app.rules.editing.difference import diff
from app.rules.goal import rule_goal
from app.rules.language.document import DocumentView
from app.rules.templates.template import TemplateError, TemplateText, render_attributes, render_metadata
from app.translation import joined, translatable
from app.webhook.event import Event

MOST_GROUPS: Final = 1000
PROGRESS_EVERY: Final = 1000


class Effect(StrEnum):
    """What a draft would have changed for one event."""

    SAME = "same"
    OTHER_DATA = "told_otherwise"  # the same agents, with other metadata, attributes, deployment or scope
    OTHER_AGENT = "other_agent"
    NO_AGENT = "no_agent"  # had one
    NEW_AGENT = "new_agent"  # had none
    OTHER_ACTION = "other_action"  # the same agents or none; ignored, removed or transferred where it was not, or so


@dataclass(frozen=True, slots=True)
class PastEvent:
    """One stored event with the agents and rules that served it; None where they are not known."""

    event: Event
    agents: tuple[str, ...] | None = None
    rules: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    """Of those rules that did not dispatch an agent: `ignore`, `remove` or `transfer`."""


@dataclass(frozen=True, slots=True)
class Example(JsonShape):
    """One event that a draft would have handled differently; `why` is for people."""

    event_id: str
    occurred_at: Instant
    room_name: str
    participant_identity: str
    why: str


def _is_empty(actions: tuple[str, ...]) -> bool:
    return not actions


@dataclass(slots=True)
class Group(JsonShape):
    """All events that would have gone from the same agents to the same agents, by the same rules.

    The actions of rules that dispatch no agent are absent where there are none.
    """

    __pydantic_config__ = ConfigDict(
        json_schema_extra={"required": ["effect", "agents_before", "agents_after", "rules_before", "rules_after"]}
    )

    effect: Effect
    agents_before: tuple[str, ...]
    agents_after: tuple[str, ...]
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]
    actions_before: Annotated[tuple[str, ...], Field(exclude_if=_is_empty)]
    actions_after: Annotated[tuple[str, ...], Field(exclude_if=_is_empty)]
    events: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Simulation(JsonShape):
    """What a draft of the rules would have changed; groups that change, largest first."""

    events: int
    without_body: Annotated[
        int, Field(description="further events that no rule can be tried on: their bodies are dropped")
    ]
    changes: Annotated[int, Field(description="events that would have been treated otherwise")]
    effects: Annotated[Mapping[Effect, int], Field(description="how many events of each effect")]
    groups: Annotated[
        tuple[Group, ...],
        Field(description=f"beyond the first {MOST_GROUPS}, events are counted in `effects` only"),
    ]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a rule book does with an event: agents, their rules and dispatch data; why other agents would fail."""

    agents: tuple[str, ...]
    rules: tuple[str, ...]
    dispatch_data: frozenset[tuple[Any, ...]] | None
    failures: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


def draft_rows(
    current: Iterable[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]], *, delete: bool
) -> list[dict[str, Any]]:
    """Return the rows that the database would have after applying `wanted`, in matching order.

    Rules keep their ids by name; new ones get the next, as both databases give them when nobody else inserts.
    """
    rows, next_id = [], 1
    listed = list(current)
    next_id += max((row["id"] for row in listed), default=0)
    kept = [] if delete else [dict(row) for row in listed]
    for difference in diff(listed, wanted, delete=delete):
        if difference.after is None:
            continue
        rule_id = difference.rule_id
        if rule_id is None:
            rule_id, next_id = next_id, next_id + 1
        rows.append({**difference.after, "id": rule_id})
    written = {row["id"] for row in rows}
    return sorted([*rows, *(row for row in kept if row["id"] not in written)], key=matching_order)


def simulate(
    draft: RuleBook,
    traffic: Iterable[PastEvent],
    *,
    current: RuleBook | None = None,
    most_examples: int = 3,
    metadata_max_bytes: int = 65_536,
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Compare what `draft` does with each event to what `current` does or, without it, to what was done then.

    An agent whose metadata the draft cannot render counts as none: its dispatch would fail. `progress` is called
    with the number of events done, every `PROGRESS_EVERY` events.
    """
    comparison = _Comparison(draft, current, most_examples, metadata_max_bytes)
    effects = dict.fromkeys(Effect, 0)
    count = without_body = 0
    for past in traffic:
        if not past.event.has_body:
            without_body += 1
            continue
        effects[comparison.compare(past)] += 1
        count += 1
        if progress is not None and count % PROGRESS_EVERY == 0:
            progress(count)
    if progress is not None:
        progress(count)
    groups = sorted(comparison.groups.values(), key=lambda group: -group.events)
    return Simulation(count, without_body, count - effects[Effect.SAME], effects, tuple(groups))


def _answer(matched: Sequence[Rule], event: Event, metadata_max_bytes: int) -> _Answer:
    agents: dict[str, None] = {}
    rules, failures, actions = [], [], []
    data: list[tuple[Any, ...]] = []
    for rule in matched:
        rules.append(rule.name)
        if rule.agent_name is None:
            actions.append(rule.action.value)
            data.append((rule.action, rule.transfer_to))
            continue
        try:
            metadata: Any = None  # the default document differs by nothing but the rule's name
            if rule.metadata_text is not None:
                text = TemplateText(rule.metadata_text)
                metadata = render_metadata(text, event.shareable, rule, event.occurred_at, metadata_max_bytes)
            wanted = None if rule.attributes_text is None else TemplateText(rule.attributes_text)
            attributes = render_attributes(wanted, event.shareable, rule, event.occurred_at)
        except TemplateError as error:
            failures.append(translatable("rule %(rule)s matches, but %(error)s", rule=repr(rule.name), error=error))
            continue
        agents[rule.agent_name] = None
        data.append((rule.agent_name, metadata, tuple(attributes.items()), rule.deployment, rule.scope))
    return _Answer(tuple(agents), tuple(rules), frozenset(data), tuple(failures), tuple(dict.fromkeys(actions)))


def _effect(before: _Answer, after: _Answer) -> Effect:
    if set(before.agents) == set(after.agents):
        if set(before.actions) != set(after.actions):
            return Effect.OTHER_ACTION
        same = before.dispatch_data is None or before.dispatch_data == after.dispatch_data
        return Effect.SAME if same else Effect.OTHER_DATA
    if not after.agents:
        return Effect.NO_AGENT
    return Effect.OTHER_AGENT if before.agents else Effect.NEW_AGENT


def _does_now(rule: Rule) -> str:
    name = repr(rule.name)
    if rule.agent_name is not None:
        return translatable("rule %(rule)s sends %(agent)s now", rule=name, agent=repr(rule.agent_name))
    goal = repr(rule_goal(rule.action, None, rule.transfer_to))
    return translatable("rule %(rule)s has the action %(action)s now", rule=name, action=goal)


class _Comparison:
    def __init__(self, draft: RuleBook, current: RuleBook | None, most_examples: int, metadata_max_bytes: int) -> None:
        self.groups: dict[tuple[Any, ...], Group] = {}
        self._draft = draft
        self._current = current
        self._most_examples = most_examples
        self._metadata_max_bytes = metadata_max_bytes
        self._by_name: dict[str, Rule | BadRule] | None = None

    def compare(self, past: PastEvent) -> Effect:
        matched = evaluate(self._draft, past.event).matched
        if self._current is None:
            before = _Answer(past.agents or (), past.rules, None, actions=past.actions)
        else:
            matched_before = evaluate(self._current, past.event).matched
            if matched_before == matched:
                return Effect.SAME  # nothing to render: the very same rules
            before = _answer(matched_before, past.event, self._metadata_max_bytes)
        after = _answer(matched, past.event, self._metadata_max_bytes)
        effect = _effect(before, after)
        if effect is not Effect.SAME:
            self._note(effect, before, after, past.event)
        return effect

    def _note(self, effect: Effect, before: _Answer, after: _Answer, event: Event) -> None:
        key = (effect, before.agents, after.agents, before.rules, after.rules, before.actions, after.actions)
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) >= MOST_GROUPS:
                return
            group = self.groups[key] = Group(*key)
        group.events += 1
        if len(group.examples) < self._most_examples:
            group.examples.append(
                Example(
                    event.id,
                    event.occurred_at,
                    event.room_name,
                    event.participant_identity,
                    self._why(before, after, event),
                )
            )

    def _why(self, before: _Answer, after: _Answer, event: Event) -> str:
        """Return why the previous rules no longer serve the event, and which rules do."""
        reasons = [*after.failures]
        reasons += [self._why_not(name, after, event) for name in before.rules if name not in after.rules]
        reasons += [
            _does_now(line)
            for name in after.rules
            if name in before.rules
            and isinstance(line := self._line(name), Rule)
            and (line.agent_name or line.action.value) not in {*before.agents, *before.actions}
        ]
        served = [name for name in after.rules if name not in before.rules]
        if served and not after.failures:
            names = ", ".join(repr(name) for name in served)
            reasons.append(translatable("now served by %(names)s", names=names))
        if not reasons:
            return translatable("the same rules, with other metadata, attributes, deployment or scope")
        return joined("; ", reasons)

    def _why_not(self, name: str, after: _Answer, event: Event) -> str:
        line = self._line(name)
        if line is None:
            return translatable("rule %(rule)s is gone", rule=repr(name))
        if isinstance(line, BadRule):
            problems = joined("; ", line.problems)
            return translatable("rule %(rule)s cannot be used: %(problems)s", rule=repr(name), problems=problems)
        if not line.enabled:
            return translatable("rule %(rule)s is disabled", rule=repr(name))
        mismatch = first_mismatch(self._draft.alternatives(line.id), DocumentView(event.document))
        if mismatch is not None:
            why = mismatch.describe()
            return translatable("rule %(rule)s does not match: %(why)s", rule=repr(name), why=why)
        for verdict in evaluate(self._draft, event).passed_over:
            if verdict.rule_id == line.id:
                return translatable("rule %(rule)s %(verdict)s", rule=repr(name), verdict=verdict.describe())
        return translatable(
            "rule %(rule)s is not reached: %(other)s comes before it and ends the search",
            rule=repr(name),
            other=repr(after.rules[-1] if after.rules else "another rule"),
        )

    def _line(self, name: str) -> Rule | BadRule | None:
        if self._by_name is None:
            self._by_name = {line.name: line for line in self._draft.lines()}
        return self._by_name.get(name)
