"""Trying a draft of the rules on past traffic over the API."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from app.errors import InvalidInputError, Problem
from app.rules.editing.rules_file import read_rules_file
from app.server.api.framework.endpoint import ApiRequest, require_object
from app.server.api.statistics import MAX_HOURS
from app.server.simulation import simulate_draft


class Example(BaseModel):
    event_id: str
    occurred_at: datetime
    room_name: str
    participant_identity: str
    why: str


class Group(BaseModel):
    effect: str
    agents_before: list[str]
    agents_after: list[str]
    rules_before: list[str]
    rules_after: list[str]
    events: int
    examples: list[Example]


class Simulation(BaseModel):
    events: int
    changes: int
    effects: dict[str, int]
    groups: list[Group]


async def simulate_rules(request: ApiRequest) -> dict[str, Any]:
    order = require_object(request.body)
    known = {"rules", "delete", "hours"}
    problems = [Problem(name, "is not a field of this request") for name in order if name not in known]
    hours, delete = order.get("hours", 24), order.get("delete", False)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= MAX_HOURS:
        problems.append(Problem("hours", f"must be a number of hours, at most {MAX_HOURS}", hours))
    if not isinstance(delete, bool):
        problems.append(Problem("delete", "must be true or false", delete))
    if problems:
        raise InvalidInputError("body", problems)
    wanted = read_rules_file(json.dumps({"rules": order.get("rules")}), format_="json").rules
    return (await simulate_draft(request.context, wanted, delete=delete, hours=hours)).to_json()
