from __future__ import annotations

import pytest

from app.db.types import Scope
from app.plan.keys import intent_key

BASE = ("default", "RM_1", "greeter", Scope.PARTICIPANT, "ana")


def test_a_key_stays_what_it_was() -> None:
    # Stored, unique, and compared by replicas of different versions during an upgrade.
    assert intent_key(*BASE) == "2c748be62d67c65e69f4cd6b578bb542fa216d98"
    assert intent_key("default", "RM_1", "greeter", Scope.ROOM, "ana") == "ba32931a1fa92219177880e19c622678ac48a715"


@pytest.mark.parametrize(
    "other",
    [
        ("other", "RM_1", "greeter", Scope.PARTICIPANT, "ana"),
        ("default", "RM_2", "greeter", Scope.PARTICIPANT, "ana"),
        ("default", "RM_1", "farewell", Scope.PARTICIPANT, "ana"),
        ("default", "RM_1", "greeter", Scope.ROOM, "ana"),
        ("default", "RM_1", "greeter", Scope.PARTICIPANT, "bob"),
        ("default", "RM_1gree", "ter", Scope.PARTICIPANT, "ana"),
    ],
)
def test_each_part_of_an_intent_changes_the_key(other: tuple[str, str, str, Scope, str]) -> None:
    assert intent_key(*BASE) != intent_key(*other)


def test_scope_room_has_one_key_for_all_participants() -> None:
    assert intent_key("p", "RM_1", "a", Scope.ROOM, "ana") == intent_key("p", "RM_1", "a", Scope.ROOM, "bob")
