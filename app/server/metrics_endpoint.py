"""`/metrics`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from prometheus_client import generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.agents.stored_agents import Agent, list_agents
from app.audit import Objective, Queue, calls_of_agents, queue_depth, queues_with_waits
from app.db.database_clock import machine_ahead_s
from app.errors import DatabaseUnavailableError
from app.flows.announce.pace_cache import PaceCache
from app.incidents import count_open
from app.incidents.facts.bad_rows import read_bad_rows
from app.metrics import Metrics
from app.server.access.anonymous_answers import mark_identified
from app.server.caches.objectives_cache import METRICS_WINDOWS, Objectives
from app.server.privacy.names import NamelessRegistry, Pseudonyms
from app.server.request_context import RequestContext
from app.token_bucket import TokenBucket

_SCRAPE_WAIT_S = 1.0
"""A scrape right after the start waits this long for the counts of objectives, and then goes without."""
MAX_SERIES = 100
"""Agents and queues that have series of their own, at most."""
_FRESH_PER_SECOND = 5.0
_FRESH_BURST = 20.0
"""Scrapes without a token that are rendered, at some milliseconds each; more get the last rendering."""
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsEndpoint:
    """Answers scrapes by Prometheus."""

    def __init__(self, context: RequestContext) -> None:
        self._orchestrator = context.orchestrator
        self._pseudonyms = Pseudonyms(context.key)
        self._names = context.names
        self._readers = context.readers
        self._objectives = context.objectives
        self._pace = PaceCache(context.orchestrator.context.clock)
        self._rendering = asyncio.Lock()
        self._fresh = TokenBucket(_FRESH_PER_SECOND, _FRESH_BURST)
        self._last_for_strangers = b""

    async def answer(self, request: Request) -> Response:
        """Answer the metrics in Prometheus' text format; 401 without a token, if USHER_METRICS_TOKEN is set.

        Without a token names of agents, rules and projects are replaced by digests.
        """
        context = self._orchestrator.context
        is_known = await self._names.may_see_names(request)
        if is_known:
            mark_identified(request)
        if not is_known and context.settings.metrics_token.get_secret_value():
            return PlainTextResponse("a bearer token is required: see USHER_METRICS_TOKEN\n", 401)
        if not is_known:
            if self._last_for_strangers and not self._fresh.available(context.clock.monotonic()):
                return Response(self._last_for_strangers, headers={"content-type": _CONTENT_TYPE})
            self._fresh.spend(1)
        try:
            found: Objectives | None = await self._objectives.get(METRICS_WINDOWS, wait_at_most_s=_SCRAPE_WAIT_S)
        except DatabaseUnavailableError:
            found = None  # the counters are still worth an answer
        # One at a time: gauges are cleared and set again, and a database that hangs must not take all threads.
        async with self._rendering:
            text = await asyncio.to_thread(self._render, found, is_known=is_known)
        if not is_known:
            self._last_for_strangers = text
        return Response(text, headers={"content-type": _CONTENT_TYPE})

    def _render(self, found: Objectives | None, *, is_known: bool) -> bytes:
        self._refresh()
        if found is not None:
            _set_objectives(self._orchestrator.context.metrics, found.items)
        registry = self._orchestrator.context.metrics.registry
        return generate_latest(registry if is_known else NamelessRegistry(registry, self._pseudonyms))

    def _refresh(self) -> None:
        metrics, book = self._orchestrator.context.metrics, self._orchestrator.book
        metrics.rules_version.set(book.version)
        metrics.rules.set(len(book.rules))
        metrics.bad_rules.set(len(book.bad))
        metrics.clock_ahead.set(machine_ahead_s(self._orchestrator.context.clock))
        metrics.writer_backlog.set(self._orchestrator.context.writer.backlog)
        try:
            with self._readers.connect() as connection:
                now = self._orchestrator.context.clock.now()
                depth, incidents = queue_depth(connection, now), count_open(connection, now)
                bad = Counter(one.table for one in read_bad_rows(connection))
                _set_queues(metrics, queues_with_waits(connection, now, self._pace.read))
                _set_agents(metrics, list_agents(connection), calls_of_agents(connection, now), now)
        except SQLAlchemyError:
            return
        metrics.queue_depth.set(depth.due)
        bad["lookups"] += len(book.lookups.bad)
        for table in ("agents", "lookups", "notifications", "webhook_subscriptions"):
            metrics.bad_rows.labels(table).set(bad[table])
        for kind, number in incidents.items():
            metrics.incidents.labels(kind).set(number)
        for status, count in depth.by_status.items():
            metrics.dispatches.labels(status).set(count)


def _set_queues(metrics: Metrics, queues: Iterable[Queue]) -> None:
    """Replace the series of the longest queues; projects are added up, and the longest of their waits counts."""
    metrics.queue_length.clear()
    metrics.queue_oldest.clear()
    metrics.queue_expected_wait.clear()
    longest = sorted(queues, key=lambda one: -one.length)[:MAX_SERIES]
    oldest: dict[tuple[str, str], float] = {}
    expected: dict[tuple[str, str], float] = {}
    for one in longest:
        labels = (one.agent_name, one.rule_name or "")
        metrics.queue_length.labels(*labels).inc(one.length)
        oldest[labels] = max(one.oldest_wait_s, oldest.get(labels, 0.0))
        if one.expected_wait_s is not None:
            expected[labels] = max(one.expected_wait_s, expected.get(labels, 0.0))
    for labels, seconds in oldest.items():
        metrics.queue_oldest.labels(*labels).set(seconds)
    for labels, seconds in expected.items():
        metrics.queue_expected_wait.labels(*labels).set(seconds)


def _set_agents(metrics: Metrics, agents: Iterable[Agent], calls: Counter[str], now: datetime) -> None:
    """Replace the series of the agents that have limits."""
    for gauge in (metrics.agent_calls, metrics.agent_max_calls, metrics.agent_out_of_service):
        gauge.clear()
    for agent in [one for one in agents if one.has_settings][:MAX_SERIES]:
        name = agent.agent_name
        metrics.agent_calls.labels(name).set(calls[name])
        metrics.agent_out_of_service.labels(name).set(int(agent.is_out_of_service(now)))
        if agent.max_calls is not None:
            metrics.agent_max_calls.labels(name).set(agent.max_calls)


def _set_objectives(metrics: Metrics, found: Iterable[Objective]) -> None:
    """Replace the series of the objectives; without calls there is no burn rate."""
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
