"""One of very many rules edited by SQL while webhooks come: live for the next one, and no webhook waits meanwhile.

Runs the real `usher serve`; an editor in this process updates a rule, commits, and posts a webhook that it matches.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.benchmark import process
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.acknowledgement import check
from tests.benchmark.webhooks.load import Order, Report, start
from tests.benchmark.webhooks.traffic import RULES, Kind, Signer, bodies

RATIO_TARGET = 2.0
MEMORY_TARGETS = {10_000: 150.0, 100_000: 400.0}
EDITS_PER_SECOND = 4.0
RATE = 50.0


def measure(*, quick: bool) -> list[Figure]:
    """Return the edits that were not live for the next webhook, the p99 meanwhile, and the memory of `usher serve`."""
    figures: list[Figure] = []
    for count, target in list(MEMORY_TARGETS.items())[: 1 if quick else 2]:
        with process.folder() as path, process.simulator(path) as livekit:
            process.make_database(path, _many_rules(count))
            with process.usher(path, livekit.url) as program:
                rounds = [_round(path, program, number, 4.0 if quick else 8.0) for number in range(1 if quick else 3)]
                memory = program.resident_megabytes()
        figures += [
            Figure(
                f"one of {count:,} rules edited by SQL, not live for the next webhook",
                f"of {sum(edits for _, _, edits, _ in rounds)}",
                [float(sum(late for _, _, _, late in rounds))],
                Aim.AT_MOST,
                0.0,
            ),
            Figure(
                "p99 of acknowledgements meanwhile",
                "ms",
                [edited.percentile(0.99) for _, edited, _, _ in rounds],
                Aim.AT_MOST,
                RATIO_TARGET,
                [quiet.percentile(0.99) for quiet, _, _, _ in rounds],
                f"against no edits, {RATE:g} joins/s, {EDITS_PER_SECOND:g} edits/s",
            ),
            Figure(f"resident memory of usher serve, {count:,} rules", "MB", [memory], Aim.AT_MOST, target),
        ]
    return figures


def _many_rules(count: int) -> Iterable[tuple[str, Any, str]]:
    yield from RULES
    for number in range(count - len(RULES)):
        trunk = f"+1999{number:07d}"
        yield (
            f"number-{number}",
            {"participant": {"kind": ["SIP"], "attributes": {"sip.trunkPhoneNumber": [trunk]}}},
            f"number-{number}-agent",
        )


def _round(path: Path, program: process.Program, number: int, seconds: float) -> tuple[Report, Report, int, int]:
    return asyncio.run(_quiet_and_edited(path, program, number, seconds))


async def _quiet_and_edited(
    path: Path, program: process.Program, number: int, seconds: float
) -> tuple[Report, Report, int, int]:
    def order(mark: str) -> Order:
        return Order(program.port, process.KEY, process.SECRET, f"{mark}{number}", rate=RATE, seconds=seconds)

    quiet = await (await start(order("q")))
    loading = await start(order("e"))
    edits, late = await asyncio.to_thread(_edit_until, path, program.port, number, loading)
    edited = await loading
    check(quiet)
    check(edited)
    return quiet, edited, edits, late


def _edit_until(path: Path, port: int, number: int, loading: asyncio.Task[Report]) -> tuple[int, int]:
    """Edit one rule again and again until the load is over; return how often, and how often it came too late."""
    chance = random.Random(number)
    signer = Signer(process.KEY, process.SECRET)
    edits = late = 0
    with (
        closing(sqlite3.connect(path / "usher.db", timeout=20)) as database,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection,
    ):
        while not loading.done():
            rule, _, _ = RULES[chance.randrange(len(RULES) - 4)]
            agent = f"edited-{number}-{edits}"
            with database:
                database.execute("UPDATE routing_rules SET agent_name = ? WHERE name = ?", (agent, rule))
            sid = _post_join(connection, signer, rule, f"x{number}{edits}")
            query = "SELECT agent_name FROM dispatches WHERE participant_sid = ?"
            found = database.execute(query, (sid,)).fetchall()
            edits, late = edits + 1, late + (found != [(agent,)])
            time.sleep(1 / EDITS_PER_SECOND)
    return edits, late


def _post_join(connection: http.client.HTTPConnection, signer: Signer, rule: str, mark: str) -> str:
    """Post the join of a caller that the rule matches; return the SID once the webhook is answered."""
    department, language = rule.split("-")
    content = json.loads(next(bodies(Kind.JOINS, mark, 0)))
    content["participant"]["metadata"] = json.dumps({"department": department, "language": language})
    body = json.dumps(content).encode()
    connection.request("POST", "/livekit/webhook", body, {"Authorization": signer.token(body)})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"not a fair run: an edit's webhook was answered {answer.status}")
    sid: str = content["participant"]["sid"]
    return sid
