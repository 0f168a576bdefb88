"""Faults come by script first, then by standing order, then by chance; and chance is repeatable."""

from __future__ import annotations

from collections import Counter

import pytest

from app.simulator.api.faults import ANY, Fault, FaultKind, Faults

REFUSED, CUT = Fault(FaultKind.REFUSE), Fault(FaultKind.RESET_AFTER)


def test_a_script_is_played_once_call_by_call() -> None:
    faults = Faults()
    faults.script("CreateDispatch", REFUSED, None, CUT)
    assert [faults.next("CreateDispatch") for _ in range(4)] == [REFUSED, None, CUT, None]
    assert faults.next("ListDispatch") is None


def test_a_script_for_any_method_waits_for_whichever_comes() -> None:
    faults = Faults()
    faults.script(ANY, REFUSED)
    faults.script("ListRooms", CUT)
    assert faults.next("ListRooms") is CUT
    assert faults.next("ListRooms") is REFUSED
    assert faults.next("ListRooms") is None


def test_a_standing_order_holds_until_it_is_taken_back() -> None:
    faults = Faults()
    faults.always("ListDispatch", REFUSED)
    faults.script("ListDispatch", None)
    assert [faults.next("ListDispatch") for _ in range(3)] == [None, REFUSED, REFUSED]
    faults.always("ListDispatch", None)
    assert faults.next("ListDispatch") is None


def test_a_share_of_all_calls_fails_half_of_them_after_taking_effect() -> None:
    faults = Faults(seed=1)
    faults.by_chance(0.3)
    kinds = [fault.kind for _ in range(10_000) if (fault := faults.next("CreateDispatch"))]
    assert len(kinds) == pytest.approx(3000, rel=0.1)
    assert sum(kind.takes_effect for kind in kinds) == pytest.approx(len(kinds) / 2, rel=0.1)
    assert set(Counter(kinds)) == {
        FaultKind.REFUSE,
        FaultKind.RESET_BEFORE,
        FaultKind.ERROR_AFTER,
        FaultKind.RESET_AFTER,
    }


def test_random_hangs_need_a_length() -> None:
    faults = Faults()
    faults.by_chance(1.0, hang_seconds=2)
    drawn = [faults.next("CreateDispatch") for _ in range(200)]
    hanging = {fault.kind: fault.seconds for fault in drawn if fault and fault.seconds}
    assert hanging == {FaultKind.HANG_BEFORE: 2, FaultKind.HANG_AFTER: 2}


def test_chance_spares_the_methods_that_are_not_named() -> None:
    faults = Faults()
    faults.by_chance(1.0, methods=["CreateDispatch"])
    assert faults.next("ListRooms") is None
    assert faults.next("CreateDispatch") is not None


def test_the_same_seed_draws_the_same_faults() -> None:
    def draw(seed: int) -> list[Fault | None]:
        faults = Faults()
        faults.by_chance(0.5, seed=seed)
        return [faults.next("CreateDispatch") for _ in range(50)]

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


def test_cleared_faults_are_gone() -> None:
    faults = Faults()
    faults.script(ANY, REFUSED)
    faults.always("ListRooms", CUT)
    faults.by_chance(1.0)
    faults.clear()
    assert faults.next("ListRooms") is None
