"""The page of one call: its timeline, and what an operator can do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.audit import (
    CallHead,
    CallState,
    Explanation,
    SameCaller,
    Timeline,
    TriedRule,
    calls_of_same_caller,
    explain,
    known_agents,
    places_in_queue,
    unknown_dispatches,
    unknown_events,
    warnings_about_agents,
    waterfall_of,
)
from app.db.types import LIVE
from app.errors import ConflictError, NotFoundError
from app.flows.operations.handover_order import HandoverOrder
from app.flows.operations.redrive import redrive_refusals
from app.flows.operations.result import why_not_served
from app.outbox.dispatch import Dispatch
from app.outbox.states import REDRIVABLE, WAITING
from app.rules.book.decision import Outcome
from app.server.access.own_projects import require_own
from app.server.console.call_list import call_list_routes
from app.server.console.call_text import call_markdown
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.request_text import ANY_NAME
from app.translation import gettext, listed, translatable

_RULES_SHOWN: Final = 60
_NEAR_SHOWN: Final = 5
_PATTERN_HELD: Final = frozenset({Outcome.SHADOWED, Outcome.PAUSED, Outcome.OUT_OF_HOURS, Outcome.OUTSIDE_ROLLOUT})
"""Outcomes of rules that did not match although their pattern held."""
_ROOM_CLOSED: Final = translatable("its room has closed")


def calls_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Calls."""
    return [
        *call_list_routes(console),
        form_route(console, "/console/calls/redrive", redrive, Role.EDITOR, by_project=True),
        form_route(console, "/console/calls/cancel", cancel, Role.EDITOR, by_project=True),
        form_route(console, "/console/calls/replay", replay, Role.EDITOR, by_project=True),
        form_route(console, "/console/calls/handover", hand_over, Role.EDITOR),
        page_route(console, f"/console/calls/{{reference:{ANY_NAME}}}", show_call, shows_people=True, by_project=True),
    ]


async def show_call(request: PageRequest) -> Response:
    reference = request.http.path_params["reference"]
    projects = request.signed_in.projects

    def load(connection: Connection) -> tuple[Explanation, SameCaller, dict[str, str]]:
        found = explain(connection, reference, projects)
        made = [record.dispatch for record in found.timeline.dispatches]
        beside = calls_of_same_caller(connection, found.timeline.call, projects)
        return found, beside, redrive_refusals(connection, made, request.context.flow_context.settings)

    try:
        found, beside, refusals = await request.context.read(load)
    except NotFoundError as error:
        return request.page("call_missing.html", status=404, active="calls", reference=reference, message=str(error))
    why_unserved = why_not_served(found.timeline.call.project, request.context.flow_context.settings)
    # A hand-over may name agents of any project.
    details = _details(found, refusals, may_hand_over=projects is None and why_unserved is None)
    base = request.context.flow_context.settings.public_url or str(request.http.base_url).rstrip("/")
    address = f"{base}/console/calls/{details['reference']}"
    details |= {
        "beside": beside,
        "why_unserved": why_unserved,
        "address": address,
        "markdown": call_markdown(found.timeline, details["summary"], address),
    }
    agents = await request.context.read(known_agents) if details["can_hand_over"] else []
    queued = [one.id for one in details["dispatches"] if one.queued_at is not None]
    now = request.context.now
    places = await request.context.read(lambda connection: places_in_queue(connection, queued, now))
    agent_names = [one.name for one in agents]
    details |= _shown(request, details) | {"waterfall": waterfall_of(found.timeline, now)}
    return request.page("call.html", active="calls", agents=agent_names, queue=list(places.values()), **details)


