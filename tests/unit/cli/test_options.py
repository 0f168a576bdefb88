"""Shared options become filters, and commands get them in place of a parameter."""

from __future__ import annotations

import inspect

import pytest

from app.audit import DispatchFilter, EventFilter
from app.cli.calls.filter_options import dispatch_filter, event_filter, period
from app.cli.framework.options import choosing
from app.db.types import DispatchStatus, EventOutcome, EventSource
from app.errors import InvalidInputError


def test_options_become_a_filter() -> None:
    assert event_filter() == EventFilter()
    assert dispatch_filter() == DispatchFilter()
    chosen = event_filter(
        event_type=["participant_joined"],
        source=EventSource.SWEEP,
        outcome=[EventOutcome.NO_MATCH],
        phone="+34",
        since="2026-11-22T14:00:00Z",
        until="2026-11-22T15:00:00Z",
    )
    assert (chosen.types, chosen.source, chosen.outcomes, chosen.phone_number) == (
        ("participant_joined",), EventSource.SWEEP, (EventOutcome.NO_MATCH,), "+34",
    )  # fmt: skip
    assert chosen.since is not None
    assert chosen.until is not None
    assert (chosen.until - chosen.since).total_seconds() == 3600
    assert dispatch_filter(status=[DispatchStatus.FAILED], rule="r", agent="a") == DispatchFilter(
        statuses=(DispatchStatus.FAILED,), rule="r", agent="a"
    )


def test_problems_of_both_ends_of_a_period_are_reported_at_once() -> None:
    with pytest.raises(InvalidInputError) as refused:
        period("nonsense", "25:99")
    assert [problem.path for problem in refused.value.problems] == ["--since", "--until"]
    with pytest.raises(InvalidInputError, match="--until: must be later than --since"):
        period("1h", "2h")


def test_a_command_gets_its_filter_and_shows_the_options_of_it() -> None:
    @choosing(dispatch_filter)
    def command(chosen: DispatchFilter, *, limit: int = 5) -> tuple[DispatchFilter, int]:
        return chosen, limit

    parameters = inspect.signature(command).parameters
    assert "chosen" not in parameters
    assert {"limit", "status", "since", "agent"} <= set(parameters)
    given = dict.fromkeys(inspect.signature(dispatch_filter).parameters)
    assert command(limit=7, **{**given, "agent": "sales"}) == (DispatchFilter(agent="sales"), 7)
