"""How much a process remembers of callers."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection

from app.flows.accept.caller_budget import MAX_CALLERS, WINDOW_S, CallerBudget
from tests.unit.rules.books import NOON, make_event

_NOT_ASKED = cast("Connection", None)  # a caller's first dispatches are granted without a question


def test_only_callers_of_the_last_minute_are_remembered() -> None:
    budget = CallerBudget(per_minute=60)
    for number in range(1_000):
        event = make_event({"participant": {"identity": f"caller-{number}"}})
        assert budget.grant(_NOT_ASKED, event, NOON, tick=float(number))
        assert len(budget) <= WINDOW_S + 1


def test_many_callers_within_a_minute_are_remembered_up_to_a_bound() -> None:
    budget = CallerBudget(per_minute=60)
    for number in range(MAX_CALLERS + 100):
        assert budget.grant(_NOT_ASKED, make_event({"participant": {"identity": f"caller-{number}"}}), NOON, tick=0.0)
    assert len(budget) == MAX_CALLERS
