"""What is stored, for people and programs to read: the only part of this package that server and command line import.

Every function reads through an open connection of the reader engine and costs about the same whatever is filtered and
however much is stored. Lists are newest first, in pages (`Page`). `to_json` of a result is its JSON form in the API, in
`--json` and in exports.
"""

from app.audit.call_lists.call_export import export_calls
from app.audit.call_lists.call_filter import CALLER_OUTCOMES, CallFilter
from app.audit.call_lists.call_list import iterate_calls, list_calls
from app.audit.call_lists.call_query import (
    FILTER_FIELDS,
    FIRST_YEAR,
    LAST_YEAR,
    MAX_SEARCH,
    TIME_FIELDS,
    CallQuery,
    metadata_fields,
    read_call_query,
    read_saved_query,
    unknown_fields,
)
from app.audit.call_lists.same_caller import SameCaller, calls_of_same_caller
from app.audit.calls.call_head import CallDirection, CallHead, CallOutcome, CallState
from app.audit.calls.cause_texts import reason_text
from app.audit.calls.duration import duration_text, interval_text
from app.audit.calls.explanation import Explanation, RulesTried, TriedRule, explain
from app.audit.calls.timeline import CallSteps, Step, StepKind, Timeline, timeline
from app.audit.calls.waterfall import Waterfall, waterfall_of
from app.audit.lists.dispatch_list import DispatchFilter, iterate_dispatches, list_dispatches, newest_dispatches
from app.audit.lists.event_list import EventFilter, iterate_events, list_events, newest_events
from app.audit.lists.follow import DispatchChange, changes_after, events_after
from app.audit.lists.paging import LARGEST_PAGE, Page
from app.audit.lists.recent_traffic import RecentTraffic, read_recent_traffic
from app.audit.lists.trial_events import recent_events
from app.audit.named_agents import agents_of_rules, unused_agents, what_names
from app.audit.people.person import find_person
from app.audit.people.person_export import export_person
from app.audit.people.person_rows import rows_about
from app.audit.records.export import CONTENT_TYPES, ExportFormat, export_dispatches, export_events
from app.audit.records.find_records import (
    find_event,
    get_dispatch,
    get_event,
    unknown_dispatches,
    unknown_events,
    was_any_sent,
)
from app.audit.records.record_types import (
    AttemptRecord,
    AuditRecord,
    CallerRecord,
    DispatchColumns,
    DispatchDetail,
    DispatchRecord,
    DispatchSummary,
    EventDetail,
    EventSummary,
    dispatch_json,
)
from app.audit.statistics.counts import dispatch_statistics
from app.audit.statistics.figures import BUCKET_BOUNDS_S, NO_FIGURES, DispatchStatistics, Figures, Waits
from app.audit.statistics.intake import SweepHeartbeat, latest_sources, sweep_heartbeats
from app.audit.statistics.names import Seen, known_agents, known_rules, last_hits, last_joins, warnings_about_agents
from app.audit.statistics.objectives import (
    MAX_OBJECTIVES,
    Attainment,
    Objective,
    ObjectiveWindow,
    Target,
    count_attainment,
    objective_targets,
    objective_text,
)
from app.audit.statistics.probes import Probe, latest_probes, probes_of
from app.audit.statistics.queue import QueueDepth, count_waiting, count_waiting_calls, longest_waiting, queue_depth
from app.audit.statistics.queue_pace import QueuePace, read_pace
from app.audit.statistics.queues import (
    MAX_WAITING,
    Place,
    Queue,
    QueueLength,
    QueueOverview,
    WaitingCaller,
    calls_of_agents,
    load_of_agents,
    places_in_queue,
    queue_lengths,
    queue_overview,
    queues_with_waits,
)
from app.audit.statistics.rule_hits import RuleHits, count_rule_hits
from app.audit.storage.sizes import IndexSize, TableSize
from app.audit.storage.storage import Retention, Storage, TableCost, read_storage
from app.audit.trends.agent_trends import AgentTrend, agent_trends
from app.audit.trends.points import OverTime, Point, over_time
from app.audit.trends.rollout_comparison import Rollout, compare_rollout
from app.audit.trends.rule_marks import RuleMark
from app.audit.trends.time_slices import MAX_POINTS, MAX_SAMPLED

__all__ = [
    "BUCKET_BOUNDS_S",
    "CALLER_OUTCOMES",
    "CONTENT_TYPES",
    "FILTER_FIELDS",
    "FIRST_YEAR",
    "LARGEST_PAGE",
    "LAST_YEAR",
    "MAX_OBJECTIVES",
    "MAX_POINTS",
    "MAX_SAMPLED",
    "MAX_SEARCH",
    "MAX_WAITING",
    "NO_FIGURES",
    "TIME_FIELDS",
    "AgentTrend",
    "Attainment",
    "AttemptRecord",
    "AuditRecord",
    "CallDirection",
    "CallFilter",
    "CallHead",
    "CallOutcome",
    "CallQuery",
    "CallState",
    "CallSteps",
    "CallerRecord",
    "DispatchChange",
    "DispatchColumns",
    "DispatchDetail",
    "DispatchFilter",
    "DispatchRecord",
    "DispatchStatistics",
    "DispatchSummary",
    "EventDetail",
    "EventFilter",
    "EventSummary",
    "Explanation",
    "ExportFormat",
    "Figures",
    "IndexSize",
    "Objective",
    "ObjectiveWindow",
    "OverTime",
    "Page",
    "Place",
    "Point",
    "Probe",
    "Queue",
    "QueueDepth",
    "QueueLength",
    "QueueOverview",
    "QueuePace",
    "RecentTraffic",
    "Retention",
    "Rollout",
    "RuleHits",
    "RuleMark",
    "RulesTried",
    "SameCaller",
    "Seen",
    "Step",
    "StepKind",
    "Storage",
    "SweepHeartbeat",
    "TableCost",
    "TableSize",
    "Target",
    "Timeline",
    "TriedRule",
    "WaitingCaller",
    "Waits",
    "Waterfall",
    "agent_trends",
    "agents_of_rules",
    "calls_of_agents",
    "calls_of_same_caller",
    "changes_after",
    "compare_rollout",
    "count_attainment",
    "count_rule_hits",
    "count_waiting",
    "count_waiting_calls",
    "dispatch_json",
    "dispatch_statistics",
    "duration_text",
    "events_after",
    "explain",
    "export_calls",
    "export_dispatches",
    "export_events",
    "export_person",
    "find_event",
    "find_person",
    "get_dispatch",
    "get_event",
    "interval_text",
    "iterate_calls",
    "iterate_dispatches",
    "iterate_events",
    "known_agents",
    "known_rules",
    "last_hits",
    "last_joins",
    "latest_probes",
    "latest_sources",
    "list_calls",
    "list_dispatches",
    "list_events",
    "load_of_agents",
    "longest_waiting",
    "metadata_fields",
    "newest_dispatches",
    "newest_events",
    "objective_targets",
    "objective_text",
    "over_time",
    "places_in_queue",
    "probes_of",
    "queue_depth",
    "queue_lengths",
    "queue_overview",
    "queues_with_waits",
    "read_call_query",
    "read_pace",
    "read_recent_traffic",
    "read_saved_query",
    "read_storage",
    "reason_text",
    "recent_events",
    "rows_about",
    "sweep_heartbeats",
    "timeline",
    "unknown_dispatches",
    "unknown_events",
    "unknown_fields",
    "unused_agents",
    "warnings_about_agents",
    "was_any_sent",
    "waterfall_of",
    "what_names",
]
