"""Trying a draft of the rules on past traffic over the API."""

from __future__ import annotations

from app.rules.simulation.simulate import Simulation
from app.server.api.framework.endpoint import ApiRequest
from app.server.workers.rule_jobs import simulate_order


async def simulate_rules(request: ApiRequest) -> Simulation:
    user, now = request.user, request.context.now
    return await request.context.workers.run(user.user_id, simulate_order, request.body, now, user.projects)
