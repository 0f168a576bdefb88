"""`app/NOTICE.md` names the licences of what Usher needs."""

from __future__ import annotations

from hashlib import sha256
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement

from tests.architecture.third_parties import NOTICE, ROOT, licence, requirements, row

LINES = NOTICE.read_text("utf-8").splitlines(keepends=True)


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_direct_dependency_is_listed_with_the_licence_that_it_declares(requirement: Requirement) -> None:
    found = distribution(requirement.name)
    assert licence(found)
    assert row(found) in LINES, "run: make notice"


UPLOT = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
"""Digests of the files in the release 1.6.32."""


@pytest.mark.parametrize("name", UPLOT)
def test_uplot_is_shipped_as_it_was_released_and_named(name: str) -> None:
    shipped = (ROOT / "app" / "server" / "static" / name).read_bytes()
    assert sha256(shipped).hexdigest() == UPLOT[name]
    assert f"`{name}`" in "".join(LINES) or f"/{name}`" in "".join(LINES)
    assert "uPlot 1.6.32, MIT" in "".join(LINES)
