"""The campaigns: each starts a scene, harms it with a fixed seed while callers come, and returns what is left of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.db.record_ids import instant_of_id
from tests.acceptance.campaign.postgres import Postgres
from tests.acceptance.campaign.programs import Headers, Usher
from tests.acceptance.campaign.result import Result
from tests.acceptance.campaign.scene import Scene, Size, scene

SEED = 20261122
HANG = 1.5
"""Seconds; longer than Usher waits for one call (`SETTINGS`), so that a hanging call is an unknown outcome."""

RETRYING = 0.25
"""A tempo at which webhooks are retried for about 4 s (LiveKit: 15 s): some outlast a kill, some the sweep mends."""

FAULTS = ("--fault-share", "0.3", "--fault-after", "0.5", "--fault-hang", str(HANG))
_CALLED_EARLY = (
    "SELECT 1 FROM dispatch_attempts WHERE dispatch_id = :id AND number > :attempts AND started_at < :lease_until"
)
"""Another call for a dispatch while the lease of the one before still held: two calls at once make two agents."""
LONGEST_WAIT_S = 20.0
"""Less than clocks differ in `clocks_seconds_apart`. Measured: 5 s by the database's clock, 32 s by the machines'."""
ID_OFF_S = 5.0
"""Seconds; more than an id may be later than its webhook, and less than clocks differ."""
SLOW = 0.6
"""Seconds that a call takes while a replica is killed, so that it dies in the midst of several; below the timeout."""
SETTLED_S = 0.2
"""What a stopped replica sent to PostgreSQL before is committed by then, also on a busy machine; less than `SLOW`."""


def killed(directory: Path, size: Size) -> Result:
    """Kill Usher every 1 to 3 s, often while LiveKit is at a call of its; then leave it alone, to sweep."""
    with scene(directory, size, seed=SEED, tempo=RETRYING) as made:
        made.start()
        # Every call takes time, and takes effect also when its caller has died meanwhile.
        made.livekit.post("faults", method="CreateDispatch", kind="slow", seconds=0.15, times=None)
        made.let_in(rate=size.rate / 2)
        kills = made.kill_and_restart()
        return made.conclude("kill -9", f"{kills} kills")


def failing_livekit(directory: Path, size: Size) -> Result:
    """Let 30 % of all calls to LiveKit fail, half of those after taking effect."""
    with scene(directory, size, seed=SEED, options=FAULTS) as made:
        made.start()
        made.let_in()
        made.await_joins()
        return made.conclude("30 % of LiveKit's answers fail", made.calls_failed())


def killed_while_livekit_fails(directory: Path, size: Size) -> Result:
    """Let calls fail and kill Usher meanwhile."""
    with scene(directory, size, seed=SEED + 1, options=FAULTS, tempo=RETRYING) as made:
        made.start()
        made.let_in(rate=size.rate / 2)
        kills = made.kill_and_restart()
        return made.conclude("kill -9 while 30 % fail", f"{kills} kills; {made.calls_failed()}")


def tangled_webhooks(directory: Path, size: Size) -> Result:
    """Double and reorder webhooks, of callers who stay and of callers who leave soon."""
    # Real rooms outlive their last caller by 20 s; here they must outlive Usher's first call, which looks at nothing.
    with scene(directory, size, seed=SEED, tempo=0.25) as made:
        made.start()
        made.livekit.post("webhook-faults", mishap="duplicate", share=0.4, seconds=0.2)
        made.livekit.post("webhook-faults", mishap="reorder", share=0.4)
        made.let_in()
        made.await_joins()
        made.let_in(made.size.callers // 3, room="short-{r}", stay=0.3)
        made.await_joins()
        made.let_in(made.size.callers // 3, room="brief-{r}", stay=0.02)
        made.await_joins()
        sent_webhooks = made.livekit.ask("state")["webhooks"]
        return made.conclude("webhooks doubled and reordered", f"{sum(sent_webhooks.values()):,} webhooks sent")


def locked_database(directory: Path, size: Size) -> Result:
    """Hold SQLite's write lock for some seconds, again and again while callers come."""
    with scene(directory, size, seed=SEED) as made:
        made.start()
        made.let_in()
        refused: list[Headers] = []
        held = 0.0
        while made.joining or not refused:
            time.sleep(made.chance.uniform(0.5, 2))
            began = time.monotonic()
            with made.database.locked():
                refused.append(made.ushers[0].post_until_refused(within=30))
                time.sleep(made.chance.uniform(0.5, 1.5))
            held += time.monotonic() - began
        harm = f"{len(refused)} times, for {held:.1f} s in all; 503"
        return made.conclude("SQLite locked by another program", harm, _ask_to_retry(refused))


def restarted_database(directory: Path, size: Size, server: Postgres) -> Result:
    """Restart PostgreSQL while callers come; the long campaign does so again and again."""
    with scene(directory, size, seed=SEED, database_url=server.create_database()) as made:
        made.start()
        made.let_in()
        time.sleep(size.joining / 4)
        refused: list[Headers] = []
        while made.joining or not refused:
            server.stop()
            refused.append(made.ushers[0].post_until_refused(within=30))
            time.sleep(made.chance.uniform(0.5, 2))
            server.start()
            time.sleep(made.chance.uniform(4, 8))
        return made.conclude("PostgreSQL restarted", f"{len(refused)} restarts; 503", _ask_to_retry(refused))


