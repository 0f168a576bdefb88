"""The only read service: console, API and command line format what it returns, and ask nothing else.

Every function reads through a plain connection of the reader engine. Lists are newest first, in pages (`Page`), and
cost the same whatever is filtered; `to_json` of what they return is the JSON form that every door uses.

    list_events, list_dispatches      pages of summaries for an EventFilter, a DispatchFilter
    list_calls                        pages of calls: one participant in one room, and how it stands
    newest_events, newest_dispatches     the same without pages, as far as the caller reads
    iterate_events, iterate_dispatches   everything a filter lets through, with documents, for exports
    get_event, get_dispatch           one, whole
    timeline                          a call from the webhook to the last goodbye, step by step
    explain                           which rules were tried, which condition failed, and what happened next
"""

from app.audit.calls.call import Call, CallState
from app.audit.calls.call_list import CallFilter, list_calls
from app.audit.calls.explain_call import Explanation, TriedRule, explain
from app.audit.calls.timeline import Step, StepKind, Timeline, timeline
from app.audit.lists.paging import LARGEST_PAGE, Page
from app.audit.lists.record_lists import (
    DispatchFilter,
    EventFilter,
    iterate_dispatches,
    iterate_events,
    list_dispatches,
    list_events,
    newest_dispatches,
    newest_events,
)
from app.audit.record_reads import find_event, get_dispatch, get_event
from app.audit.records import (
    AttemptRecord,
    AuditRecord,
    CallerRecord,
    DispatchRecord,
    DispatchSummary,
    EventRecord,
    EventSummary,
    dispatch_json,
)

__all__ = [
    "LARGEST_PAGE",
    "AttemptRecord",
    "AuditRecord",
    "Call",
    "CallFilter",
    "CallState",
    "CallerRecord",
    "DispatchFilter",
    "DispatchRecord",
    "DispatchSummary",
    "EventFilter",
    "EventRecord",
    "EventSummary",
    "Explanation",
    "Page",
    "Step",
    "StepKind",
    "Timeline",
    "TriedRule",
    "dispatch_json",
    "explain",
    "find_event",
    "get_dispatch",
    "get_event",
    "iterate_dispatches",
    "iterate_events",
    "list_calls",
    "list_dispatches",
    "list_events",
    "newest_dispatches",
    "newest_events",
    "timeline",
]
