"""A draft over past traffic: which effect each event has, grouped, with reasons that people understand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.db.types import EventSource
from app.rules.book.rule_book import RuleBook
from app.rules.columns import complete
from app.rules.simulation.simulate import MOST_GROUPS, Effect, PastEvent, Simulation, draft_rows, simulate
from app.webhook.parse import build_event

START = datetime(2026, 11, 23, 10, tzinfo=UTC)  # a Monday


def past(number: int, metadata: str, agents: tuple[str, ...] | None = None, rules: tuple[str, ...] = ()) -> PastEvent:
    body = {
        "event": "participant_joined",
        "id": f"EV_{number}",
        "createdAt": str(int((START + timedelta(minutes=number)).timestamp())),
        "room": {"name": f"room-{number}", "sid": f"RM_{number}"},
        "participant": {"identity": f"caller-{number}", "sid": f"PA_{number}", "metadata": metadata},
    }
    event = build_event(
        body, project="default", source=EventSource.WEBHOOK, received_at=START, event_id=f"event-{number}"
    )
    return PastEvent(event, agents, rules)


def rule(name: str, rule_id: int, language: str, agent: str, **columns: Any) -> dict[str, Any]:
    pattern = {"participant": {"metadata": {"language": [language]}}}
    return {**complete({"name": name, "pattern": pattern, "agent_name": agent, **columns}), "id": rule_id}


CURRENT = [rule("spanish", 1, "es", "support-es"), rule("french", 2, "fr", "support-fr")]
TRAFFIC = [past(n, f'{{"language": "{("es", "fr", "de")[n % 3]}", "n": {n}}}') for n in range(9)]


def run(draft: Iterable[dict[str, Any]], traffic: Iterable[PastEvent] = TRAFFIC, **keywords: Any) -> Simulation:
    return simulate(RuleBook.build(draft, 2), traffic, current=RuleBook.build(CURRENT, 1), **keywords)


def effects(simulation: Simulation) -> dict[str, int]:
    return {str(effect): count for effect, count in simulation.effects.items() if count}


def test_the_same_rules_change_nothing() -> None:
    simulation = run(CURRENT)
    assert (simulation.events, simulation.changes, simulation.groups) == (9, 0, ())


@pytest.mark.parametrize(
    ("draft", "expected", "why"),
    [
        ([rule("spanish", 1, "es", "other"), CURRENT[1]], Effect.OTHER_AGENT, "rule 'spanish' sends 'other' now"),
        ([CURRENT[1]], Effect.NO_AGENT, "rule 'spanish' is gone"),
        ([CURRENT[0] | {"enabled": False}, CURRENT[1]], Effect.NO_AGENT, "rule 'spanish' is disabled"),
        (
            [rule("spanish", 1, "ca", "support-es"), CURRENT[1]],
            Effect.NO_AGENT,
            'rule \'spanish\' does not match: participant.metadata.language: expected "ca", found "es"',
        ),
        (
            [CURRENT[0] | {"active_hours": "Su 10:00-11:00"}, CURRENT[1]],
            Effect.NO_AGENT,
            "rule 'spanish' would match, but is out of hours: Su 10:00-11:00 (UTC)",
        ),
        (
            [CURRENT[0] | {"rollout_percent": 0}, CURRENT[1]],
            Effect.NO_AGENT,
            "outside its rollout: 0 % by participant.identity",
        ),
        (
            [*CURRENT, rule("first", 3, "es", "vip-desk", priority=1)],
            Effect.OTHER_AGENT,
            "rule 'spanish' is not reached: 'first' comes before it and ends the search; now served by 'first'",
        ),
        (
            [CURRENT[0] | {"metadata": {"$eval": "participant.metadata.missing"}}, CURRENT[1]],
            Effect.NO_AGENT,
            "rule 'spanish' matches, but this template cannot be rendered: metadata.$eval: the object has no property",
        ),
        ([CURRENT[0] | {"metadata": {"x": 1}}, CURRENT[1]], Effect.OTHER_DATA, "with other metadata, attributes"),
        ([CURRENT[0] | {"attributes": {"x": "1"}}, CURRENT[1]], Effect.OTHER_DATA, "with other metadata"),
        ([CURRENT[0] | {"deployment": "blue"}, CURRENT[1]], Effect.OTHER_DATA, "with other metadata"),
        ([*CURRENT, rule("german", 3, "de", "support-de")], Effect.NEW_AGENT, "now served by 'german'"),
        ([CURRENT[0] | {"pattern": {"x": "no list"}}, CURRENT[1]], Effect.NO_AGENT, "rule 'spanish' cannot be used"),
    ],
)
def test_one_effect_and_its_reason(draft: list[dict[str, Any]], expected: Effect, why: str) -> None:
    simulation = run(draft)
    assert effects(simulation) == {"same": 6, str(expected): 3}
    (group,) = simulation.groups
    assert (group.effect, group.events, len(group.examples)) == (expected, 3, 3)
    assert why in group.examples[0].why


def test_an_edit_that_changes_nothing_for_these_callers_is_no_change() -> None:
    assert run([CURRENT[0] | {"priority": 5, "description": "x", "max_attempts": 9}, CURRENT[1]]).changes == 0


def test_templates_that_render_the_same_are_no_change() -> None:
    current = RuleBook.build([CURRENT[0] | {"metadata": {"n": {"$eval": "1 + 1"}}}], 1)
    draft = RuleBook.build([CURRENT[0] | {"metadata": {"n": 2}}], 2)
    assert simulate(draft, TRAFFIC, current=current).changes == 0


def test_groups_come_largest_first_with_a_few_examples_each() -> None:
    simulation = run([rule("spanish", 1, "es", "other"), rule("german", 2, "de", "support-de")], most_examples=2)
    assert effects(simulation) == {"other_agent": 3, "no_agent": 3, "new_agent": 3}
    assert [len(group.examples) for group in simulation.groups] == [2, 2, 2]
    document = simulation.to_json()
    assert (document["events"], document["changes"]) == (9, 9)
    assert document["groups"][0] == {
        "effect": "other_agent",
        "agents_before": ["support-es"],
        "agents_after": ["other"],
        "rules_before": ["spanish"],
        "rules_after": ["spanish"],
        "events": 3,
        "examples": [
            {
                "event_id": f"event-{n}",
                "occurred_at": f"2026-11-23T10:0{n}:00.000000Z",
                "room_name": f"room-{n}",
                "participant_identity": f"caller-{n}",
                "why": "rule 'spanish' sends 'other' now",
            }
            for n in (0, 3)
        ],
    }


def test_against_what_was_decided_then() -> None:
    traffic = [
        past(0, '{"language": "es"}', ("support-es",), ("spanish",)),
        past(1, '{"language": "es"}', ("old-agent",), ("old rule",)),
        past(2, '{"language": "es"}', ()),
        past(3, '{"language": "de"}', ("support-de",), ("german",)),
        past(4, '{"language": "de"}'),
    ]
    simulation = simulate(RuleBook.build(CURRENT, 2), traffic)
    assert effects(simulation) == {"same": 2, "other_agent": 1, "new_agent": 1, "no_agent": 1}
    reasons = {group.examples[0].event_id: group.examples[0].why for group in simulation.groups}
    assert reasons == {
        "event-1": "rule 'old rule' is gone; now served by 'spanish'",
        "event-2": "now served by 'spanish'",
        "event-3": "rule 'german' is gone",
    }


def test_several_agents_are_compared_as_a_set() -> None:
    both = [rule("one", 1, "es", "a", on_match="continue"), rule("two", 2, "es", "b")]
    turned = [both[0] | {"priority": 200}, both[1] | {"priority": 1, "on_match": "continue"}]
    current = RuleBook.build(both, 1)
    assert simulate(RuleBook.build(turned, 2), TRAFFIC, current=current).changes == 0
    assert effects(simulate(RuleBook.build(both[:1], 2), TRAFFIC, current=current)) == {"same": 6, "other_agent": 3}


def test_progress_is_reported() -> None:
    counts: list[int] = []
    traffic = (past(n, "") for n in range(2500))
    assert run(CURRENT, traffic, progress=counts.append).events == 2500
    assert counts == [1000, 2000, 2500]


def test_many_groups_are_bounded() -> None:
    traffic = [past(n, '{"language": "es"}', (f"agent-{n}",)) for n in range(MOST_GROUPS + 50)]
    simulation = simulate(RuleBook.build(CURRENT, 2), traffic)
    assert len(simulation.groups) == MOST_GROUPS
    assert simulation.changes == MOST_GROUPS + 50


def test_a_draft_file_becomes_the_rows_that_applying_it_would_leave() -> None:
    wanted = [complete({"name": name, "pattern": {"a": [1]}, "agent_name": "x"}) for name in ("new", "french")]
    kept = draft_rows(CURRENT, wanted, delete=False)
    assert [(row["id"], row["name"], row["agent_name"]) for row in kept] == [
        (1, "spanish", "support-es"),
        (2, "french", "x"),
        (3, "new", "x"),
    ]
    assert [(row["id"], row["name"]) for row in draft_rows(CURRENT, wanted, delete=True)] == [(2, "french"), (3, "new")]
    assert [row["id"] for row in draft_rows([], wanted, delete=True)] == [1, 2]
