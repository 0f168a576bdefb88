"""The workflows under .github run commands that exist, with no more rights than they need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def _workflow(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return document


def _commands(path: Path) -> list[str]:
    jobs = _workflow(path)["jobs"].values()
    return [step["run"] for job in jobs for step in job.get("steps", []) if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_make_targets_that_a_workflow_runs_exist(path: Path) -> None:
    asked = {target for command in _commands(path) for target in re.findall(r"\bmake ([a-z0-9]+)", command)}
    tiers = {tier for command in _commands(path) for tier in re.findall(r"\.ci/run ([a-z0-9]+)", command)}
    assert asked | tiers, "it runs none"
    assert asked | tiers <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_unless_a_job_says_otherwise(path: Path) -> None:
    assert _workflow(path)["permissions"] == {"contents": "read"}


def test_a_release_waits_for_the_tests_and_the_audit_of_dependencies() -> None:
    jobs = _workflow(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert "make audit" in [step.get("run") for step in jobs["build"]["steps"]]
    for job in ("publish", "image"):
        assert set(jobs[job]["needs"]) == {"build", "test"}


def test_lowest_versions_are_tested() -> None:
    assert "make lowest" in _commands(ROOT / ".github" / "workflows" / "tests.yml")
