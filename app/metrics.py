"""Usher's metrics for Prometheus; one registry per process, passed to the code that counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120)


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.webhooks = Counter(
            "usher_webhooks", "Webhooks answered, by status", ["project", "status"], registry=self.registry
        )
        self.refused = Counter("usher_webhooks_refused", "Webhooks refused", ["reason"], registry=self.registry)
        self.connections_closed = Counter(
            "usher_connections_closed",
            "Connections closed because their peer passed a limit or sent no valid HTTP",
            ["reason"],
            registry=self.registry,
        )
        self.events = Counter(
            "usher_events", "Events accepted", ["project", "type", "source", "outcome"], registry=self.registry
        )
        self.lookups = Counter(
            "usher_lookups", "Answers of lookups, by status", ["lookup", "status"], registry=self.registry
        )
        self.lookup_seconds = Histogram(
            "usher_lookup_seconds",
            "From the question of a lookup to its answer, or to the end of its time",
            ["lookup"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.transitions = Counter(
            "usher_dispatch_transitions",
            "Dispatches that reached a state",
            ["project", "agent", "status"],
            registry=self.registry,
        )
        self.dispatches = Gauge(
            "usher_dispatches", "Live dispatches in the database", ["status"], registry=self.registry
        )
        self.calls = Counter(
            "usher_livekit_calls", "Calls to LiveKit", ["project", "method", "outcome"], registry=self.registry
        )
        self.seconds_to_call = Histogram(
            "usher_seconds_to_create_dispatch",
            "From the webhook's receipt to the CreateDispatch call",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.seconds_to_agent = Histogram(
            "usher_seconds_to_agent",
            "From the participant's join to the agent's",
            ["agent"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.no_shows = Counter(
            "usher_no_shows", "Dispatches given up without an agent", ["agent"], registry=self.registry
        )
        self.left_early = Counter(
            "usher_left_early", "Agents that left before the rule's min_stay_s", ["agent"], registry=self.registry
        )
        self.fallbacks = Counter(
            "usher_fallbacks", "Fallback agents asked for", ["agent", "fallback"], registry=self.registry
        )
        self.recoveries = Counter("usher_recoveries", "Vanished agents replaced", ["agent"], registry=self.registry)
        self.over_budget = Counter(
            "usher_over_budget",
            "Dispatches not made because their caller is over USHER_CALLER_BUDGET",
            ["project"],
            registry=self.registry,
        )
        self.abandoned = Counter(
            "usher_callers_gone", "Callers who left before an agent came", ["agent"], registry=self.registry
        )
        self.caller_actions = Counter(
            "usher_caller_actions",
            "Callers to be removed or transferred, by how that ended: done, failed or cancelled",
            ["action", "outcome"],
            registry=self.registry,
        )
        self.probes = Counter("usher_probes", "Canary dispatches", ["agent", "outcome"], registry=self.registry)
        self.objective_seconds = Gauge(
            "usher_objective_seconds", "Seconds within which an agent should join", ["rule"], registry=self.registry
        )
        self.objective_percent = Gauge(
            "usher_objective_percent",
            "Percent of callers that should have their agent within usher_objective_seconds",
            ["rule"],
            registry=self.registry,
        )
        self.objective_calls = Gauge(
            "usher_objective_calls", "Calls that count for the objective", ["rule", "window"], registry=self.registry
        )
        self.objective_missed = Gauge(
            "usher_objective_missed", "Calls that missed the objective", ["rule", "window"], registry=self.registry
        )
        self.objective_burn_rate = Gauge(
            "usher_objective_burn_rate",
            "Share of calls that missed, divided by the share that may miss; above 1 the objective is not met",
            ["rule", "window"],
            registry=self.registry,
        )
        self.probe_seconds = Histogram(
            "usher_probe_seconds_to_agent",
            "From a canary's CreateDispatch to its agent",
            ["agent"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.queue_length = Gauge(
            "usher_queue_length",
            "Callers who wait for a place with an agent; with a rule: for a place of that rule",
            ["agent", "rule"],
            registry=self.registry,
        )
        self.queue_oldest = Gauge(
            "usher_queue_oldest_wait_seconds",
            "How long the first of these callers has waited",
            ["agent", "rule"],
            registry=self.registry,
        )
        self.queue_expected_wait = Gauge(
            "usher_queue_expected_wait_seconds",
            "How long a caller who joins this queue now may have to wait; absent if nothing is known",
            ["agent", "rule"],
            registry=self.registry,
        )
        self.agent_calls = Gauge(
            "usher_agent_calls",
            "Calls of an agent that has limits, in all projects",
            ["agent"],
            registry=self.registry,
        )
        self.agent_max_calls = Gauge(
            "usher_agent_max_calls",
            "Calls that an agent takes at a time in each project",
            ["agent"],
            registry=self.registry,
        )
        self.agent_out_of_service = Gauge(
            "usher_agent_out_of_service", "1 while an agent is out of service", ["agent"], registry=self.registry
        )
        self.queue_depth = Gauge("usher_queue_depth", "Dispatches due for delivery", registry=self.registry)
        self.writer_backlog = Gauge("usher_writer_backlog", "Writes waiting for the database", registry=self.registry)
        self.clock_ahead = Gauge(
            "usher_clock_ahead_seconds",
            "Seconds by which this machine's clock is ahead of the database's; negative if it is behind",
            registry=self.registry,
        )
        self.incidents = Gauge(
            "usher_incidents", "Open incidents that are not muted, by kind", ["kind"], registry=self.registry
        )
        self.rules_version = Gauge("usher_rule_book_version", "Rule book version in use", registry=self.registry)
        self.rules = Gauge("usher_rules", "Rules in the book", registry=self.registry)
        self.bad_rules = Gauge("usher_bad_rules", "Rules that cannot be used", registry=self.registry)
        self.bad_rows = Gauge(
            "usher_bad_rows",
            "Rows that plain SQL has given values that cannot be used, by table; rules are counted apart",
            ["table"],
            registry=self.registry,
        )
        self.defects = Counter(
            "usher_defects",
            "Errors of Usher's own that were caught, each at the cost of one room, dispatch or event",
            ["where"],
            registry=self.registry,
        )
        self.sweeps = Counter("usher_sweeps", "Sweeps of LiveKit", ["project", "outcome"], registry=self.registry)
        self.swept_in = Counter(
            "usher_swept_in",
            "Participants that the sweep found and no webhook reported",
            ["project"],
            registry=self.registry,
        )
        self.webhooks_silent = Gauge(
            "usher_webhooks_silent",
            "1 while LiveKit has participants that no webhook reported",
            ["project"],
            registry=self.registry,
        )
