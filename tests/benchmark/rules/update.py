"""One rule of very many edited: how long the new book takes, and what it costs those who evaluate meanwhile."""

from __future__ import annotations

import gc
import threading
import time
from statistics import quantiles

from app.rules import RuleBook, evaluate
from tests.benchmark.figure import Aim, Figure, console_of_tables, show
from tests.workload.rules_shapes import SHAPES, Shape, hit, rows

MANY = 100_000
MILLISECONDS = 5.0
RATIO = 2.0
EDITS_PER_SECOND = 20


def measure(*, quick: bool) -> list[Figure]:
    """Return the figures of the typical rule sets."""
    count = MANY // 10 if quick else MANY
    figures = []
    for shape in SHAPES:
        if shape.is_typical:
            figures += _figures(shape, count, seconds=1.0 if quick else 4.0)
    return figures


def _figures(shape: Shape, count: int, seconds: float) -> list[Figure]:
    book = RuleBook.build(rows(shape, count), 1)
    gc.collect()
    note = f"one of {count:,} rules {shape.name}"
    edits = [_edit_milliseconds(book, shape, count, number) for number in range(200)]
    idle, edited = [], []
    for _ in range(3):
        idle.append(_slowest_percent(book, seconds))
        with _Editor(book, shape, count):
            edited.append(_slowest_percent(book, seconds))
    return [
        Figure("new book after an edit", "ms", [quantiles(edits, n=100)[98]], Aim.AT_MOST, MILLISECONDS, note=note),
        Figure("p99 of evaluations during edits", "µs", edited, Aim.AT_MOST, RATIO, idle, note),
    ]


def _edit_milliseconds(book: RuleBook, shape: Shape, count: int, number: int) -> float:
    row = rows(shape, 1)[0] | {"id": number * 7919 % count + 1, "priority": 50 + number, "name": "edited"}
    started = time.thread_time()  # what other programs on the machine take is no part of it
    book.updated([row], [], 2)
    return (time.thread_time() - started) * 1e3


def _slowest_percent(book: RuleBook, seconds: float) -> float:
    """Return the microseconds that one evaluation in a hundred takes longer than."""
    event = hit()
    times = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        evaluate(book, event)
        times.append((time.perf_counter() - started) * 1e6)
    return quantiles(times, n=100)[98]


class _Editor:
    """Makes new books in another thread of the process, which shares its interpreter lock."""

    def __init__(self, book: RuleBook, shape: Shape, count: int) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._edit, args=(book, shape, count))

    def _edit(self, book: RuleBook, shape: Shape, count: int) -> None:
        number = 0
        while not self._stop.wait(1 / EDITS_PER_SECOND):
            _edit_milliseconds(book, shape, count, number := number + 1)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


if __name__ == "__main__":
    show(measure(quick=False), console_of_tables())
