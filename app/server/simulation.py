"""Trying a draft of the rules on past traffic, for the API and the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection

from app.rules.book.rule_book import RuleBook
from app.rules.editing.stored_rules import read_rules
from app.rules.simulation.simulate import Simulation, draft_rows, simulate
from app.rules.simulation.traffic import read_traffic
from app.server.request_context import RequestContext

MAX_EVENTS: Final = 50_000
"""The most events that one web request goes through, which takes some seconds; the command line has no limit."""


async def simulate_draft(
    context: RequestContext, wanted: Sequence[Mapping[str, Any]], *, delete: bool, hours: float
) -> Simulation:
    """Return what the rules `wanted` (complete rows) would have changed for the events of the last `hours`."""
    since, most = context.now - timedelta(hours=hours), context.flow_context.settings.metadata_max_bytes

    def load(connection: Connection) -> Simulation:
        rows = draft_rows(read_rules(connection), wanted, delete=delete)
        draft = RuleBook.build(rows, 0)
        traffic = islice(read_traffic(connection, since), MAX_EVENTS)
        return simulate(draft, traffic, current=context.book(connection), metadata_max_bytes=most)

    return await context.read(load)
