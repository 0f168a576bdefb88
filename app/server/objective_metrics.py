"""How objectives are kept, as Prometheus asks for it: over several windows, so that alerts can compare them."""

from __future__ import annotations

from collections.abc import Iterable

from app.audit import Objective
from app.metrics import Metrics
from app.server.caches.objectives_cache import METRICS_WINDOWS


def set_gauges(metrics: Metrics, found: Iterable[Objective]) -> None:
    """Let the gauges tell of these objectives, and of no other. Without calls there is no burn rate."""
    gauges = (
        metrics.objective_percent,
        metrics.objective_seconds,
        metrics.objective_calls,
        metrics.objective_missed,
        metrics.objective_burn_rate,
    )
    for gauge in gauges:
        gauge.clear()
    for objective in found:
        metrics.objective_percent.labels(objective.rule).set(objective.percent)
        metrics.objective_seconds.labels(objective.rule).set(objective.seconds)
        for one in objective.windows:
            labels = (objective.rule, METRICS_WINDOWS[one.hours])
            metrics.objective_calls.labels(*labels).set(one.calls)
            metrics.objective_missed.labels(*labels).set(one.missed)
            if one.burn_rate is not None:
                metrics.objective_burn_rate.labels(*labels).set(one.burn_rate)
