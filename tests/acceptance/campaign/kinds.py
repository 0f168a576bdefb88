"""The campaigns: each starts a scene, harms it with a fixed seed while callers come, and returns what is left of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.campaign.postgres import Postgres
from tests.acceptance.campaign.programs import Headers
from tests.acceptance.campaign.result import Result
from tests.acceptance.campaign.scene import Size, scene

SEED = 20261122
HANG = 1.5
"""Seconds; longer than Usher waits for one call (`SETTINGS`), so that a hanging call is an unknown outcome."""

RETRYING = 0.25
"""A tempo at which webhooks are retried for about 4 s (LiveKit: 15 s): some outlast a kill, some the sweep mends."""

FAULTS = ("--fault-share", "0.3", "--fault-after", "0.5", "--fault-hang", str(HANG))
LEASE = 6.0
"""Seconds that a dead replica's dispatch stays its own: three calls of one second, six at least."""
BUSY = 15.0
"""Seconds beyond the lease for the look at LiveKit, the loop's tick and a busy machine (8 s seen, load 7 a core)."""


def killed(directory: Path, size: Size) -> Result:
    """Kill Usher every 1 to 3 s, often while LiveKit is at a call of its; then leave it alone, to sweep."""
    with scene(directory, size, seed=SEED, tempo=RETRYING) as made:
        made.start()
        # Every call takes time, and takes effect also when its caller has died meanwhile.
        made.livekit.tell("faults", method="CreateDispatch", kind="slow", seconds=0.15, times=None)
        made.let_in(rate=size.rate / 2)
        kills = made.kill_and_restart()
        return made.conclude("kill -9", f"{kills} kills")


def failing_livekit(directory: Path, size: Size) -> Result:
    """Let 30 % of all calls to LiveKit fail, half of those after taking effect."""
    with scene(directory, size, seed=SEED, options=FAULTS) as made:
        made.start()
        made.let_in()
        made.await_joins()
        harm = made.let_livekit_recover()
        return made.conclude("30 % of LiveKit's answers fail", harm)


def killed_while_livekit_fails(directory: Path, size: Size) -> Result:
    """Let calls fail and kill Usher meanwhile."""
    with scene(directory, size, seed=SEED + 1, options=FAULTS, tempo=RETRYING) as made:
        made.start()
        made.let_in(rate=size.rate / 2)
        kills = made.kill_and_restart()
        harm = made.let_livekit_recover()
        return made.conclude("kill -9 while 30 % fail", f"{kills} kills; {harm}")


