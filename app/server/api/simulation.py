"""Trying a draft of the rules on past traffic over the API."""

from __future__ import annotations

import json

from app.errors import InvalidInputError, Problem
from app.rules.editing.rules_file import read_rules_file
from app.rules.simulation.simulate import Simulation
from app.server.api.framework.endpoint import ApiRequest, require_object
from app.server.api.statistics import MAX_HOURS
from app.server.simulation import simulate_draft


async def simulate_rules(request: ApiRequest) -> Simulation:
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
    return await simulate_draft(request.context, wanted, delete=delete, hours=hours)
