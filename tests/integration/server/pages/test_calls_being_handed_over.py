"""A call that is being handed over has an agent: its caller does not wait."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.accounts.roles import Role
from app.audit import (
    CallFilter,
    CallOutcome,
    CallState,
    count_waiting_calls,
    dispatch_statistics,
    list_calls,
    longest_waiting,
    queue_overview,
    timeline,
)
from app.incidents.facts.agent_attempts import read_waiting
from tests.integration.audit.audit_rows import dispatch_row, event_row, store
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in


def handed_over(now: datetime, **of_next: Any) -> Mapping[str, list[dict[str, Any]]]:
    """Return the rows of ana's call, which a greeter has while an expert is asked; bo waits for a greeter."""
    ana = event_row(now, participant_identity="ana", participant_sid="PA_ana", room_sid="RM_ana")
    bo = event_row(now, participant_identity="bo", participant_sid="PA_bo", room_sid="RM_bo")
    first = dispatch_row(now, ana, agent_name="greeter", status="joined", cause="agent_joined", joined_at=now)
    following = {"agent_name": "expert", "status": "dispatched", "cause": "accepted", "dispatched_at": now, **of_next}
    beside = dispatch_row(
        now + timedelta(seconds=1),
        ana,
        intent_key=f"handover/{first['id']}",
        replaces=first["id"],
        replaces_kind="handover",
        **following,
    )
    waits = dispatch_row(now, bo, agent_name="greeter", status="dispatched", cause="accepted", dispatched_at=now)
    return {"event_rows": [ana, bo], "dispatch_rows": [first | {"handed_to": beside["id"]}, beside, waits]}


@pytest.mark.parametrize(
    "of_next", [{}, {"status": "pending", "cause": "handover"}, {"status": "sending", "cause": "claimed"}]
)
async def test_nothing_counts_its_caller_as_waiting(running: Running, of_next: dict[str, str]) -> None:
    now = datetime.now(UTC)

    def look(connection: Any) -> None:
        store(connection, **handed_over(now, **of_next))
        [waits] = list_calls(connection, CallFilter(states={CallState.WAITING})).items
        [ana] = list_calls(connection, CallFilter(outcome=CallOutcome.BEING_HANDED_OVER)).items
        assert (waits.participant_identity, ana.participant_identity, ana.state) == ("bo", "ana", CallState.ANSWERED)
        assert CallOutcome.BEING_HANDED_OVER in ana.outcomes
        found = timeline(connection, ana.event_id)
        assert found.call.state is CallState.ANSWERED
        assert found.summary.endswith("; the call is being handed over to expert.")
        assert count_waiting_calls(connection) == 1
        assert [one.participant_identity for one in longest_waiting(connection, 9)] == ["bo"]
        figures = dispatch_statistics(connection, now - timedelta(hours=1), now + timedelta(hours=1))
        assert figures.calls is not None
        assert (figures.calls.waiting, figures.calls.decided, figures.calls.handed_over) == (1, 1, 0)
        by_agent = {one.agent: (one.waiting, one.handing_over) for one in figures.agents}
        assert by_agent == {"greeter": (1, 0), "expert": (0, 1)}
        assert {one.agent: one.has_agent for one in read_waiting(connection, now)} == {"greeter": False, "expert": True}

    await running.write(look)
    await running.add_user("vera", Role.VIEWER)
    async with running.client() as client:
        await log_in(client, "vera")
        page = (await client.get("/console/")).text
        assert 'data-waiting-count="1"' in page
        assert "<title>(1) Now · Usher</title>" in page
        assert "1 of 1 decided · 1 open" in page
        listed = (await client.get("/console/calls?state=answered")).text
        assert '<span class="chip mark being_handed_over">being handed over</span>' in listed


async def test_the_queue_says_that_another_agent_has_the_call(running: Running) -> None:
    now = datetime.now(UTC)

    def look(connection: Any) -> None:
        rows = handed_over(now, status="pending", cause="queued", queued_at=now, dispatched_at=None)
        store(connection, **rows)
        [one] = queue_overview(connection, now).items
        assert (one.participant_identity, one.being_handed_over) == ("ana", True)

    await running.write(look)
    await running.add_user("vera", Role.VIEWER)
    async with running.client() as client:
        await log_in(client, "vera")
        assert "being handed over" in (await client.get("/console/queue")).text
