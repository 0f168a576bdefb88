from __future__ import annotations

import pytest

from app.db.types import Scope
from app.plan.keys import intent_key

BASE = ("default", "RM_1", "greeter", Scope.PARTICIPANT, "ana")


def test_equal_wishes_have_equal_keys() -> None:
    assert intent_key(*BASE) == intent_key(*BASE)


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
def test_whatever_tells_wishes_apart_is_in_the_key(other: tuple[str, str, str, Scope, str]) -> None:
    assert intent_key(*BASE) != intent_key(*other)


def test_a_room_has_one_wish_for_all_who_are_in_it() -> None:
    assert intent_key("p", "RM_1", "a", Scope.ROOM, "ana") == intent_key("p", "RM_1", "a", Scope.ROOM, "bob")


def test_a_key_says_nothing_about_whom_it_is_for() -> None:
    key = intent_key(*BASE)
    assert len(key) == 40
    assert "ana" not in key
