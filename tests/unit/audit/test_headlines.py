"""The sentence about a call: whole in each state, for each cause, in each language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.audit.calls.call_head import CallHead, CallOutcome, CallState
from app.audit.calls.cause_texts import CAUSE_TEXTS, reason_text
from app.audit.calls.headline import sentence_of
from app.db.types import Cause
from app.server.translations.catalogues import languages
from app.translation import Language, use_language

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
STORED = "stored when it happened"


def call(state: CallState, cause: Cause | None, **values: Any) -> CallHead:
    given: dict[str, Any] = {
        "event_id": "1", "project": "default", "room_name": "hall", "room_sid": "RM_1", "participant_identity": "ana",
        "participant_sid": "PA_1", "participant_kind": "STANDARD", "phone_number": None, "joined_at": NOW,
        "left_at": NOW + timedelta(seconds=4), "agent_joined_at": None, "agents": ("greeter", "expert"),
        "state": state, "reason": STORED, "seconds_to_agent": None, "participant_name": None, "direction": None,
        "rules": (), "asked_agents": ("greeter", "expert"), "outcomes": (), "cause": cause, "called_number": None,
        **values,
    }  # fmt: skip
    return CallHead(**given)


def sentences() -> Iterator[tuple[str, CallState, Cause | None, str]]:
    """Yield a sentence of each language, state and cause."""
    for language in languages().values():
        for state in CallState:
            for cause in (*Cause, None):
                with use_language(language):
                    yield language.tag, state, cause, sentence_of(call(state, cause), [])


def test_each_sentence_is_whole() -> None:
    for tag, state, cause, text in sentences():
        about = (tag, state, cause, text)
        assert text.endswith("."), about
        assert not re.search(r"[:;,–]\s*\.|\.\.|  |%\(|None|[:;,] [:;,]", text), about
        assert "ana" in text, about


def test_other_languages_say_the_cause_in_place_of_the_stored_reason() -> None:
    assert set(CAUSE_TEXTS) == set(Cause)
    others: list[Language] = [one for one in languages().values() if one.tag != "en"]
    assert others
    for language in others:
        with use_language(language):
            for state in CallState:
                for cause in Cause:
                    head = call(state, cause)
                    is_decided = state is not CallState.IGNORED  # which has no dispatch
                    assert not is_decided or STORED not in sentence_of(head, []), (language.tag, state, cause)
            for cause in Cause:
                assert reason_text(cause, STORED) != str(CAUSE_TEXTS[cause]), (language.tag, cause)
            # What has no cause stays English
            assert STORED in sentence_of(call(CallState.REMOVED, None), [])


def test_english_says_the_stored_reason() -> None:
    assert sentence_of(call(CallState.CANCELLED, Cause.CANCELLED_BY_HAND), []).endswith(f": {STORED}.")
    assert reason_text(Cause.NO_AGENT, STORED) == STORED


@pytest.mark.parametrize("outcomes", [(), (CallOutcome.BEING_HANDED_OVER,)])
def test_a_call_without_a_stored_reason_has_a_whole_sentence(outcomes: tuple[CallOutcome, ...]) -> None:
    for language in languages().values():
        with use_language(language):
            for state in CallState:
                text = sentence_of(call(state, None, reason="", outcomes=outcomes, participant_identity=""), [])
                assert re.search(r"[^\s:;,–.]\.$", text), (language.tag, state, text)
