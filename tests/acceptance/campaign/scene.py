"""The scene of a campaign: programs started, rules written, callers let in, and the verdict awaited."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.campaign.databases import Database
from tests.acceptance.campaign.programs import SimulatedLiveKit, Usher
from tests.acceptance.campaign.result import FAILURES, Result
from tests.harness.ports import LOOPBACK, free_ports

TEMPO = 0.05
"""The simulated LiveKit is twenty times as fast as a real one; Usher's own times stay as they are."""

SETTINGS = {"USHER_SWEEP_INTERVAL": "2", "USHER_REQUEST_TIMEOUT": "1"}


@dataclass(frozen=True, slots=True)
class Size:
    """How long a campaign is: callers, their joins per second, and the seconds until and after a clean verdict."""

    callers: int
    rate: float
    give_up_after: float
    aftermath: float

    @property
    def joining(self) -> float:
        """Return how many seconds they take to come."""
        return self.callers / self.rate


SHORT = Size(callers=100, rate=25.0, give_up_after=40.0, aftermath=1.5)
LONG = Size(callers=10_000, rate=60.0, give_up_after=300.0, aftermath=15.0)


@dataclass
class Scene:
    """One campaign under way."""

    size: Size
    chance: random.Random
    livekit: SimulatedLiveKit
    ushers: list[Usher]
    database: Database
    began: float = field(default_factory=time.monotonic)
    expected: int = 0

    def start(self, *, rules: bool = True) -> None:
        """Start every program; with `rules`, every caller gets the agent `greeter`, of which there is a worker."""
        self.livekit.start()
        for usher in self.ushers:
            usher.start()
        for usher in self.ushers:
            usher.await_ready()
        if rules:
            self.database.add_rule("all", "greeter", {"event": ["participant_joined"]}, answer_timeout_s=3)
            self.add_workers("greeter")

    def add_workers(self, agent_name: str, count: int = 1, registers_after: float = 0.0, **behaviour: Any) -> list[str]:
        """Add healthy workers, but for what `behaviour` says (in LiveKit's own, real seconds); return their ids."""
        quick = {"answer_after": 0.02 * TEMPO, "join_after": 0.2 * TEMPO, **behaviour}
        ids: list[str] = self.livekit.post(
            "workers", agent_name=agent_name, count=count, registers_after=registers_after, behaviour=quick
        )["ids"]
        return ids

    def let_in(self, count: int | None = None, rate: float | None = None, **callers: Any) -> None:
        """Let callers begin to come, by default as many as the size says, each to a room of their own."""
        count = self.size.callers if count is None else count
        self.livekit.post("joins", count=count, rate=rate or self.size.rate, **callers)
        self.expected += count // callers.get("per_room", 1)

    @property
    def joining(self) -> bool:
        """Whether callers are still coming."""
        return not self.livekit.ask("joins")["done"]

    def await_joins(self) -> None:
        """Wait until all have come."""
        while self.joining:
            time.sleep(0.1)

    def kill_and_restart(self) -> int:
        """Kill Usher (SIGKILL) every 1 to 3 s while callers come, now and then while it starts; return how often.

        At least twice, the second time when the first have been swept in.
        """
        kills = 0
        usher = self.ushers[0]
        while self.joining or kills < 2:
            time.sleep(self.chance.uniform(1, 3))
            usher.kill()
            usher.start()
            kills += 1
            if self.chance.random() < 0.3:
                time.sleep(self.chance.uniform(0.1, 1))
                usher.kill()
                usher.start()
                kills += 1
            usher.await_ready()
        return kills

    def calls_failed(self) -> str:
        """Return how many of the calls to LiveKit have failed so far, in words."""
        calls = self.livekit.ask("ledger")["calls"]
        failed = sum(1 for call in calls if call["answered"] != "ok")
        return f"{failed:,} of {len(calls):,} calls failed, and it goes on"

    def verdict(self) -> dict[str, Any]:
        """Return what the simulator's judge says now."""
        verdict: dict[str, Any] = self.livekit.ask("verdict")
        return verdict

    def conclude(self, campaign: str, harm: str, unmet: Sequence[str] = ()) -> Result:
        """Return the judgement, once the verdict is clean or `give_up_after` has passed, and `aftermath` after that."""
        deadline = time.monotonic() + self.size.give_up_after
        while time.monotonic() < deadline:
            verdict = self.verdict()
            if verdict["callers"] == self.expected and not verdict["lost"] and not verdict["alone"]:
                break
            time.sleep(0.25)
        time.sleep(self.size.aftermath)
        verdict = self.verdict()
        unmet = [*unmet, *(f"{usher.name} logged a defect" for usher in self.ushers if _defects(usher))]
        traces = self.trace(verdict) if unmet or any(verdict[name] for name in FAILURES) else ""
        return Result(campaign, self.expected, verdict, harm, time.monotonic() - self.began, tuple(unmet), traces)

    def trace(self, verdict: Mapping[str, Any], rooms_at_most: int = 3) -> str:
        """Return what the ledger and Usher's tables know of some who fared badly, and the defects it logged."""
        rooms = [place.partition("/")[0] for name in FAILURES for place in verdict[name][:rooms_at_most]]
        ledger = self.livekit.ask("ledger")
        lines: list[str] = []
        for room in dict.fromkeys(rooms):
            lines.append(f"--- {room}")
            lines += [
                f"ledger {each}"
                for part in ("callers", "dispatches", "calls")
                for each in ledger[part]
                if each["room"] == room
            ]
            lines += [
                f"{table} {row}" for table, query in _QUERIES.items() for row in self.database.rows(query, room=room)
            ]
        for usher in self.ushers:
            lines += [f"{usher.name}: {line}" for line in _defects(usher)[:5]]
        return "\n".join(lines)