def _shown(request: PageRequest, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return which steps and which document the address asks for; both are kept while the page renews itself."""
    tabs = [(f"d{place}", one.agent_to_ask) for place, one in enumerate(details["dispatches"], 1)]
    tabs += [("lookups", translatable("Lookups"))] if details["found"].event.lookups else []
    tabs.append(("event", translatable("Event as received")))
    tab = request.field("show")
    return {
        "all_steps": request.field("steps") == "all",
        "internal_steps": sum(one.is_internal for one in details["steps"]),
        "tabs": tabs,
        "tab": tab if tab in dict(tabs) else tabs[0][0],
    }


def _details(found: Explanation, refusals: Mapping[str, str], *, may_hand_over: bool) -> dict[str, Any]:
    timeline = found.timeline
    matched, near, others = _ranked(found.rules)
    redrivable = [r.dispatch.id for r in timeline.dispatches if r.dispatch.status in REDRIVABLE]
    can_redrive = [one for one in redrivable if one not in refusals]
    may_be_handed = [r.dispatch for r in timeline.dispatches if may_hand_over and _can_be_handed_over(r.dispatch)]
    is_over = timeline.call.left_at is not None or _ROOM_CLOSED in refusals.values()
    return {
        "found": found,
        "call": timeline.call,
        "steps": timeline.steps,
        "summary": _sentence(timeline.summary, timeline.call),
        "dispatches": [record.dispatch for record in timeline.dispatches],
        "matched": matched,
        "near": near,
        "others": others[:_RULES_SHOWN],
        "tried_in_all": len(found.rules),
        "can_redrive": can_redrive,
        "why_not_redrive": refusals[redrivable[-1]] if redrivable and not can_redrive else "",
        "is_over": is_over,
        "can_replay": not is_over and found.event.body is not None,
        "can_hand_over": may_be_handed,
        "can_cancel": [r.dispatch.id for r in timeline.dispatches if r.dispatch.status in WAITING],
        "hint": _hint(found, timeline, can_redrive=bool(can_redrive)),
        "reference": timeline.call.event_id,
    }


def _ranked(tried: Sequence[TriedRule]) -> tuple[list[TriedRule], list[TriedRule], list[TriedRule]]:
    """Return the rules that matched, those that nearly did, the nearest first, and all others in matching order."""
    matched = [one for one in tried if one.outcome is Outcome.MATCHED]
    by_pattern = [one for one in tried if one.outcome in _PATTERN_HELD]
    failed = [one for one in tried if one.outcome is Outcome.PATTERN and one.held]
    failed.sort(key=lambda one: ((one.conditions or 0) - (one.held or 0), -(one.held or 0)))
    near = [*by_pattern, *failed][:_NEAR_SHOWN]
    shown = {id(one) for one in (*matched, *near)}
    return matched, near, [one for one in tried if id(one) not in shown]


def _can_be_handed_over(dispatch: Dispatch) -> bool:
    return dispatch.status in LIVE and dispatch.handed_to is None


def _sentence(summary: str, call: CallHead) -> str:
    """Return the summary with a capital letter, unless it begins with a name."""
    names = tuple(name for name in (call.participant_identity, *call.agents) if name)
    return summary if summary.startswith(names) else summary[:1].upper() + summary[1:]


def _hint(found: Explanation, timeline: Timeline, *, can_redrive: bool) -> str:
    """Return what an operator can do about the call; empty if nothing."""
    state = timeline.call.state
    if found.matching_now and state in {CallState.NO_MATCH, CallState.FAILED}:
        names = listed(repr(one.rule) for one in found.matching_now)
        text = translatable(
            "With the current rules, %(rules)s would match. If the caller is still there, retry with the current rules."
        )
        return gettext(text, rules=names)
    match state:
        case CallState.NO_MATCH:
            return gettext("No rule matched. See below which condition failed, or create a rule from this call.")
        case CallState.NO_SHOW:
            if can_redrive:
                return gettext("Check that a worker with this agent name runs and has capacity, then redrive.")
            return gettext("Check that a worker with this agent name runs and has capacity, for the next caller.")
        case CallState.FAILED:
            if can_redrive:
                return gettext(
                    "Fix what the reason says (the rule, or LiveKit), then redrive: the metadata is rendered again."
                )
            return gettext("Fix what the reason says (the rule, or LiveKit).")
        case _:
            return ""


async def redrive(request: PageRequest) -> Response:
    await require_own(request.context, request.signed_in.projects, unknown_dispatches, _ids(request), "dispatch")
    done = await request.context.orchestrator.operations.redrive(_ids(request), request.signed_in.name)
    return redirect(_back(request), "redriven" if done.done else "refused")


async def cancel(request: PageRequest) -> Response:
    await require_own(request.context, request.signed_in.projects, unknown_dispatches, _ids(request), "dispatch")
    done = await request.context.orchestrator.operations.cancel(_ids(request), request.signed_in.name)
    cancelled = "cancelled-left-over" if done.left_over else "cancelled"
    return redirect(_back(request), cancelled if done.done else "refused")


async def hand_over(request: PageRequest) -> Response:
    order = HandoverOrder(request.field("id"), agent_name := request.field("agent_name").strip())
    warnings = await request.context.read(lambda connection: warnings_about_agents(connection, [agent_name]))
    await request.context.orchestrator.operations.hand_over(order, request.signed_in.name)
    return redirect(_back(request), "handed-over-unknown" if warnings else "handed-over")


async def replay(request: PageRequest) -> Response:
    await require_own(request.context, request.signed_in.projects, unknown_events, [request.field("event_id")], "event")
    event, _ = await request.context.orchestrator.operations.replay(request.field("event_id"), request.signed_in.name)
    return redirect(f"/console/calls/{event.id}", "replayed")


def _ids(request: PageRequest) -> list[str]:
    ids = list(dict.fromkeys(request.form.get("id", ())))
    if not ids or len(ids) > 200:
        raise ConflictError(translatable("no dispatch was selected"))
    return ids


def _back(request: PageRequest) -> str:
    reference = request.field("reference")
    return f"/console/calls/{reference}" if reference.replace("-", "").isalnum() else "/console/calls"
