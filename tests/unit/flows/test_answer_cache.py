"""Which questions are the same, and how much memory kept answers take."""

from __future__ import annotations

from typing import Any

import pytest

from app.flows.lookup.answer_cache import AnswerCache, cache_key
from app.rules.lookups.lookup_book import Lookup

LOOKUP = Lookup(1, "crm", True, "https://crm.test/", {}, 1500, 60, None, ())  # noqa: FBT003 - enabled
PHONE = {"sip.callID": "SCL_1", "sip.ruleID": "SDR_1", "sip.phoneNumber": "+34600111222", "sip.h.x": "a"}

MADE_ANEW = """id createdAt room/sid room/numParticipants participant/sid participant/joinedAt
participant/attributes/sip.callID participant/attributes/sip.callStatus"""
MATTERS = """event project room/name room/metadata participant/identity participant/metadata
participant/attributes/sip.phoneNumber participant/attributes/sip.h.x participant/attributes/plan"""


def document(kind: str = "STANDARD", room: str = "hall", **changes: Any) -> dict[str, Any]:
    participant = {"sid": "PA_1", "identity": "ana", "kind": kind, "joinedAt": 1, "attributes": dict(PHONE)}
    event = {"event": "participant_joined", "id": "EV_1", "createdAt": 1, "project": "default"}
    return {**event, "room": {"name": room, "sid": "RM_1", "metadata": "m"}, "participant": participant, **changes}


def changed(path: str, value: Any, **options: Any) -> dict[str, Any]:
    found = document(**options)
    *above, name = path.split("/")
    node = found
    for part in above:
        node = node[part]
    node[name] = value
    return found


@pytest.mark.parametrize(
    "path",
    [
        "id",
        "createdAt",
        "room/sid",
        "room/numParticipants",
        "participant/sid",
        "participant/joinedAt",
        "participant/attributes/sip.callID",
        "participant/attributes/sip.callStatus",
    ],
)
def test_what_livekit_makes_anew_for_each_call_makes_no_other_question(path: str) -> None:
    assert cache_key(LOOKUP, changed(path, "another")) == cache_key(LOOKUP, document())


@pytest.mark.parametrize(
    "path",
    [
        "event",
        "project",
        "room/name",
        "room/metadata",
        "participant/identity",
        "participant/metadata",
        "participant/attributes/sip.phoneNumber",
        "participant/attributes/sip.h.x",
        "participant/attributes/plan",
    ],
)
def test_what_an_answer_may_depend_on_makes_another_question(path: str) -> None:
    assert cache_key(LOOKUP, changed(path, "another")) != cache_key(LOOKUP, document())


def test_the_room_of_a_phone_call_is_named_by_chance() -> None:
    one, other = document(kind="SIP", room="call-1"), document(kind="SIP", room="call-2")
    assert cache_key(LOOKUP, one) == cache_key(LOOKUP, other)
    for each in (one, other):
        del each["participant"]["attributes"]["sip.ruleID"]  # it was dialled: applications name its room
    assert cache_key(LOOKUP, one) != cache_key(LOOKUP, other)


def test_an_answer_is_kept_for_its_time() -> None:
    cache = AnswerCache()
    cache.put(b"a", None, 4, until=10.0)
    assert cache.get(b"a", 9.9) == (None,)
    assert cache.get(b"a", 10.0) is None
    assert cache.size == 0


def test_answers_take_bounded_memory_and_the_unused_go_first() -> None:
    cache = AnswerCache(max_bytes=10_000)
    for number in range(100):
        cache.get(b"0", 0.0)
        cache.put(str(number).encode(), "x", 1000, until=10.0)
        assert cache.size <= 10_000
    assert cache.get(b"0", 0.0) == ("x",)
    assert cache.get(b"99", 0.0) == ("x",)
    assert cache.get(b"50", 0.0) is None
    cache.put(b"too large", "x", 20_000, until=10.0)
    assert cache.size == 0