_QUERIES = {
    "event": "SELECT id, type, source, outcome, participant_sid, received_at FROM events "
    "WHERE room_name = :room ORDER BY id",
    "dispatch": "SELECT id, status, reason, attempts, livekit_dispatch_id, room_sid, lease_owner, lease_until, "
    "answer_deadline, next_attempt_at FROM dispatches WHERE room_name = :room ORDER BY id",
    "attempt": "SELECT a.* FROM dispatch_attempts a JOIN dispatches d ON d.id = a.dispatch_id "
    "WHERE d.room_name = :room ORDER BY a.dispatch_id, a.number",
    "audit": "SELECT l.entity_id, l.from_state, l.to_state, l.reason, l.changed_at FROM audit_log l "
    "JOIN dispatches d ON d.id = l.entity_id WHERE d.room_name = :room ORDER BY l.id",
}


def _defects(usher: Usher) -> list[str]:
    """Return the log lines that carry a traceback."""
    return [line for line in usher.log_text().splitlines() if "Traceback" in line or '"exception"' in line]


@contextmanager
def scene(
    directory: Path,
    size: Size,
    *,
    seed: int,
    database_url: str | None = None,
    replicas: int = 1,
    options: Sequence[str] = (),
    tempo: float = TEMPO,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Scene]:
    """Lend a scene that is not started yet, and end all its programs; without a URL, the database is a SQLite file."""
    livekit_port, *ports = free_ports(1 + replicas)
    url = database_url or f"sqlite:///{directory / 'usher.db'}"
    webhooks = [f"http://{LOOPBACK}:{port}/livekit/webhook" for port in ports]
    livekit = SimulatedLiveKit(
        port=livekit_port,
        directory=directory,
        webhooks=webhooks,
        tempo=tempo,
        options=[*options, "--fault-seed", str(seed)],
    )
    wanted = {**SETTINGS, "DATABASE_URL": url, **(settings or {})}
    ushers = [
        Usher(f"usher-{number}", port=port, directory=directory, livekit_url=livekit.url, settings=wanted)
        for number, port in enumerate(ports, start=1)
    ]
    made = Scene(size, random.Random(seed), livekit, ushers, Database(url))
    try:
        yield made
    finally:
        for program in (*ushers, livekit):
            program.kill()
