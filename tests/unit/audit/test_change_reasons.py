"""Why dispatches changed their state, as readers of English and of other languages see it in timelines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.audit.calls.step import call_step, change_step
from app.audit.records.record_types import AttemptRecord, AuditRecord, DispatchRecord
from app.db.types import Cause, DispatchStatus, ReplacesKind
from app.outbox.dispatch import Dispatch
from app.server.translations.catalogues import languages
from app.translation import ENGLISH, use_language
from tests.world.rows import dispatch

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
GERMAN = languages()["de"]


def _attempt(number: int, agent: str, **values: Any) -> AttemptRecord:
    at = NOW + timedelta(seconds=10 * (number - 1))
    given: dict[str, Any] = dict.fromkeys(AttemptRecord.__annotations__) | {
        "dispatch_id": "1", "number": number, "agent_name": agent, "started_at": at, "finished_at": at, **values,
    }  # fmt: skip
    return AttemptRecord(**given)


def _change(before: str | None, after: str, reason: str, by: str = "usher") -> AuditRecord:
    return AuditRecord(1, "dispatch", "1", before, after, reason, NOW + timedelta(seconds=5), by)


def _in_german(change: AuditRecord, *attempts: AttemptRecord, **values: Any) -> str:
    """Return the reason of a change that is not the last of a dispatch with these columns."""
    last = _change("dispatched", "joined", "the agent is in the room")
    record = DispatchRecord(_dispatch(**values), attempts, (change, last), ())
    with use_language(ENGLISH):
        assert change_step(record, change).reason.startswith(change.reason)
    with use_language(GERMAN):
        return change_step(record, change).reason


def _dispatch(**values: Any) -> Dispatch:
    return dispatch(rule_name="support", agent_name="greeter", **values)


@pytest.mark.parametrize(
    ("before", "after", "stored", "shown"),
    [
        (None, "pending", "rule 'support' matched", "Regel 'support' passte"),
        ("pending", "sending", "claimed for a call to LiveKit", "für einen Aufruf bei LiveKit vorgemerkt"),
        ("pending", "pending", "no free place: it has 2 of 2 calls", "kein freier Platz: „it has 2 of 2 calls“"),
        ("sending", "pending", "LiveKit refused: unknown: no; way", "LiveKit hat abgelehnt: „unknown: no; way“"),
        ("sending", "pending", "LiveKit could not be reached: outcome unknown: 14: x",
         "LiveKit war nicht erreichbar: Ausgang unbekannt: „14: x“"),
        ("dispatched", "dispatched", "LiveKit reports agent_job_ended; checking it",
         "der Agent ist noch nicht beigetreten"),
        ("joined", "ended", "said by nobody", "„said by nobody“"),
    ],
)  # fmt: skip
def test_a_stored_reason_is_told_in_the_language_of_the_reader(
    before: str | None, after: str, stored: str, shown: str
) -> None:
    assert _in_german(_change(before, after, stored)) == shown


def test_an_agent_that_did_not_join_is_told_with_what_followed() -> None:
    stored = "greeter did not join: no worker had capacity for it (job AJ_1); asking expert instead"
    failed = _attempt(1, "greeter", outcome="no_show", job_id="AJ_1",
                      error_text="no worker had capacity for it (job AJ_1)")  # fmt: skip
    text = _in_german(_change("dispatched", "pending", stored), failed, _attempt(2, "expert"))
    why = "kein Worker hatte Kapazität für den Dispatch"
    assert text == f"greeter ist nicht beigetreten: {why}; stattdessen wird expert angefragt"


def test_what_the_job_answered_is_quoted() -> None:
    failed = _attempt(1, "greeter", outcome="no_show", error_text="the job failed: no route")
    text = _in_german(_change("dispatched", "no_show", "greeter did not join: …"), failed)
    assert text.startswith("greeter ist nicht beigetreten: der Job ist fehlgeschlagen: „no route“; kein anderer Agent")


def test_an_agent_that_left_early_is_told_with_its_stay() -> None:
    failed = _attempt(1, "greeter", outcome="left_early", error_text="left after 1.5 s of at least 3 (AGENT_ERROR)",
                      joined_at=NOW, left_at=NOW + timedelta(seconds=1.5))  # fmt: skip
    stored = "greeter left after 1.5 s of at least 3 (AGENT_ERROR); asking again"
    assert _in_german(_change("joined", "pending", stored), failed) == "greeter ging nach 1,5 s von mindestens 3,0 s"
    record = DispatchRecord(_dispatch(), (failed,), (), ())
    with use_language(GERMAN):
        assert "left after" not in call_step(record, failed).reason


def test_who_joined_is_said_by_the_attempt_of_that_time() -> None:
    early = _change("dispatched", "joined", "the agent is in the room")
    now = replace(early, changed_at=NOW + timedelta(seconds=15))
    attempts = (_attempt(1, "greeter", outcome="left_early", job_id="AJ_1"), _attempt(2, "expert", job_id="AJ_2"))
    there = _dispatch(asked_agent_name="expert", agent_identity="agent-AJ_2", job_id="AJ_2")
    record = DispatchRecord(there, attempts, (early, now), ())
    first, second = change_step(record, early), change_step(record, now)
    assert (first.title, first.facts) == ("greeter joined", {"agent": "greeter", "job_id": "AJ_1"})
    assert (second.title, second.facts["agent_identity"]) == ("expert joined", "agent-AJ_2")


def test_the_reason_of_a_user_is_kept() -> None:
    made = _change(None, "pending", "handed over by ana: wants Spanish", by="ana")
    assert _in_german(made, replaces_kind=ReplacesKind.HANDOVER).endswith(": „wants Spanish“")


def test_a_hand_over_is_told_by_who_began_it() -> None:
    assert (
        _in_german(_change("joined", "joined", "being handed over to expert", by="ana")) == "der Anruf wird übergeben"
    )


def test_the_last_change_says_its_cause() -> None:
    change = _change(
        "joined", "ended", "the agent left (AGENT_ERROR); not replaced: somebody else is there for the caller"
    )
    ended = _dispatch(status=DispatchStatus.ENDED, cause=Cause.AGENT_LEFT, reason=change.reason)
    with use_language(GERMAN):
        text = change_step(DispatchRecord(ended, (), (change,), ()), change).reason
    assert text == "der Agent ist gegangen; nicht ersetzt: jemand anderes ist für den Anrufer da"
