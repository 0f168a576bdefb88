"""Thousands of rooms swept after an outage: how soon callers are accepted, and what acknowledgements feel of it.

Runs the real `usher serve` against the simulated LiveKit of the campaigns, all on this machine.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.acceptance.campaign.programs import KEY, SECRET
from tests.acceptance.campaign.scene import LONG, Scene, scene
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.acknowledgement import check
from tests.benchmark.webhooks.load import Order, Report, send
from tests.harness.polling import eventually

ROOMS = 5_000
MISSED = 200
RATE = 50.0
ALL_TARGET_S = 40.0
MISSED_TARGET_S = 5.0
RATIO_TARGET = 2.0


def measure(*, quick: bool) -> list[Figure]:
    """Return the seconds until all callers of an outage are accepted, many and few, and the ratio of p99 meanwhile."""
    rooms = 1_000 if quick else ROOMS
    directory = Path(tempfile.mkdtemp(prefix="usher-sweep-"))
    with scene(
        directory, replace(LONG, callers=rooms, rate=1_000.0), seed=1, settings={"USHER_SWEEP_INTERVAL": "10"}
    ) as made:
        made.start(rules=False)
        made.database.add_rule("all", "greeter", {"room": {"name": [{"prefix": "swept-"}]}})
        made.add_workers("greeter")
        first, last = _callers_of_an_outage(made, rooms)
        _, last_missed = _callers_of_an_outage(made, MISSED)
        seconds, rounds = (4.0, 1) if quick else (10.0, 3)
        swept = [_acknowledged(made, f"s{number}", seconds) for number in range(rounds)]
        _restart(made, USHER_SWEEP_INTERVAL="0")
        quiet = [_acknowledged(made, f"q{number}", seconds) for number in range(rounds)]
    return [
        Figure(
            f"{rooms:,} callers of an outage accepted",
            "s",
            [last],
            Aim.AT_MOST,
            ALL_TARGET_S,
            note=f"the last, from the start of usher serve; the first after {first:.2f} s",
        ),
        Figure(
            f"{MISSED} callers of an outage among {rooms:,} served ones accepted",
            "s",
            [last_missed],
            Aim.AT_MOST,
            MISSED_TARGET_S,
        ),
        Figure(
            "p99 of acknowledgements while rooms are swept",
            "ms",
            [report.percentile(0.99) for report in swept],
            Aim.AT_MOST,
            RATIO_TARGET,
            [report.percentile(0.99) for report in quiet],
            f"against no sweep, {RATE:g} joins/s, {rooms:,} rooms",
        ),
    ]


def _callers_of_an_outage(made: Scene, count: int) -> tuple[float, float]:
    """Let callers come while Usher is down; return the seconds from its start to the first and to the last accepted."""
    usher = made.ushers[0]
    usher.kill()
    made.let_in(count, room="swept-{r}", first=made.expected)
    made.await_joins()
    time.sleep(8)  # LiveKit gives up its webhooks
    before = _accepted(made)
    usher.start()
    began = time.monotonic()
    usher.await_ready()
    eventually(lambda: _accepted(made) > before, within=60, what="the first is accepted")
    first = time.monotonic() - began
    eventually(lambda: _accepted(made) >= before + count, within=300, what="the last is accepted")
    last = time.monotonic() - began
    eventually(lambda: not made.verdict()["lost"], within=300, what="every caller has an agent")
    return first, last


def _accepted(made: Scene) -> int:
    [row] = made.database.rows("SELECT count(*) AS number FROM events WHERE participant_kind = 'STANDARD'")
    return int(row["number"])


def _restart(made: Scene, **settings: str) -> None:
    usher = made.ushers[0]
    usher.stop()
    usher.variables |= settings
    usher.start()
    usher.await_ready()


def _acknowledged(made: Scene, mark: str, seconds: float) -> Report:
    report = send(Order(made.ushers[0].port, KEY, SECRET, mark, rate=RATE, seconds=seconds))
    check(report)
    return report
