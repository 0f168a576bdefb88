from __future__ import annotations

import pytest

from app.db.types import Cause, DispatchStatus, ReplacesKind
from app.lifecycle.handover import dispatch_beside, is_beside, moves_of_partners, partners_of
from app.outbox.dispatch import Dispatch
from app.outbox.move import Move
from tests.world.rows import NOW, dispatch

S = DispatchStatus
FIRST = dispatch(id="first", status=S.JOINED, handed_to="next", intent_key="key")
NEXT = dispatch_beside(FIRST, "expert", "next", "handed over", NOW)._replace(status=S.DISPATCHED)


def moved(one: Dispatch, *statuses: DispatchStatus) -> list[Move]:
    """Return the moves through these states, each from where the one before ended."""
    moves = []
    for status in statuses:
        moves.append(Move(one, status, Cause.AGENT_JOINED, "moved"))
        one = moves[-1].result
    return moves


def follows(moves: list[Move], other: Dispatch) -> list[tuple[str, DispatchStatus, Cause]]:
    concerned = partners_of(moves)
    found = moves_of_partners(concerned, {other.id: other} if other.id in concerned else {}, NOW)
    return [(one.dispatch.id, one.status, one.cause) for one in found]


@pytest.mark.parametrize(
    ("statuses", "follows_for_first"),
    [
        ((S.JOINED,), [("first", S.ENDED, Cause.HANDED_OVER)]),
        ((S.NO_SHOW,), [("first", S.JOINED, Cause.HANDOVER_FAILED)]),
        ((S.JOINED, S.NO_SHOW), [("first", S.JOINED, Cause.HANDOVER_FAILED)]),  # both in one batch
        ((S.JOINED, S.PENDING), []),  # its next attempt
        ((S.CANCELLED,), [("first", S.JOINED, Cause.HANDOVER_FAILED)]),
        ((S.DISPATCHED,), []),
    ],
)
def test_what_the_next_agent_does_decides_about_the_first(
    statuses: tuple[DispatchStatus, ...], follows_for_first: list[tuple[str, DispatchStatus, Cause]]
) -> None:
    assert follows(moved(NEXT, *statuses), FIRST) == follows_for_first


@pytest.mark.parametrize("status", [S.PENDING, S.DISPATCHED, S.JOINED])
def test_the_next_dispatch_takes_the_place_of_the_first_when_that_ends(status: DispatchStatus) -> None:
    concerned = partners_of(moved(FIRST, S.ENDED))
    (move,) = moves_of_partners(concerned, {"next": NEXT._replace(status=status)}, NOW)
    after = move.result
    assert (after.id, after.status, after.intent_key) == ("next", status, "key")
    assert [one["agent_name"] for one in after.fallbacks or ()] == ["greeter"]
    assert not is_beside(after)


def test_what_is_noted_of_an_ended_dispatch_decides_nothing() -> None:
    assert partners_of(moved(FIRST._replace(status=S.CANCELLED), S.CANCELLED)) == {}


def test_a_dispatch_beside_another_has_a_key_of_its_own() -> None:
    assert is_beside(NEXT)
    assert (NEXT.replaces, NEXT.replaces_kind) == ("first", ReplacesKind.HANDOVER)
    assert NEXT.intent_key != FIRST.intent_key
