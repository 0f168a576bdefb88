"""One evaluation with very many rules against one with ten, for rule sets of many shapes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable

from app.rules import RuleBook, evaluate
from app.webhook.event import Event
from tests.benchmark.figure import Aim, Figure, console_of_tables, show
from tests.workload.rules_shapes import SHAPES, Shape, hit, miss, rows

FEW = 10
MANY = 100_000
RATIO = 1.5
MICROSECONDS = 15.0


def measure(*, quick: bool) -> list[Figure]:
    """Return the figures of the typical rule sets: their ratio, and the time itself."""
    figures = []
    for shape in SHAPES:
        if shape.is_typical:
            few, many = _times(shape, MANY // 10 if quick else MANY)
            figures += [
                Figure(f"evaluate, rules {shape.name}", "µs", many, Aim.AT_MOST, RATIO, few, f"{MANY:,} against {FEW}"),
                Figure(f"evaluate, rules {shape.name}", "µs", many, Aim.AT_MOST, MICROSECONDS),
            ]
    return figures


def compare(shapes: Iterable[Shape], count: int) -> list[Figure]:
    """Return the ratio of every shape, typical or not."""
    return [
        Figure(f"evaluate, rules {shape.name}", "µs", many, Aim.AT_MOST, RATIO, few)
        for shape in shapes
        for few, many in [_times(shape, count)]
    ]


def _times(shape: Shape, count: int) -> tuple[list[float], list[float]]:
    """Return microseconds per event in rounds that go in turns; half of the events match no rule."""
    few, many = RuleBook.build(rows(shape, FEW), 1), RuleBook.build(rows(shape, count), 1)
    events = (hit(), miss())
    gc.collect()
    pairs = [(_time(few, events), _time(many, events)) for _ in range(7)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _time(book: RuleBook, events: Iterable[Event]) -> float:
    each = [_best(lambda event=event: evaluate(book, event)) for event in events]  # type: ignore[misc]
    return sum(each) / len(each)


def _best(work: Callable[[], object]) -> float:
    """Return the microseconds of one call, the best of three runs, of this thread alone: others disturb little."""
    started = time.thread_time()
    work()
    once = time.thread_time() - started
    calls = max(3, min(1000, int(0.02 / max(once, 1e-6))))
    best = float("inf")
    for _ in range(3):
        started = time.thread_time()
        for _ in range(calls):
            work()
        best = min(best, (time.thread_time() - started) / calls)
    return best * 1e6


if __name__ == "__main__":
    show(compare(SHAPES, MANY), console_of_tables())
