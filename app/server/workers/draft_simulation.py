"""The job of a worker that tries the form of a rule on past traffic."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from sqlalchemy import Connection

from app.errors import InvalidInputError
from app.rules.columns import complete
from app.rules.rule import DRAFT_ID
from app.rules.simulation.simulate import Simulation, simulate
from app.rules.simulation.traffic import read_traffic
from app.server.workers.rule_jobs import MAX_EVENTS, SentForm, form_draft
from app.server.workers.rule_worker import WorkerState
from app.translation import translatable


def simulate_form_draft(state: WorkerState, sent: SentForm, replaces: int | None, since: datetime) -> Simulation:
    """Return what the rule in a form would have changed for the events since then, all other rules as they are.

    `replaces` is the rule that it is a draft of. InvalidInputError if it cannot be used.
    """
    form = form_draft(sent)
    if form.problems:
        raise InvalidInputError(translatable("this rule cannot be used"), form.problems)
    row = {**complete(form.draft), "id": replaces or DRAFT_ID}

    def load(connection: Connection) -> Simulation:
        book = state.book(connection)
        draft = book.updated([row], (), book.version)
        traffic = islice(read_traffic(connection, since), MAX_EVENTS)
        return simulate(draft, traffic, current=book, metadata_max_bytes=state.metadata_max_bytes)

    simulation: Simulation = state.read(load)
    return simulation