def two_replicas(directory: Path, size: Size, server: Postgres) -> Result:
    """Send every webhook to two replicas, and kill one for good in the middle of its calls."""
    with scene(directory, size, seed=SEED, database_url=server.create_database(), replicas=2) as made:
        made.start()
        made.livekit.post("faults", method="CreateDispatch", kind="slow", seconds=SLOW, times=None)
        made.let_in()
        time.sleep(size.joining / 2)
        dead = _stopped_with_calls(made)
        dead.kill()
        held = _calls_of(made, dead)
        made.await_joins()
        result = made.conclude(
            "two replicas, one killed", f"{len(held)} calls under way", _at_least(len(held), 1, "calls")
        )
        early = [row["id"] for row in held if made.database.rows(_CALLED_EARLY, **row)]
    # How soon the other takes over is measured in virtual time (integration/deliver): here the machine is too busy.
    return replace(result, unmet=(*result.unmet, f"called again within the lease: {early}")) if early else result


def clocks_seconds_apart(directory: Path, size: Size, server: Postgres) -> Result:
    """Let the clocks of two replicas be 30 s ahead and behind; restart one with the other difference."""
    return _different_clocks(directory, size, server, ("+30s", "-30s"))


def clocks_minutes_apart(directory: Path, size: Size, server: Postgres) -> Result:
    """The same with ten minutes, at which a replica takes no webhook for valid: the sweep finds the callers."""
    return _different_clocks(directory, size, server, ("+10m", "-10m"))


def _different_clocks(directory: Path, size: Size, server: Postgres, clocks: tuple[str, str]) -> Result:
    ahead, behind = clocks
    url = server.create_database()
    with scene(directory, size, seed=SEED, database_url=url, replicas=3, options=("--fault-share", "0.05")) as made:
        _, restarted, set_while_it_runs = made.ushers
        restarted.set_clock(ahead)
        set_while_it_runs.set_clock("+0s")
        made.start(rules=False)
        # Agents take most of the time that the rule gives them: a replica ahead would take them for late.
        made.database.add_rule("all", "greeter", {"event": ["participant_joined"]}, answer_timeout_s=4)
        made.add_workers("greeter", join_after=2.0)
        made.let_in()
        time.sleep(size.joining / 3)
        set_while_it_runs.set_clock(behind)
        time.sleep(size.joining / 3)
        restarted.kill()
        restarted.set_clock(behind)
        restarted.start()
        set_while_it_runs.set_clock(ahead)
        restarted.await_ready()
        made.await_joins()
        shown = [replica.clock_ahead() for replica in made.ushers]
        result = made.conclude(f"clocks of replicas {ahead} and {behind} off", "three replicas, one killed")
        off = [row["id"] for row in made.database.rows("SELECT id, received_at FROM events") if _is_id_off(row)]
    unmet = [*result.unmet]
    if not (abs(shown[0]) < 5 and shown[1] < -20 and shown[2] > 20):
        unmet.append(f"/readyz shows {shown}")
    if off:
        unmet.append(f"{len(off)} ids of events tell another time than that of their arrival: {off[:3]}")
    if result.verdict["longest_wait"] > LONGEST_WAIT_S:
        unmet.append(f"a caller waited for {result.verdict['longest_wait']:.0f} s")
    return replace(result, unmet=tuple(unmet))


def _is_id_off(row: dict[str, Any]) -> bool:
    """Return whether lists would show an event at another time than it was received: they go by the time in its id."""
    made_at = instant_of_id(row["id"])
    return made_at is None or abs((made_at - row["received_at"]).total_seconds()) > ID_OFF_S


def _stopped_with_calls(made: Scene) -> Usher:
    """Return a replica, stopped while it has calls under way; further callers come while none has.

    If none has for as long as a campaign may take, the first replica is returned as it runs.
    """
    deadline = time.monotonic() + made.size.give_up_after
    later = 0
    while time.monotonic() < deadline:
        for replica in made.ushers:
            if not _calls_of(made, replica):
                continue
            os.kill(replica.pid, signal.SIGSTOP)
            time.sleep(SETTLED_S)
            if _calls_of(made, replica):
                return replica
            os.kill(replica.pid, signal.SIGCONT)
        if not made.joining:
            later += 1
            made.let_in(10, room=f"later-{later}-{{r}}")
        time.sleep(0.02)
    return made.ushers[0]


def _calls_of(made: Scene, replica: Usher) -> list[dict[str, Any]]:
    return made.database.rows(
        "SELECT id, attempts, lease_until FROM dispatches WHERE status = 'sending' AND lease_owner LIKE :owner",
        owner=f"%:{replica.pid}:%",
    )


def troubled_workers(directory: Path, size: Size) -> Result:
    """Let callers ask for agents that are dead, die, refuse or come late."""
    count = max(5, size.callers // 10)
    with scene(directory, size, seed=SEED) as made:
        made.start(rules=False)
        database = made.database
        retrying = {"answer_timeout_s": 2, "max_attempts": 20}
        database.add_rule("dead", "dead", _wants("dead"), answer_timeout_s=1, max_attempts=2, fallbacks=["substitute"])
        database.add_rule("dying", "dying", _wants("dying"), recover="lost", **retrying)
        database.add_rule("refusing", "refusing", _wants("refusing"), **retrying)
        database.add_rule("late", "late", _wants("late"), **retrying)
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


def _ask_to_retry(refused: Sequence[Headers]) -> list[str]:
    mute = [dict(headers) for headers in refused if not headers.get("retry-after", "").isdigit()]
    return [f"503 without Retry-After: {mute[0]}"] if mute else []


ON_SQLITE: tuple[Callable[[Path, Size], Result], ...] = (
    killed,
    failing_livekit,
    killed_while_livekit_fails,
    tangled_webhooks,
    locked_database,
    troubled_workers,
)
ON_POSTGRES: tuple[Callable[[Path, Size, Postgres], Result], ...] = (
    restarted_database,
    two_replicas,
    clocks_seconds_apart,
    clocks_minutes_apart,
)
