"""Two replicas that claim at the same time on PostgreSQL never start more of an agent or a rule than its limit."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import Engine, insert, text

from app.clock import SystemClock, new_id
from app.db.tables import dispatches
from app.db.types import Cause, DispatchStatus
from app.db.writer import Writer
from app.flows.context import Context
from app.flows.deliver.claim import claim
from app.flows.deliver.start_limiter import StartLimiter
from app.flows.elapsed_time import ElapsedTime
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.transition import move
from app.metrics import Metrics
from app.outbox.dispatch_factory import ended
from app.outbox.dispatch_store import read_locked
from app.outbox.move import Move
from app.settings import read_settings
from tests.conftest import Database
from tests.world.rows import dispatch

REPLICAS, CALLERS, LIMIT, RULE_LIMIT = 3, 60, 4, 3
WITHIN_S = 120.0


def context_of(name: str) -> Context:
    settings = read_settings(
        {"LIVEKIT_URL": "ws://livekit.test", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32}
    )
    return Context(settings, cast("Writer", None), {}, Metrics(), SystemClock(), name)


class Replica(threading.Thread):
    """Claims, and ends what it has claimed, until all calls are over; notes what it saw of the limits."""

    def __init__(self, engine: Engine, name: str, counted: Callable[[Any], tuple[int, int]]) -> None:
        super().__init__(name=name)
        self.started = 0
        self.most = (0, 0)
        self.error: BaseException | None = None
        self._engine = engine
        self._context = context_of(name)
        self._counted = counted
        self._elapsed = ElapsedTime(SystemClock())
        self._random = random.Random(name)

    def run(self) -> None:
        try:
            mine: list[str] = []
            while self._claim(mine) or mine:
                self._end_one(mine)
        except BaseException as error:  # noqa: BLE001 - the test reports it
            self.error = error

    def _claim(self, mine: list[str]) -> bool:
        """Claim what may start; return whether callers are left."""
        after = AfterCommit()
        with self._engine.begin() as connection:
            claimed = claim(
                connection,
                after,
                self._context,
                StartLimiter(0, SystemClock()),
                self._elapsed,
                down=(),
                slots={"default": 2},
                in_hand=mine,
            )
        mine += [one.id for one in claimed.dispatches]
        self.started += len(claimed.dispatches)
        with self._engine.connect() as connection:
            seen = self._counted(connection)
            self.most = (max(self.most[0], seen[0]), max(self.most[1], seen[1]))
            return bool(connection.scalar(text("SELECT count(*) FROM dispatches WHERE status = 'pending'")))

    def _end_one(self, mine: list[str]) -> None:
        if not mine:
            return
        over = mine.pop(self._random.randrange(len(mine)))
        now = self._context.clock.now()
        with self._engine.begin() as connection:
            current = read_locked(connection, [over])[over]
            end = Move(current, DispatchStatus.CANCELLED, Cause.CALLER_LEFT, "over", fields=ended(now))
            move(connection, AfterCommit(), [end], now)


def held(connection: Any) -> tuple[int, int]:
    """Return how many calls the agent has, and how many the rule."""
    query = text(
        "SELECT count(*), count(*) FILTER (WHERE rule_id = 2) FROM dispatches"
        " WHERE status IN ('sending', 'dispatched', 'joined')"
    )
    of_agent, of_rule = connection.execute(query).one()
    return int(of_agent), int(of_rule)


def test_limits_hold_while_replicas_claim_at_once(postgres_database: Database) -> None:
    engine = postgres_database.writer_engine()
    now = SystemClock().now()
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', :most)"), {"most": LIMIT}
        )
        for number in range(CALLERS):
            waiting = dispatch(
                number,
                id=new_id(),
                rule_id=1 + number % 2,
                max_calls=RULE_LIMIT if number % 2 else None,
                status=DispatchStatus.PENDING,
                attempts=0,
                next_attempt_at=now,
                answer_deadline=None,
                livekit_dispatch_id=None,
                dispatched_at=None,
            )
            connection.execute(insert(dispatches).values(waiting._asdict()))
    replicas = [Replica(postgres_database.writer_engine(), f"replica-{number}", held) for number in range(REPLICAS)]
    for one in replicas:
        one.start()
    for one in replicas:
        one.join(WITHIN_S)
        assert not one.is_alive()
        assert one.error is None, one.error
    assert sum(one.started for one in replicas) == CALLERS
    # On a busy machine calls may end before the last place is taken.
    assert 1 < max(one.most[0] for one in replicas) <= LIMIT
    assert 1 < max(one.most[1] for one in replicas) <= RULE_LIMIT
    assert sum(one.started > 0 for one in replicas) > 1
