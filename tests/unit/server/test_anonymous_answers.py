"""Answers to requests that prove nothing go in turn, at a bounded rate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count

from starlette.requests import Request
from starlette.types import Message, Scope

from app.server.access.anonymous_answers import (
    AFTER_WEBHOOK_S,
    AT_ONCE,
    FEW_PEERS,
    MAX_WAITING,
    PER_SECOND,
    AnonymousAnswers,
    mark_identified,
)
from tests.conftest import StillClock

_ports = count(FEW_PEERS)  # the lower ones are those of a few peers, in any order of tests


def scope_of(address: str = "192.0.2.1", headers: Iterable[tuple[bytes, bytes]] = (), port: int | None = None) -> Scope:
    """Return a request of a connection of its own, unless it has a port."""
    return {"type": "http", "client": (address, next(_ports) if port is None else port), "headers": list(headers)}


async def many_peers(answers: AnonymousAnswers) -> None:
    """Let so many connections ask that answers are paced from the next second on."""
    for _ in range(FEW_PEERS + 1):
        await answers.wait(scope_of())


async def ticks() -> None:
    for _ in range(5):
        await asyncio.sleep(0.02)


class Flood:
    """Requests of one address that wait for their answers."""

    def __init__(self, answers: AnonymousAnswers, number: int, address: str = "192.0.2.1") -> None:
        self.answered = 0
        self.tasks = [asyncio.create_task(self._request(answers, address)) for _ in range(number)]

    async def _request(self, answers: AnonymousAnswers, address: str) -> None:
        await answers.wait(scope_of(address))
        self.answered += 1

    async def reaches(self, number: int) -> None:
        async with asyncio.timeout(60):
            while self.answered < number:  # noqa: ASYNC110 - the answers have no event for it
                await asyncio.sleep(0.01)


async def test_a_flood_is_answered_at_a_bounded_rate(clock: StillClock) -> None:
    answers = AnonymousAnswers(clock)
    await many_peers(answers)
    answers.note_webhook()
    flood = Flood(answers, 900)
    await flood.reaches(int(AT_ONCE))
    await ticks()
    assert flood.answered == AT_ONCE
    clock.advance(1)
    await flood.reaches(int(AT_ONCE + PER_SECOND))
    await ticks()
    assert flood.answered == AT_ONCE + PER_SECOND
    async with asyncio.timeout(60):
        while flood.answered < 900:
            clock.advance(2)
            await asyncio.sleep(0.01)


async def test_a_flood_of_one_address_holds_up_others_by_an_answer_of_each(clock: StillClock) -> None:
    answers = AnonymousAnswers(clock)
    await many_peers(answers)
    answers.note_webhook()
    flood = Flood(answers, 900)
    await flood.reaches(int(AT_ONCE))
    other = Flood(answers, 5, "192.0.2.2")
    await asyncio.sleep(0)
    clock.advance(12 / PER_SECOND)
    await other.reaches(5)
    assert flood.answered <= AT_ONCE + 7
    for task in flood.tasks:
        task.cancel()
    await asyncio.wait(flood.tasks)
    clock.advance(1)
    last = Flood(answers, 1, "192.0.2.3")
    await last.reaches(1)  # those that gave up take no turn


async def test_answers_to_users_do_not_wait(clock: StillClock) -> None:
    answers, sent = AnonymousAnswers(clock), []
    await many_peers(answers)
    answers.note_webhook()

    async def send(message: Message) -> None:
        sent.append(message)

    for _ in range(int(AT_ONCE) * 3):
        scope = scope_of()
        mark_identified(Request(scope))
        await asyncio.wait_for(answers.in_turn(scope, send)({"type": "http.response.start"}), 60)
    assert len(sent) == AT_ONCE * 3
    await Flood(answers, int(AT_ONCE)).reaches(int(AT_ONCE))  # none of these has been spent


async def test_long_requests_and_more_than_may_wait_are_answered_at_once(clock: StillClock) -> None:
    answers = AnonymousAnswers(clock)
    await many_peers(answers)
    answers.note_webhook()
    flood = Flood(answers, int(AT_ONCE) + MAX_WAITING)
    await flood.reaches(int(AT_ONCE))
    await asyncio.wait_for(answers.wait(scope_of()), 60)
    await asyncio.wait_for(answers.wait(scope_of(headers=[(b"content-length", b"20000")])), 60)
    for task in flood.tasks:
        task.cancel()
    await asyncio.wait(flood.tasks)


async def test_without_webhooks_no_answer_waits(clock: StillClock) -> None:
    answers = AnonymousAnswers(clock)
    await Flood(answers, 900).reaches(900)
    answers.note_webhook()
    clock.advance(AFTER_WEBHOOK_S)
    await Flood(answers, 900).reaches(900)


async def test_a_few_peers_are_answered_as_fast_as_they_ask(clock: StillClock) -> None:
    answers = AnonymousAnswers(clock)
    answers.note_webhook()
    for number in range(int(AT_ONCE) * 4):
        await asyncio.wait_for(answers.wait(scope_of(port=number % FEW_PEERS)), 60)
    # A crowd is paced, those few too, and no more once it has gone
    await many_peers(answers)
    left = int(AT_ONCE) - FEW_PEERS - 1
    flood = Flood(answers, left + 1)
    await flood.reaches(left)
    await ticks()
    assert flood.answered == left
    clock.advance(3)
    await flood.reaches(left + 1)
    answers.note_webhook()
    for number in range(int(AT_ONCE) * 4):
        await asyncio.wait_for(answers.wait(scope_of(port=number % FEW_PEERS)), 60)
