"""Calls, events, dispatches and explanations over the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from app.accounts.saved_views import SavedView
from app.audit import (
    CallFilter,
    CallHead,
    DispatchFilter,
    DispatchRecord,
    DispatchSummary,
    EventDetail,
    EventFilter,
    EventSummary,
    ExportFormat,
)
from app.cli.remote.server import Server, path_of, read_as


def read_calls(server: Server, chosen: CallFilter, most: int) -> list[CallHead]:
    """Return calls, newest first."""
    return list(server.pages("/calls", _of_calls(chosen), CallHead, most))


def export_calls(server: Server, chosen: CallFilter, format_: ExportFormat) -> Iterator[str]:
    """Yield the lines of an export of calls."""
    return server.lines("/calls", {**_of_calls(chosen), "format": format_})


def read_views(server: Server) -> list[SavedView]:
    """Return the saved views that the token's user sees."""
    return [read_as(SavedView, one) for one in server.get("/views")["items"]]


def save_view(server: Server, name: str, query: str, *, shared: bool | None, replace: bool) -> SavedView:
    """Save a view of the token's user, and return it; `shared` None: as before, if it replaces one."""
    order = {"name": name, "query": query, "shared": shared, "replace": replace}
    return read_as(SavedView, server.send("POST", "/views", order))


def delete_view(server: Server, view_id: str) -> SavedView:
    """Delete a view, and return it."""
    return read_as(SavedView, server.send("DELETE", path_of("views", view_id)))


def read_events(server: Server, chosen: EventFilter, most: int | None = None) -> Iterator[EventSummary]:
    """Yield events, newest first; all of them without `most`."""
    renamed = {"types": "type", "outcomes": "outcome"}
    return server.pages("/events", _of_filter(chosen, renamed), EventSummary, most)


def read_event(server: Server, event_id: str) -> EventDetail:
    """Return an event; NotFoundError if there is none."""
    return read_as(EventDetail, server.get(path_of("events", event_id)))


def iterate_events(server: Server, chosen: EventFilter) -> Iterator[EventDetail]:
    """Yield events with their documents: one request each."""
    return (read_event(server, one.id) for one in read_events(server, chosen))


def read_dispatches(server: Server, chosen: DispatchFilter, most: int | None = None) -> Iterator[DispatchSummary]:
    """Yield dispatches, newest first; all of them without `most`."""
    return server.pages("/dispatches", _of_filter(chosen, {"statuses": "status"}), DispatchSummary, most)


def read_dispatch(server: Server, dispatch_id: str) -> DispatchRecord:
    """Return a dispatch; NotFoundError if there is none."""
    return DispatchRecord.from_json(server.get(path_of("dispatches", dispatch_id)))


def read_timeline(server: Server, reference: str) -> Any:
    """Return the document of the timeline of a call, whose `CallSteps` are shown; NotFoundError if there is none."""
    return server.get(path_of("calls", reference))


def read_explanation(server: Server, reference: str) -> Any:
    """Return the document of why a call got its agent, or none, whose `RulesTried` and `CallSteps` are shown."""
    return server.get("/explain", {"of": reference})


def _of_calls(chosen: CallFilter) -> dict[str, Any]:
    metadata = [f"{name}={value}" for name, value in chosen.metadata]
    return {**_of_filter(chosen, {"states": "state"}), "metadata": metadata}


def _of_filter(chosen: CallFilter | EventFilter | DispatchFilter, renamed: dict[str, str]) -> dict[str, Any]:
    """Return the fields of a filter as parameters of the API; an empty text is one, and finds nothing."""
    return {renamed.get(name, name): value for name, value in asdict(chosen).items() if value is not None}
