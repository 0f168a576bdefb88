"""One room with thousands of callers, each with an agent of its own: what callers of other rooms feel of it.

Runs the real `usher serve` against the simulated LiveKit of the campaigns, all on this machine.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.acceptance.campaign.programs import KEY, SECRET
from tests.acceptance.campaign.scene import LONG, Scene, scene
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.acknowledgement import check
from tests.benchmark.webhooks.load import Order, send
from tests.harness.polling import eventually

CALLERS = 5_000
COMING_PER_SECOND = 250.0
RATE = 40.0
"""Joins per second in other rooms."""
RATIO_TARGET = 2.0
ROOM = "town-hall"


@dataclass(frozen=True, slots=True)
class Others:
    """What callers of other rooms felt in one round, in milliseconds at the 99th percentile."""

    acknowledged: float
    called: float
    """From the webhook to CreateDispatch."""


def measure(*, quick: bool) -> list[Figure]:
    """Return both percentiles while callers come into one room, and while all are in it.

    Against two baselines: as many callers in rooms of their own, which is what the one room costs; and nobody but the
    others, which is what the load costs.
    """
    callers = 1_000 if quick else CALLERS
    rounds, seconds = (2, 5.0) if quick else (3, 10.0)
    with _scene(callers) as made:
        alone = [_others(made, f"a{number}", seconds) for number in range(rounds)]
        apart = _while_they_come(made, callers, "apart-{r}", rounds, seconds)
    with _scene(callers) as made:
        together = _while_they_come(made, callers, ROOM, rounds, seconds)
    who = f"{callers:,} callers"
    note = f"{RATE:g} joins/s in other rooms; {who}, {COMING_PER_SECOND:g} a second, scope participant"
    return [
        *_figures(f"while {who} come into one room, against rooms of their own", apart[0], together[0], note),
        *_figures(f"while {who} are in one room, against rooms of their own", apart[1], together[1], note),
        *_figures(f"while {who} come into one room, against nobody else", alone, together[0], note),
        *_figures(f"while {who} are in one room, against nobody else", alone, together[1], note),
    ]


def _while_they_come(
    made: Scene, callers: int, room: str, rounds: int, seconds: float
) -> tuple[list[Others], list[Others]]:
    """Return what the others felt while callers came to `room`, and once each of them had an agent."""
    made.let_in(callers, rate=COMING_PER_SECOND, room=room)
    coming = [_others(made, f"c{number}", seconds) for number in range(rounds)]
    made.await_joins()
    eventually(lambda: _served(made) >= callers, within=600, what="each caller has an agent")
    return coming, [_others(made, f"t{number}", seconds) for number in range(rounds)]


@contextmanager
def _scene(callers: int) -> Iterator[Scene]:
    directory = Path(tempfile.mkdtemp(prefix="usher-big-room-"))
    try:
        # A list of 10,000 takes more than the second of the campaigns where the simulator gets little of the processor.
        settings = {"USHER_SWEEP_INTERVAL": "5", "USHER_REQUEST_TIMEOUT": "5"}
        with scene(directory, replace(LONG, callers=callers), seed=1, settings=settings) as made:
            made.start(rules=False)
            crowd = {"room": {"name": [ROOM, {"prefix": "apart-"}]}}
            made.database.add_rule("crowd", "steward", crowd, scope="participant")
            made.database.add_rule("others", "greeter", {"room": {"name": [{"prefix": "call-"}]}})
            made.add_workers("steward")
            made.add_workers("greeter")
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _served(made: Scene) -> int:
    query = "SELECT count(*) AS number FROM dispatches WHERE agent_name = 'steward' AND status = 'joined'"
    [row] = made.database.rows(query)
    return int(row["number"])


def _others(made: Scene, mark: str, seconds: float) -> Others:
    port, simulator_port = made.ushers[0].port, made.livekit.port
    order = Order(port, KEY, SECRET, mark, rate=RATE, seconds=seconds, connections=64, simulator_port=simulator_port)
    report = send(order)
    check(report)
    deadline = time.monotonic() + 60
    while not report.sent_at.keys() <= (called := _called(made, mark)).keys():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(report.sent_at.keys() - called.keys())} joins have no dispatch after 60 s")
        time.sleep(0.5)
    times = sorted((called[room] - sent) * 1000 for room, sent in report.sent_at.items() if sent >= report.began)
    return Others(report.percentile(0.99), times[min(len(times) - 1, int(len(times) * 0.99))])


def _called(made: Scene, mark: str) -> dict[str, float]:
    dispatches = made.livekit.ask("ledger")["dispatches"]
    return {each["room"]: each["asked"] for each in dispatches if each["room"].startswith(f"call-{mark}-")}


def _figures(when: str, before: Sequence[Others], during: Sequence[Others], note: str) -> list[Figure]:
    acknowledged, called = [one.acknowledged for one in during], [one.called for one in during]
    return [
        Figure(
            f"p99 of acknowledgements of other rooms {when}",
            "ms",
            acknowledged,
            Aim.AT_MOST,
            RATIO_TARGET,
            [one.acknowledged for one in before],
            note,
        ),
        Figure(
            f"p99 of webhook to CreateDispatch of other rooms {when}",
            "ms",
            called,
            Aim.AT_MOST,
            RATIO_TARGET,
            [one.called for one in before],
        ),
    ]
