"""Any page of the console and of the API over millions of calls, on PostgreSQL: as questions, and as visits."""

from __future__ import annotations

import time
from contextlib import nullcontext

from sqlalchemy import Connection

from app.db.engine import create_reader_engine
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.pages.page_visits import percentile, visit_pages
from tests.workload.audit_questions import questions
from tests.workload.stored_calls import StoredCalls, found_calls, stored_calls

CALLS = 1_000_000
"""Of the whole run; ten million, as the design says, take a quarter of an hour to fill in."""
QUICK_CALLS = 200_000
TARGET_MS = 50.0


def measure(*, quick: bool = False, calls: int | None = None, database: str | None = None) -> list[Figure]:
    """Return the p95 of the lists as the database answers them, and of all pages as a browser or client gets them."""
    wanted = calls or (QUICK_CALLS if quick else CALLS)
    with nullcontext(found_calls(database)) if database else stored_calls(wanted) as stored:
        return [_lists(stored, 2 if quick else 4), *visit_pages(stored, 2 if quick else 3, 10 if quick else 20)]


def _lists(stored: StoredCalls, times: int) -> Figure:
    readers = create_reader_engine(stored.url)
    with readers.connect() as connection:
        rounds = [_ask_everything(connection, stored) for _ in range(times)]
    readers.dispose()
    rounds = rounds[1:]  # the first one fills the caches
    spent = sorted((milliseconds, name) for taken in rounds for name, milliseconds in taken)
    slowest = ", ".join(f"{name} {milliseconds:.0f} ms" for milliseconds, name in spent[-3:])
    return Figure(
        name=f"any filtered audit page over {stored.calls:,} calls, p95",
        unit="ms",
        ours=[percentile([milliseconds for _, milliseconds in taken], 0.95) for taken in rounds],
        aim=Aim.AT_MOST,
        target=TARGET_MS,
        note=f"{len(rounds[0])} pages a round; slowest: {slowest}",
    )


def _ask_everything(connection: Connection, stored: StoredCalls) -> list[tuple[str, float]]:
    taken = []
    for name, question in questions(stored).items():
        cursor: str | None = None
        for page in range(4):
            began = time.perf_counter()
            answer = question(connection, cursor)
            taken.append((f"{name} page {page + 1}", (time.perf_counter() - began) * 1000))
            cursor = getattr(answer, "next_cursor", None)
            if cursor is None:
                break
    return taken
