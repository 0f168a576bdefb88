"""A contact centre in virtual time: callers of three teams, agents with limits, and everything that goes wrong there.

A lookup says which team a caller needs, and fails at times; agents hand over, by themselves or by an operator; agents
go out of service; LiveKit's answers fail; Usher is killed. `ContactCentre.run` lets it happen, `ContactCentre.findings`
judges by LiveKit's ledger and the database.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.db.types import format_instant
from app.errors import UsherError
from app.flows.operations.handover_order import HandoverOrder
from app.livekit.vocabulary import DisconnectReason
from app.simulator.ledger import AgentStay
from tests.simulator import Verdict
from tests.world.world import World

LIMITS = {"sales": 6, "support": 8, "billing": 3}
"""Most calls of each agent at the same time."""
GOING_S = 6.0
"""An agent whose call is over is in the room for so long at most: LiveKit takes it out, or reports its loss."""
_BETWEEN_CALLS_S = 2.0
_TALK_S = 20.0
_MEAN_WAIT_S = 60.0
_SAMPLED_EVERY_S = 5.0


@dataclass
class Tally:
    """What the script did, and what was seen of limits."""

    over: int = 0
    left_waiting: int = 0
    handed_over: Counter[str] = field(default_factory=Counter)
    out_of_service: int = 0
    kills: int = 0
    most_places: Counter[str] = field(default_factory=Counter)
    longest_queue: int = 0


class ContactCentre:
    """`calls` calls, on average one every two seconds, in a world with one replica and a sweep.

    Usher is killed after `first_kill_s` for the first time. When it is killed, how long each caller stays and the like
    follow from `seed` alone, not from the order of what happens at the same time, which threads decide.
    """

    def __init__(self, world: World, calls: int, seed: int, *, first_kill_s: float = 90.0) -> None:
        self.tally = Tally()
        self._world = world
        self._calls = calls
        self._seed = seed
        self._first_kill_s = first_kill_s
        self._over = asyncio.Event()

    def prepare(self) -> None:
        """Write rules, limits and the lookup, and start the workers."""
        world = self._world
        for name, most in LIMITS.items():
            world.database.execute(
                "INSERT INTO agents (agent_name, max_calls) VALUES (:name, :most)", name=name, most=most
            )
            world.simulator.add_worker(name)
            pattern = {"lookup": {"crm": {"team": [name]}}}
            others = [one for one in LIMITS if one != name]
            columns = {"fallbacks": others[:1]} if name == "sales" else {}
            world.rule(name, name, pattern, queue_timeout_s=45, announce=name == "billing", recover="lost", **columns)
        world.lookup("crm", {}, timeout_ms=800, on_error={"team": "support"})
        world.services.answer("crm", self._team, after=0.2)

    def _chance(self, what: str) -> random.Random:
        return random.Random(f"{self._seed}/{what}")

    def _team(self, document: Mapping[str, Any]) -> Any:
        number = int(document["participant"]["identity"].rpartition("-")[2])
        if self._chance(f"lookup {number}").random() < 0.05:
            return b"<html>502</html>"
        return {"team": list(LIMITS)[number % len(LIMITS)]}

    async def run(self) -> None:
        """Let all calls come and end, while things go wrong; raises what any of them raises."""
        async with asyncio.TaskGroup() as everything:
            for one in (self._sample(), self._outages(), self._kills()):
                everything.create_task(one)
            chance = self._chance("calls")
            async with asyncio.TaskGroup() as calls:
                for number in range(self._calls):
                    calls.create_task(self._call(number))
                    await asyncio.sleep(chance.expovariate(1 / _BETWEEN_CALLS_S))
            # Not cancelled: between a kill and the next start nobody would serve any more.
            self._over.set()
        self._world.simulator.faults.clear()
        await self._world.until(lambda: not self._live(), within=300, what="every dispatch has ended")

    async def _call(self, number: int) -> None:
        room, identity = f"call-{number}", f"caller-{number}"
        chance = self._chance(identity)
        self._world.simulator.join(room, identity)
        if not await self._agent_comes(room, chance.expovariate(1 / _MEAN_WAIT_S) + 5):
            self.tally.left_waiting += 1
        elif await self._talk(room, chance) and chance.random() < 0.15:
            await (self._hands_over(room, chance) if chance.random() < 0.5 else self._is_handed_over(room, chance))
            if await self._agent_comes(room, 30):
                await self._talk(room, chance)
        if self._world.simulator.room(room) is not None:
            self._world.simulator.leave(room, identity)
        self.tally.over += 1

    async def _agent_comes(self, room: str, within: float) -> bool:
        end = self._world.loop.time() + within
        while not self._world.agents(room):
            if self._world.loop.time() >= end:
                return False
            await asyncio.sleep(0.5)
        return True

    async def _talk(self, room: str, chance: random.Random) -> bool:
        """Let agent and caller talk; now and then the agent is lost meanwhile. Return whether one is there still."""
        await asyncio.sleep(chance.expovariate(1 / _TALK_S))
        if chance.random() < 0.03:
            self._agent_leaves(room, DisconnectReason.AGENT_ERROR)
            await self._agent_comes(room, 30)
        return bool(self._world.agents(room))

    def _agent_leaves(self, room: str, reason: DisconnectReason, **attributes: str) -> None:
        for identity in self._world.agents(room)[:1]:
            there = self._world.simulator.room(room)
            assert there is not None
            there.participants[identity].attributes |= attributes
            self._world.simulator.leave(room, identity, reason)

    async def _hands_over(self, room: str, chance: random.Random) -> None:
        said = {"usher.next": chance.choice(list(LIMITS)), "usher.context": json.dumps({"room": room})}
        self._agent_leaves(room, DisconnectReason.CLIENT_INITIATED, **said)
        self.tally.handed_over["by the agent"] += 1
        await asyncio.sleep(1)

    async def _is_handed_over(self, room: str, chance: random.Random) -> None:
        found = self._world.dispatches(room_name=room, status="joined")
        if not found or not self._world.usher.alive:
            return
        present = found[-1]["asked_agent_name"] or found[-1]["agent_name"]
        following = chance.choice([one for one in LIMITS if one != present])
        order = HandoverOrder(found[-1]["id"], following, timeout_s=10)
        usher = self._world.usher
        with suppress(UsherError):  # at its limit, or the call is over
            if await usher.do(usher.orchestrator.operations.hand_over(order, "maria")) is None:
                return
            self.tally.handed_over["by an operator"] += 1
            await asyncio.sleep(5)

    async def _outages(self) -> None:
        """Take one agent out of service for two minutes, with or without a substitute, again and again."""
        chance, pause = self._chance("outages"), 60.0
        while await self._goes_on(pause):
            pause = chance.expovariate(1 / 200)
            name = chance.choice(list(LIMITS))
            substitute = chance.choice([None, *(one for one in LIMITS if one != name)])
            until = format_instant(self._world.clock.now() + timedelta(seconds=120))
            columns = "out_of_service_until = :until, substitute_agent_name = :other"
            self._world.database.execute(
                f"UPDATE agents SET {columns} WHERE agent_name = :name",
                until=until,
                other=substitute,
                name=name,
            )
            self.tally.out_of_service += 1

    async def _kills(self) -> None:
        """Kill Usher and start another three seconds later; LiveKit repeats its webhooks meanwhile."""
        chance, pause = self._chance("kills"), self._first_kill_s
        while await self._goes_on(pause):
            pause = chance.expovariate(1 / 300)
            await self._world.usher.kill()
            await asyncio.sleep(3)
            self._world.replicas.clear()
            await self._world.add_replica()
            self.tally.kills += 1

    async def _goes_on(self, seconds: float) -> bool:
        """Return True after so many seconds, or False as soon as all calls are over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return not self._over.is_set()

    async def _sample(self) -> None:
        while await self._goes_on(_SAMPLED_EVERY_S):
            held = "status IN ('sending', 'dispatched', 'joined')"
            asked = "coalesce(asked_agent_name, agent_name)"
            for row in self._world.rows(
                f"SELECT {asked} AS name, count(*) AS held FROM dispatches WHERE {held} GROUP BY 1"
            ):
                self.tally.most_places[row["name"]] = max(self.tally.most_places[row["name"]], row["held"])
            (queued,) = self._world.rows(
                "SELECT count(*) AS n FROM dispatches WHERE status = 'pending' AND queued_at IS NOT NULL"
            )
            self.tally.longest_queue = max(self.tally.longest_queue, queued["n"])

    def _live(self) -> list[Any]:
        return self._world.rows(
            "SELECT id FROM dispatches WHERE status IN ('pending', 'sending', 'dispatched', 'joined')"
        )

    def verdict(self) -> Verdict:
        """Return what became of the callers."""
        return self._world.judge(tolerance=1.0)

    def findings(self) -> list[str]:
        """Return what went wrong: callers who were lost or served twice, and limits that were exceeded."""
        verdict = self.verdict()
        found = [] if verdict.clean and not verdict.alone else [str(verdict)]
        for name, most in LIMITS.items():
            if self.tally.most_places[name] > most:
                found.append(f"{name} had {self.tally.most_places[name]} places of {most}")
            if (seen := _most_at_once(self._stays(name))) > most:
                found.append(f"{name} was in {seen} calls at once, of {most}")
        if self._live():
            found.append(f"{len(self._live())} dispatches hold a place though no call goes on")
        if self.tally.over != self._calls:
            found.append(f"{self.tally.over} of {self._calls} calls have ended")
        return found

    def _stays(self, agent_name: str) -> list[AgentStay]:
        return [
            stay
            for one in self._world.simulator.ledger.dispatches
            if one.agent_name == agent_name
            for stay in one.agents
        ]


def _most_at_once(stays: list[AgentStay]) -> int:
    """Return how many of these agents were in rooms at the same time, the last `GOING_S` of each left out."""
    steps = []
    for stay in stays:
        end = (stay.gone if stay.gone is not None else float("inf")) - GOING_S
        if end > stay.joined:
            steps += [(stay.joined, 1), (end, -1)]
    most = now = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most