def tangled_webhooks(directory: Path, size: Size) -> Result:
    """Double and reorder webhooks, of callers who stay and of callers who leave soon."""
    # Real rooms outlive their last caller by 20 s; here they must outlive Usher's first call, which looks at nothing.
    with scene(directory, size, seed=SEED, tempo=0.25) as made:
        made.start()
        made.livekit.tell("webhook-faults", mishap="duplicate", share=0.4, seconds=0.2)
        made.livekit.tell("webhook-faults", mishap="reorder", share=0.4)
        made.let_in()
        made.await_joins()
        made.let_in(made.size.callers // 3, room="short-{r}", stay=0.3)
        made.await_joins()
        made.let_in(made.size.callers // 3, room="brief-{r}", stay=0.02)
        made.await_joins()
        told = made.livekit.ask("state")["webhooks"]
        return made.conclude("webhooks doubled and reordered", f"{sum(told.values()):,} webhooks told")


def locked_database(directory: Path, size: Size) -> Result:
    """Hold SQLite's write lock for some seconds while callers come."""
    with scene(directory, size, seed=SEED) as made:
        made.start()
        made.let_in()
        time.sleep(size.joining / 4)
        began = time.monotonic()
        with made.database.locked():
            headers = made.ushers[0].knock_until_refused(within=30)
            time.sleep(1)
        held = time.monotonic() - began
        made.await_joins()
        return made.conclude("SQLite locked by somebody else", f"locked for {held:.1f} s; 503", _asks_to_retry(headers))


def restarted_database(directory: Path, size: Size, server: Postgres) -> Result:
    """Restart PostgreSQL while callers come; the long campaign does so again and again."""
    with scene(directory, size, seed=SEED, database_url=server.create_database()) as made:
        made.start()
        made.let_in()
        time.sleep(size.joining / 4)
        refused: list[Headers] = []
        restarts = 0
        while made.joining or not restarts:
            server.stop()
            refused.append(made.ushers[0].knock_until_refused(within=30))
            time.sleep(made.chance.uniform(0.5, 2))
            server.start()
            restarts += 1
            time.sleep(made.chance.uniform(4, 8))
        unmet = [problem for headers in refused for problem in _asks_to_retry(headers)]
        return made.conclude("PostgreSQL restarted", f"{restarts} restarts; 503", sorted(set(unmet)))


def two_replicas(directory: Path, size: Size, server: Postgres) -> Result:
    """Tell two replicas of every webhook, and kill one for good in the middle of its calls."""
    with scene(directory, size, seed=SEED, database_url=server.create_database(), replicas=2) as made:
        made.start()
        made.let_in()
        time.sleep(size.joining / 2)
        # Calls take long now, so that the replica dies in the midst of several.
        made.livekit.tell("faults", method="CreateDispatch", kind="slow", seconds=0.6, times=None)
        time.sleep(0.5)
        made.ushers[0].kill()
        held = made.database.rows("SELECT status FROM dispatches WHERE status = 'sending'")
        made.livekit.forget("faults")
        made.await_joins()
        result = made.conclude(
            "two replicas, one killed", f"{len(held)} calls under way", _at_least(len(held), 1, "calls")
        )
    waited = result.verdict["longest_wait"]
    if waited > LEASE + BUSY:
        return Result(
            result.campaign,
            result.expected,
            result.verdict,
            result.harm,
            result.seconds,
            (*result.unmet, f"somebody waited {waited:.1f} s, the lease is {LEASE:.0f} s"),
            result.traces,
        )
    return result


def troubled_workers(directory: Path, size: Size) -> Result:
    """Let callers ask for agents that are dead, die, refuse or come late."""
    count = max(5, size.callers // 10)
    with scene(directory, size, seed=SEED) as made:
        made.start(rules=False)
        database = made.database
        patient = {"answer_timeout_s": 2, "max_attempts": 20}
        database.add_rule(
            "dead", "dead", _wants("dead"), answer_timeout_s=1, max_attempts=2, fallback_agent_name="substitute"
        )
        database.add_rule("dying", "dying", _wants("dying"), recover=True, **patient)
        database.add_rule("refusing", "refusing", _wants("refusing"), **patient)
        database.add_rule("late", "late", _wants("late"), **patient)
        made.add_workers("substitute")
        (killed_worker,) = made.add_workers("dead")
        made.livekit.forget(f"workers/{killed_worker}")
        made.add_workers("dying", 2, dies_after=0.5)
        made.add_workers("refusing", refusal="terminate", refuse_first=count // 2)
        made.add_workers("refusing", refusal="decline")
        made.add_workers("late", registers_after=3.0)
        for agent in ("dead", "dying", "refusing", "late"):
            made.let_in(count, room=f"{agent}-{{r}}", identity=f"{agent}-{{n}}", metadata=f'{{"wants": "{agent}"}}')
            made.await_joins()
        time.sleep(1.5)
        made.add_workers("dying")  # a healthy one takes over
        return made.conclude("workers dead, dying, refusing, late", f"{count} callers each")


def _wants(agent: str) -> object:
    return {"participant": {"metadata": {"wants": [agent]}}}


def _at_least(count: int, wanted: int, what: str) -> list[str]:
    return [] if count >= wanted else [f"only {count} {what}: the campaign proved nothing"]


def _asks_to_retry(headers: Headers) -> list[str]:
    return [] if headers.get("retry-after", "").isdigit() else [f"503 without Retry-After: {dict(headers)}"]


ON_SQLITE: tuple[Callable[[Path, Size], Result], ...] = (
    killed,
    failing_livekit,
    killed_while_livekit_fails,
    tangled_webhooks,
    locked_database,
    troubled_workers,
)
ON_POSTGRES: tuple[Callable[[Path, Size, Postgres], Result], ...] = (restarted_database, two_replicas)
