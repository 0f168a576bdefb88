"""Figures over time, and a rollout beside the rest, over the API."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from app.audit import MAX_POINTS, MAX_SAMPLED, OverTime, Rollout
from app.rules.editing.stored_rules import read_stored_rule
from app.server.access.own_projects import own_rules
from app.server.api.figures.statistics import WindowQuery
from app.server.api.framework.endpoint import ApiRequest, Endpoint


async def read_over_time(request: ApiRequest) -> dict[str, Any]:
    query: WindowQuery = request.query
    allowed = request.user.projects
    found = await request.context.over_time.get(
        query.hours,
        agent=query.agent,
        rule=query.rule,
        projects=allowed,
        rule_ids=await own_rules(request.context, allowed),
    )
    return found.to_json()


async def read_rollout(request: ApiRequest) -> dict[str, Any]:
    rule_id = request.number("rule_id")
    await request.context.read(partial(read_stored_rule, rule_id=rule_id))
    return (await request.context.over_time.rollout(rule_id)).to_json()


OVER_TIME_ENDPOINTS: Final = (
    Endpoint("GET", "/api/v1/statistics/over-time", read_over_time,
             "Read what became of dispatches over time, and when rules changed", OverTime,
             query=WindowQuery, by_project=True,
             description=f"In at most {MAX_POINTS + 1} intervals, the last of which has only begun. If "
             f"more than {MAX_SAMPLED:,} dispatches are in them, a sample of each interval is read: counts are then "
             "estimates, and `is_sampled` says so."),
    Endpoint("GET", "/api/v1/rules/{rule_id}/rollout", read_rollout,
             "Compare the callers in a rule's share with those whom another rule took instead", Rollout,
             numeric=("rule_id",), description="Of the last seven days."),
)  # fmt: skip
