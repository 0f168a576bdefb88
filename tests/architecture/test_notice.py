"""`app/NOTICE.md` names the licences of what Usher needs."""

from __future__ import annotations

from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement

from tests.architecture.third_parties import NOTICE, licence, requirements, row

LINES = NOTICE.read_text("utf-8").splitlines(keepends=True)


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_direct_dependency_is_listed_with_the_licence_that_it_declares(requirement: Requirement) -> None:
    found = distribution(requirement.name)
    assert licence(found)
    assert row(found) in LINES, "run: make notice"
