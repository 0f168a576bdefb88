"""Every endpoint of the API, in the order of the reference page."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.accounts.access_log import AccessPage
from app.accounts.reads import ReadPage
from app.accounts.roles import Role
from app.accounts.sessions import Session
from app.accounts.tokens import Token
from app.accounts.users import User
from app.audit import (
    CONTENT_TYPES,
    DispatchDetail,
    EventDetail,
    Explanation,
    Timeline,
)
from app.errors import NotAllowedError, NotAuthenticatedError
from app.rules.simulation.simulate import Simulation
from app.server.api import (
    accounts,
    calls,
    health,
    people,
    rule_sets,
    rule_shapes,
    rules,
    shapes,
    simulation,
    token_dispatches,
)
from app.server.api.agents.agent_routes import AGENT_ENDPOINTS
from app.server.api.agents.agents import AgentRow
from app.server.api.figures import statistics
from app.server.api.figures.over_time import OVER_TIME_ENDPOINTS
from app.server.api.framework.auth import record_refusal
from app.server.api.framework.endpoint import RULE_MAX_BYTES, RULES_FILE_MAX_BYTES, Endpoint, Model
from app.server.api.framework.openapi import openapi_document
from app.server.api.framework.reference import reference_page
from app.server.api.incidents.routes import INCIDENT_ENDPOINTS
from app.server.api.lookups import lookup_shapes, lookups
from app.server.api.views import VIEW_ENDPOINTS
from app.server.request_context import RequestContext
from app.server.request_text import ANY_NAME, RECORD_ID
from app.version import usher_version

_EXAMPLE: Final = {
    "name": "spanish support",
    "pattern": {"participant": {"metadata": {"language": ["es"]}}},
    "agent_name": "support-es",
}


class TryOrder(Model):
    rule: rule_shapes.RuleDraft
    replaces: int | None = None
    limit: int = 200


class ApplyOrder(Model):
    rules: list[rule_shapes.RuleDraft]
    lookups: list[lookup_shapes.LookupRow] | None = Field(None, description="null: lookups stay as they are")
    agents: list[AgentRow] | None = Field(None, description="null: agents stay as they are")
    delete: bool = Field(default=False, description="delete what is not in the lists that are given")
    dry_run: bool = False
    expected_version: int | None = None
    expected_lookups_version: int | None = None
    expected_agents_version: int | None = None


class SimulateOrder(Model):
    rules: list[rule_shapes.RuleDraft]
    delete: bool = False
    hours: float = 24


class RulesFile(Model):
    rules: list[dict[str, Any]]
    lookups: list[dict[str, Any]] | None = Field(None, description="absent when there are none")
    agents: list[dict[str, Any]] | None = Field(None, description="absent when nothing is set for any")


_V1 = "/api/v1"
# Each path answers 405 itself: else the open end of another path takes what is left, as of GET /calls/ana/handover.
_ALL_METHODS: Final = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]
_RULE = f"{_V1}/rules/{{rule_id}}"
_LOOKUP = f"{_V1}/lookups/{{name}}"
_FIX: dict[str, Any] = {"body_is_checked_by_handler": True, "role": Role.EDITOR, "body_max_bytes": RULE_MAX_BYTES}
_TRY: dict[str, Any] = {"body_is_for_worker": True, "body_max_bytes": RULE_MAX_BYTES}

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint("GET", f"{_V1}/rules", rules.list_rules, "List rules in matching order", rule_shapes.RulePage,
             query=rules.RulesQuery, by_project=True),
    Endpoint("POST", f"{_V1}/rules", rules.create_a_rule, "Create a rule", rule_shapes.Rule, status=201, etag=True,
             query=rules.ReasonQuery,
             body=rule_shapes.RuleDraft, problems=(409,), example=_EXAMPLE, **_FIX, by_project=True),
    Endpoint("GET", _RULE, rules.read_rule, "Read a rule", rule_shapes.Rule, etag=True, numeric=("rule_id",),
             by_project=True),
    Endpoint("PATCH", _RULE, rules.change_a_rule, "Change columns of a rule", rule_shapes.Rule, etag=True,
             query=rules.ReasonQuery,
             if_match=True, body=rule_shapes.RuleChanges, problems=(409,), numeric=("rule_id",),
             example={"enabled": False}, **_FIX, by_project=True),
    Endpoint("PUT", _RULE, rules.replace_a_rule, "Replace a rule", rule_shapes.Rule, etag=True, if_match=True,
             query=rules.ReasonQuery,
             body=rule_shapes.RuleDraft, problems=(409,), numeric=("rule_id",), example=_EXAMPLE, **_FIX,
             by_project=True),
    Endpoint("DELETE", _RULE, rules.delete_a_rule, "Delete a rule", rule_shapes.Rule, role=Role.EDITOR, if_match=True,
             query=rules.ReasonQuery,
             problems=(409,), numeric=("rule_id",), description="Its history stays; `revert` brings it back.",
             by_project=True),
    Endpoint("GET", f"{_RULE}/history", rules.rule_history, "List the changes of a rule", rule_shapes.RuleHistory,
             query=rules.HistoryQuery, numeric=("rule_id",)),
    Endpoint("POST", f"{_V1}/rules/check", rules.check_a_rule, "Check a draft: list every mistake, with its path",
             rule_shapes.RuleCheck, body=rule_shapes.AnyRuleDraft, problems=(429,), example=_EXAMPLE, **_TRY),
    Endpoint("POST", f"{_V1}/rules/test", rules.try_a_rule,
             "Test a draft on recent events: which it would match, and what metadata the agent would get",
             rule_shapes.RuleTrial, body=TryOrder, shows_people=True, problems=(429,),
             example={"rule": _EXAMPLE, "limit": 50}, **_TRY),
    Endpoint("GET", f"{_V1}/rules/history", rules.rules_history, "List the changes of all rules",
             rule_shapes.RuleHistory, query=rules.RulesHistoryQuery, problems=(404,)),
    Endpoint("POST", f"{_V1}/rules/revert", rule_sets.revert_rules,
             "Revert one rule or all rules to an earlier version", rule_shapes.RulesChanged,
             query=rules.ReasonQuery,
             body=rule_sets.RevertOrder, role=Role.EDITOR, problems=(404, 409, 429),
             example={"to_version": 3, "dry_run": True}),
    Endpoint("POST", f"{_V1}/rules/undo", rule_sets.undo_a_change_set, "Undo a change set of the rules",
             rule_sets.RulesUndone, query=rules.ReasonQuery, body=rule_sets.UndoOrder, role=Role.EDITOR,
             problems=(404, 409), example={"change_set": "01936f00-3b1a0k2v8e5tq", "dry_run": True},
             description="All or nothing, unless `skip_changed` is set."),
    Endpoint("POST", f"{_V1}/rules/apply", rule_sets.apply_rules_file, "Apply a rules file",
             rule_shapes.RulesChanged, query=rules.ReasonQuery, body=ApplyOrder, role=Role.EDITOR, problems=(409, 429),
             body_is_for_worker=True, body_max_bytes=RULES_FILE_MAX_BYTES,
             example={"rules": [_EXAMPLE], "dry_run": True}),
    Endpoint("GET", f"{_V1}/rules/export", rule_sets.export_rules_file, "Export rules, lookups and agents for `apply`",
             RulesFile),
    Endpoint("GET", f"{_V1}/rules/hits", statistics.list_rule_hits,
             "List when each rule last made a dispatch, or removed or transferred a caller", statistics.SeenRules),
    Endpoint("GET", f"{_V1}/lookups", lookups.list_the_lookups, "List lookups", lookup_shapes.LookupList),
    Endpoint("GET", _LOOKUP, lookups.read_a_lookup, "Read a lookup", lookup_shapes.Lookup, etag=True),
    Endpoint("PUT", _LOOKUP, lookups.put_a_lookup, "Create or replace a lookup", lookup_shapes.Lookup, etag=True,
             body=lookup_shapes.LookupDraft, problems=(409, 412, 428), example=lookup_shapes.EXAMPLE,
             description="One that exists is replaced with `If-Match` only.", **_FIX),
    Endpoint("DELETE", _LOOKUP, lookups.delete_a_lookup, "Delete a lookup", lookup_shapes.Lookup, role=Role.EDITOR,
             if_match=True),
    Endpoint("POST", f"{_LOOKUP}/test", lookups.try_a_lookup, "Ask a lookup about an event", lookup_shapes.LookupTested,
             body=lookup_shapes.LookupTestOrder, role=Role.EDITOR, shows_people=True,
             description="Sends the document to the lookup's URL, whether or not its pattern matches."),
    Endpoint("GET", f"{_V1}/events", calls.list_the_events, "List events", shapes.EventPage,
             query=calls.EventsQuery, shows_people=True, by_project=True),
    Endpoint("GET", f"{_V1}/events/{{event_id}}", calls.read_event, "Read an event with its body and decision",
             EventDetail, shows_people=True, by_project=True),
    Endpoint("POST", f"{_V1}/events/{{event_id}}/replay", calls.replay_an_event,
             "Replay an event with the current rules", shapes.Replayed, query=calls.ReplayQuery, role=Role.EDITOR,
             problems=(409,), by_project=True),
    Endpoint("GET", f"{_V1}/dispatches", calls.list_the_dispatches, "List dispatches", shapes.DispatchPage,
             query=calls.DispatchesQuery, shows_people=True, by_project=True),
    Endpoint("GET", f"{_V1}/dispatches/{{dispatch_id}}", calls.read_dispatch,
             "Read a dispatch with its calls to LiveKit, changes and callers", DispatchDetail, shows_people=True,
             by_project=True),
    Endpoint("POST", f"{_V1}/dispatches/redrive", calls.redrive_the_dispatches,
             "Retry dispatches that failed, were not answered, or were cancelled", shapes.DispatchesRedriven,
             body=calls.DispatchesOrder, role=Role.EDITOR, problems=(404,), by_project=True),
    Endpoint("POST", f"{_V1}/dispatches/cancel", calls.cancel_the_dispatches,
             "Cancel dispatches that wait for their agent", shapes.DispatchesCancelled,
             body=calls.DispatchesOrder, role=Role.EDITOR, problems=(404,), by_project=True),
    Endpoint("GET", f"{_V1}/calls", calls.list_the_calls, "List calls", shapes.CallPage, query=calls.CallsQuery,
             streams=tuple(CONTENT_TYPES.values()),
             shows_people=True, by_project=True),
    Endpoint("GET", f"{_V1}/calls/{{reference}}", calls.read_call,
             "Read the timeline of a call", Timeline, shows_people=True,
             description="By event id (ours or LiveKit's), dispatch id, participant SID, identity or phone number.",
             by_project=True),
    Endpoint("POST", f"{_V1}/calls/{{reference}}/handover", calls.hand_over_a_call,
             "Hand a live call over to another agent", calls.HandoverAnswer, role=Role.EDITOR,
             query=calls.HandoverQuery, body=calls.HandoverBody, idempotency_key=True,
             problems=(404, 409), quotes_body=False, example={"agent_name": "support-es", "context": {"order": 42}},
             description="The next agent is dispatched with `previous`; when it has joined, the first is withdrawn. "
             "When it does not come, the first stays."),
    *VIEW_ENDPOINTS,
    Endpoint("GET", f"{_V1}/explain", calls.explain_event,
             "Explain a call: every rule tried, which field did not match and what it held, what happened next",
             Explanation, query=calls.ReferenceQuery, shows_people=True, problems=(404,), by_project=True),
    Endpoint("POST", f"{_V1}/simulate", simulation.simulate_rules, "Try a draft of the rules on past traffic",
             Simulation, body=SimulateOrder, body_is_for_worker=True, body_max_bytes=RULES_FILE_MAX_BYTES,
             shows_people=True, problems=(429,), by_project=True, example={"rules": [_EXAMPLE], "hours": 24},
             description="Rules are identified by name; rules not in the draft are kept unless `delete` is set."),
    Endpoint("POST", f"{_V1}/decide", token_dispatches.decide_for_a_token, "Decide which agents a participant gets",
             token_dispatches.Decided, body=token_dispatches.DecideOrder, role=Role.DECIDER, quotes_body=False,
             description="For token servers: put the answer into `RoomConfiguration.agents` of the access token. When "
             "the participant joins, Usher adopts the dispatch if LiveKit created it, and creates it if not.",
             example={"participant": {"identity": "ana", "metadata": {"language": "es"}}, "room": {"name": "hall-7"}},
             by_project=True),
    Endpoint("GET", f"{_V1}/statistics", statistics.read_statistics,
             "Read time to agent, objectives, and shares of no-shows, fallbacks and callers who left waiting",
             statistics.Statistics, query=statistics.WindowQuery, by_project=True),
    *OVER_TIME_ENDPOINTS,
    *AGENT_ENDPOINTS,
    Endpoint("GET", f"{_V1}/probes", statistics.list_probes, "List the latest probes of an agent", statistics.Probes,
             query=statistics.ProbesQuery),
    *INCIDENT_ENDPOINTS,
    Endpoint("GET", f"{_V1}/health", health.read_health, "Read the state of the database, the rules and the sweep",
             health.Health),
    Endpoint("GET", f"{_V1}/me", accounts.read_myself, "Read the user and the role of this token", accounts.Myself,
             role=None, by_project=True),
    Endpoint("GET", f"{_V1}/users", accounts.list_the_users, "List users", accounts.UserList, role=Role.ADMIN),
    Endpoint("POST", f"{_V1}/users", accounts.invite_a_user, "Add a user, who chooses a password with a one-time link",
             accounts.InvitedUser, status=201, body=accounts.NewUser, role=Role.ADMIN, problems=(409,)),
    Endpoint("PATCH", f"{_V1}/users/{{user_id}}", accounts.change_a_user, "Change the role of a user or disable it",
             User, body=accounts.UserChange, role=Role.ADMIN, problems=(409,)),
    Endpoint("DELETE", f"{_V1}/users/{{user_id}}", accounts.delete_a_user,
             "Delete a user with all sessions and tokens", User, role=Role.ADMIN, problems=(409,)),
    Endpoint("POST", f"{_V1}/users/{{user_id}}/logout", accounts.log_a_user_out, "End all sessions of a user",
             User, role=Role.ADMIN),
    Endpoint("POST", f"{_V1}/users/{{user_id}}/tokens", accounts.issue_a_token, "Create an API token",
             accounts.IssuedToken, status=201, body=accounts.NewToken, role=Role.ADMIN),
    Endpoint("POST", f"{_V1}/people/export", people.export_a_person, "Export everything that is stored about a person",
             people.PersonExport, body=people.PersonOrder, role=Role.ADMIN, problems=(404,), quotes_body=False,
             shows_people=True,
             description="The person is in the body, so that no proxy logs it.", example={"person": "+34 600 111 222"}),
    Endpoint("POST", f"{_V1}/people/erase", people.erase_a_person, "Erase a person", people.Erased,
             body=people.EraseOrder, role=Role.ADMIN, problems=(409,), quotes_body=False,
             description="Counts and statistics stay true. Refused while the person is in a call; done again, it "
             "changes nothing.", example={"person": "+34 600 111 222", "dry_run": True}),
    Endpoint("GET", f"{_V1}/sessions", accounts.list_the_sessions, "List sessions of the console",
             accounts.SessionList, role=Role.ADMIN),
    Endpoint("DELETE", f"{_V1}/sessions/{{session_id}}", accounts.end_a_session, "End a session", Session,
             role=Role.ADMIN),
    Endpoint("GET", f"{_V1}/logins", accounts.list_logins, "List logins, failed logins and refused requests",
             AccessPage, query=accounts.LoginsQuery, role=Role.ADMIN),
    Endpoint("GET", f"{_V1}/people/reads", people.list_the_reads, "List who read which call or person",
             ReadPage, query=people.ReadsQuery, role=Role.ADMIN,
             description="Recorded while USHER_READS_RETENTION_DAYS is set."),
    Endpoint("GET", f"{_V1}/tokens", accounts.list_the_tokens, "List API tokens", accounts.TokenList, role=Role.ADMIN),
    Endpoint("DELETE", f"{_V1}/tokens/{{token_id}}", accounts.revoke_a_token, "Revoke an API token", Token,
             role=Role.ADMIN),
)  # fmt: skip


def api_routes(context: RequestContext) -> list[BaseRoute]:
    """Return one route for each path; literal paths come before those with parameters, and these before open ends."""
    answer, page = _documentation()

    async def openapi(_request: Request) -> Response:
        return answer

    async def reference(_request: Request) -> Response:
        return page

    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(_starlette_path(endpoint), {})[endpoint.method] = endpoint
    paths = sorted(by_path, key=lambda path: (path.count("{"), path.endswith(f":{ANY_NAME}}}")))
    return [
        Route("/api/openapi.json", openapi),
        Route("/api", reference),
        *(Route(path, _handler(context, by_path[path]), methods=_ALL_METHODS) for path in paths),
    ]


@cache
def _documentation() -> tuple[Response, Response]:
    """Return the OpenAPI document and the reference page; made once, because making them takes 0.3 s."""
    document = openapi_document(ENDPOINTS, usher_version())
    return JSONResponse(document), reference_page(document)


def _starlette_path(endpoint: Endpoint) -> str:
    path = endpoint.path
    for name in ("reference", "agent_name", "name"):
        path = path.replace(f"{{{name}}}", f"{{{name}:{ANY_NAME}}}")
    for name in endpoint.numeric:
        path = path.replace(f"{{{name}}}", f"{{{name}:{RECORD_ID}}}")
    return path


def _handler(context: RequestContext, endpoints: dict[str, Endpoint]) -> Any:
    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        if method not in endpoints:
            raise HTTPException(405, headers={"Allow": ", ".join(endpoints)})
        try:
            return await endpoints[method].answer_request(context, request)
        except (NotAuthenticatedError, NotAllowedError) as error:
            await record_refusal(context, request, endpoints[method].path, error)
            raise

    return answer
