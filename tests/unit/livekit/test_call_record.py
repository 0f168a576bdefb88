"""Which failures of calls to LiveKit are known, and for how long."""

from __future__ import annotations

from app.livekit.failures.call_record import RECENT_S, CallRecord
from app.livekit.failures.trouble import Trouble, TroubleKind
from tests.conftest import StillClock

REFUSED = Trouble(TroubleKind.UNKNOWN_KEY, "invalid API key")
DOWN = Trouble(TroubleKind.UNREACHABLE, "no answer")


def note(record: CallRecord, trouble: Trouble) -> None:
    record.note_failure(trouble.kind, trouble.text)


def test_a_failure_is_recent_for_a_minute_whatever_is_answered_meanwhile() -> None:
    clock = StillClock()
    record = CallRecord(clock)
    seen = [record.recent]
    note(record, REFUSED)
    record.note_answer()
    assert record.trouble is None
    seen.append(record.recent)
    clock.advance(RECENT_S - 1)
    record.note_answer()
    seen.append(record.recent)
    clock.advance(1)
    seen.append(record.recent)
    assert seen == [(), (REFUSED,), (REFUSED,), ()]


def test_the_latest_refusal_and_the_latest_other_failure_are_recent_beside_each_other() -> None:
    record = CallRecord(StillClock())
    note(record, REFUSED)
    note(record, DOWN)
    note(record, DOWN)
    record.note_answer()
    assert record.recent == (REFUSED, Trouble(DOWN.kind, DOWN.text, failures=2))
