"""When each kind of incident opens, stays open, and closes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from app.audit import Attainment, Objective, Target
from app.db.types import IncidentKind
from app.errors import Problem
from app.incidents.conditions.agents_not_joining import Attempt, Waiting, agents_not_joining
from app.incidents.conditions.callers_without_agents import LostCall, callers_without_agents
from app.incidents.conditions.livekit_troubles import LiveKitState, livekit_troubles, silent_webhooks
from app.incidents.conditions.queues_growing import QueueLength, growing_queues
from app.incidents.conditions.replica_troubles import clocks_off, paused_webhooks
from app.incidents.conditions.rule_troubles import broken_rules, burning_objectives
from app.incidents.sighting import Level, Sighting
from app.livekit.failures.trouble import Trouble, TroubleKind
from app.rules.rule import BadRule

NOW = datetime(2026, 11, 26, 14, 2, tzinfo=UTC)
OPEN, HELD = Level.OPEN, Level.HELD


def levels(found: Sequence[Sighting]) -> list[Level]:
    return [one.level for one in found]


def attempts(outcomes: str) -> list[Attempt]:
    """Attempts, the oldest first: `j` joined, `n` did not, `p` is a probe that failed, `P` one that did not fail."""
    found = []
    for place, letter in enumerate(outcomes):
        call_id = None if letter in "pP" else f"c{place}"
        at = NOW + timedelta(seconds=place)
        found.append(Attempt("greeter", "default", at, letter in "jP", call_id, f"d{place}"))
    return found


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("jjjjj", []),
        ("jjjjn", [HELD]),
        ("n", [OPEN]),  # it has never joined
        ("jnn", [HELD]),
        ("nnn", [OPEN]),
        ("jnjnn", [OPEN]),
        ("nnnjj", [OPEN]),  # the two that joined may be chance
        ("nnnjjj", []),
        ("nnnnnnnjjj", []),
        ("nnnjjjn", [HELD]),
        ("jjp", [OPEN]),
        ("jjpj", [HELD]),
        ("jjpP", [HELD]),
        ("ppPPP", []),
    ],
)
def test_an_agent_that_fails_3_of_5_opens_and_3_joins_in_a_row_close(outcomes: str, expected: list[Level]) -> None:
    assert levels(list(agents_not_joining(attempts(outcomes), [], lambda _: True))) == expected


def test_a_failed_probe_alone_opens_nothing_for_an_agent_that_nobody_wants() -> None:
    assert levels(list(agents_not_joining(attempts("p"), [], lambda _: False))) == [HELD]


def test_callers_who_wait_for_an_agent_are_counted_once_each() -> None:
    waiting = [Waiting("greeter", "default", f"w{one}", f"x{one}", is_overdue=True, since=NOW) for one in range(51)]
    (found,) = agents_not_joining([], waiting, lambda _: True)
    assert (found.level, found.count, found.detail["waiting"]) == (OPEN, 51, 51)
    (again,) = agents_not_joining(
        [Attempt("greeter", "default", NOW, joined=False, call_id="w1", caller="x1")],
        waiting,
        lambda _: True,
    )
    assert again.count == 51


def test_a_caller_who_waits_anew_each_time_is_one_caller_of_every_kind_of_incident() -> None:
    decided = [Attempt("greeter", "default", NOW, False, "call", "ana") for _ in range(48)]  # noqa: FBT003
    waiting = [Waiting("greeter", "default", "call", "ana", is_overdue=True, since=NOW) for _ in range(2)]
    (found,) = agents_not_joining(decided, waiting, lambda _: True)
    assert (found.count, found.detail["calls"]) == (1, ["call"])
    lost = [LostCall(IncidentKind.NO_SHOW, "all", "default", f"c{one}", "ana", NOW) for one in range(3)]
    (found,) = callers_without_agents(lost, NOW)
    assert found.count == 1
    elsewhere = LostCall(IncidentKind.RULE_BROKEN, "all", "there", "c9", "ana", NOW)
    (found,) = broken_rules([], [*lost, elsewhere], NOW)
    assert found.count == 2


def test_callers_who_have_not_waited_long_are_no_sign() -> None:
    waiting = [Waiting("greeter", "default", f"w{one}", f"x{one}", is_overdue=False, since=NOW) for one in range(51)]
    assert list(agents_not_joining([], waiting, lambda _: True)) == []


def test_an_agent_is_judged_in_each_project_by_itself() -> None:
    there = [Attempt("greeter", "there", one.at, True, one.call_id, one.caller) for one in attempts("jjj")]  # noqa: FBT003
    (found,) = agents_not_joining([*attempts("nnn"), *there], [], lambda _: True)
    assert found.key == (IncidentKind.AGENT_NOT_JOINING, "greeter", "default")


@pytest.mark.parametrize(
    ("seconds_ago", "expected"), [(0, [OPEN]), (600, [OPEN]), (601, [HELD]), (900, [HELD]), (901, [])]
)
def test_lost_callers_open_for_10_minutes_and_close_after_15(seconds_ago: float, expected: list[Level]) -> None:
    lost = LostCall(IncidentKind.NO_RULE, "", "default", "c", "PA_1", NOW - timedelta(seconds=seconds_ago))
    assert levels(list(callers_without_agents([lost], NOW))) == expected


def test_lost_callers_are_one_incident_for_each_rule() -> None:
    lost = [LostCall(IncidentKind.NO_SHOW, "ab"[one % 2], "default", f"c{one}", f"PA_{one}", NOW) for one in range(20)]
    found = list(callers_without_agents(lost, NOW))
    assert [(one.key.subject, one.count, len(one.detail["calls"])) for one in found] == [("a", 10, 5), ("b", 10, 5)]


REFUSED = Trouble(TroubleKind.UNKNOWN_KEY, "HTTP 401: invalid API key: APIold")
DOWN = Trouble(TroubleKind.UNREACHABLE, "no answer within 2 s")
REFUSES, UNREACHABLE = IncidentKind.LIVEKIT_REFUSES, IncidentKind.LIVEKIT_UNREACHABLE


def state(
    trouble: Trouble | None,
    *,
    failures: int = 1,
    was_called: bool = True,
    replica: str = "a",
    recent: tuple[Trouble, ...] = (),
) -> LiveKitState:
    counted = trouble and Trouble(trouble.kind, trouble.text, failures)
    return LiveKitState(replica, "default", was_called, counted, recent)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([state(None)], []),
        ([state(REFUSED)], [(REFUSES, HELD)]),
        ([state(REFUSED, failures=2)], [(REFUSES, OPEN)]),
        ([state(None, replica="b"), state(REFUSED, failures=2)], [(REFUSES, OPEN)]),
        ([state(Trouble(TroubleKind.TLS, "self-signed"), failures=4)], [(UNREACHABLE, HELD)]),
        ([state(Trouble(TroubleKind.TLS, "self-signed"), failures=5)], [(UNREACHABLE, OPEN)]),
        ([state(Trouble(TroubleKind.ERROR, "internal: no redis"), failures=5)], [(UNREACHABLE, OPEN)]),
        # After a restart nothing was asked yet, so that an incident of before stays.
        ([state(None, was_called=False)], [(REFUSES, HELD), (UNREACHABLE, HELD)]),
        # Another replica's calls show that LiveKit can be called.
        ([state(None, was_called=False), state(None, replica="b")], []),
        ([state(None, was_called=False), state(REFUSED, failures=2, replica="b")], [(REFUSES, OPEN)]),
        # It answers, but a call has failed in the last minute.
        ([state(None, recent=(REFUSED,)), state(None, replica="b")], [(REFUSES, HELD)]),
        ([state(REFUSED, recent=(REFUSED, DOWN))], [(REFUSES, HELD), (UNREACHABLE, HELD)]),
    ],
)
def test_livekit_is_judged_by_calls_in_a_row(
    states: list[LiveKitState], expected: list[tuple[IncidentKind, Level]]
) -> None:
    assert [(one.key.kind, one.level) for one in livekit_troubles(states, {})] == expected


def test_callers_who_wait_for_livekit_are_counted() -> None:
    (found,) = livekit_troubles([state(REFUSED, failures=3)], {"default": 2, "other": 5})
    assert (found.count, found.detail["text"]) == (2, "HTTP 401: invalid API key: APIold")


def test_silent_webhooks_are_an_incident_of_the_project() -> None:
    (found,) = silent_webhooks({"default": 3, "other": 0})
    assert (found.key, found.count) == ((IncidentKind.WEBHOOKS_SILENT, "", "default"), 3)


def test_a_rule_that_cannot_be_used_is_broken_until_it_can() -> None:
    bad = BadRule(7, "odd", 100, enabled=True, problems=(Problem("pattern", "must be an object"),))
    (found,) = broken_rules([bad], [], NOW)
    assert (found.level, found.key.subject, found.detail["problems"]) == (OPEN, "odd", ["pattern is not valid"])
    assert list(broken_rules([], [], NOW)) == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("", "the rule is not valid"),
        ("pattern.participant.identity", "pattern.participant.identity is not valid"),
        ("pattern.participant.identity[3].prefix", "pattern.participant.identity is not valid"),
        ('pattern.participant.identity["ana@example.com"]', "pattern.participant.identity is not valid"),
        ("pattern.participant.identity.ana", "pattern.participant.identity is not valid"),
        ("pattern.participant.metadata.ana", "pattern.participant.metadata is not valid"),
        ("pattern.ana", "pattern is not valid"),
        ('pattern["$or"][1].room.name', "pattern is not valid"),
        ("attributes.ana", "attributes is not valid"),
        ("fallbacks[1].agent_name", "fallbacks is not valid"),
    ],
)
def test_a_broken_rule_shows_where_it_is_wrong_and_none_of_its_values(path: str, shown: str) -> None:
    problem = Problem(path, 'must be a list, found "ana@example.com"', "ana@example.com", '["ana@example.com"]')
    (found,) = broken_rules([BadRule(7, "odd", 100, enabled=True, problems=(problem, problem))], [], NOW)
    assert found.detail["problems"] == [shown]


def test_a_rule_whose_metadata_failed_for_callers_is_broken_for_a_while() -> None:
    lost = LostCall(IncidentKind.RULE_BROKEN, "odd", "default", "c", "PA_1", NOW - timedelta(minutes=11))
    assert levels(list(broken_rules([], [lost], NOW))) == [HELD]


def objective(**missed: tuple[int, int]) -> Objective:
    """An objective of 95 %, with `missed` of so many calls in each window."""
    hours = {"m5": 5 / 60, "h1": 1.0, "h24": 24.0}
    counts = [Attainment(hours[name], calls, lost, False, NOW) for name, (lost, calls) in missed.items()]  # noqa: FBT003
    return Objective.of(Target(3, "sales", "greeter", 95, 3), counts)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        (objective(m5=(0, 9), h1=(0, 90), h24=(0, 900)), []),
        (objective(m5=(3, 9), h1=(30, 90), h24=(30, 900)), [OPEN]),  # fast
        (objective(m5=(0, 9), h1=(30, 90), h24=(30, 900)), [HELD]),  # it has been mended
        (objective(m5=(1, 9), h1=(9, 90), h24=(90, 900)), [OPEN]),  # slow
        (objective(m5=(1, 1), h1=(1, 2), h24=(1, 2)), [HELD]),  # of two calls nothing can be said
        (objective(m5=(0, 9), h1=(1, 90), h24=(90, 900)), []),
        (objective(), [HELD]),  # being counted
    ],
)
def test_an_objective_burns_fast_or_slowly(counted: Objective, expected: list[Level]) -> None:
    assert levels(list(burning_objectives([counted]))) == expected


@pytest.mark.parametrize(("ahead_s", "expected"), [(0, []), (-3, []), (4, [HELD]), (-5.5, [OPEN]), (600, [OPEN])])
def test_a_clock_that_is_off_by_5_s_opens_and_below_3_s_closes(ahead_s: float, expected: list[Level]) -> None:
    assert levels(list(clocks_off({"host:1:ab": ahead_s}))) == expected


def test_a_paused_subscription_is_an_incident() -> None:
    (found,) = paused_webhooks([("crm", 12, True)])
    assert (found.key.subject, found.count, found.detail["gone"]) == ("crm", 12, True)


@pytest.mark.parametrize(
    ("waiting", "longest_s", "came", "started", "expected"),
    [
        (1, 600, 1, 0, []),
        (3, 59, 3, 0, [HELD]),
        (3, 60, 3, 2, [OPEN]),
        (3, 60, 2, 2, [HELD]),  # as many get a place
        (2, 300, 2, 0, [HELD]),
        (50, 29, 50, 0, []),
    ],
)
def test_a_queue_grows_while_more_come_than_get_a_place(
    waiting: int, longest_s: float, came: int, started: int, expected: list[Level]
) -> None:
    queue = QueueLength("greeter", "default", waiting, longest_s, came, started, [f"c{one}" for one in range(waiting)])
    found = list(growing_queues([queue]))
    assert levels(found) == expected
    assert all(one.count == waiting and len(one.detail["calls"]) <= 5 for one in found)
